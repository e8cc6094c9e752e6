"""
Text: TF-IDF, and token ids with an embedding
=============================================

Paragraphs of six topics, a third of which carry the wrong topic. First as TF-IDF in a pipeline,
then as token ids for a module with an embedding.
"""

# %%
# Real text that needs no download
# --------------------------------
# The documentation strings of the libraries that are installed anyway: a row is a paragraph, its
# topic the module that it comes from. Code and short lines are left out.
import importlib
import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from torch import nn

from crust_sklearn import (
    CRUSTClassifier,
    NoisyLabelClassifier,
    find_label_issues,
    make_label_noise,
)
from crust_sklearn.modules import MLP

modules = {
    "images": "scipy.ndimage",
    "linear algebra": "scipy.linalg",
    "networks": "torch.nn",
    "optimization": "scipy.optimize",
    "signals": "scipy.signal",
    "statistics": "scipy.stats",
}


def read_paragraphs(module, n_max=300):
    """Return different paragraphs of the documentation of a module's public names."""
    found = {}
    for name in dir(module):
        if not name.startswith("_"):
            for text in re.split(
                r"\n\s*\n", inspect.getdoc(getattr(module, name)) or ""
            ):
                if ">>>" not in text and len(re.findall("[a-z]{3,}", text)) >= 12:
                    found[" ".join(text.split())] = name
    texts = list(found)
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:n_max]]


rows = pd.DataFrame(
    [
        (text, topic)
        for topic, name in modules.items()
        for text in read_paragraphs(importlib.import_module(name))
    ],
    columns=["text", "topic"],
)
train, test = train_test_split(
    rows, test_size=0.3, stratify=rows["topic"], random_state=0
)
given = make_label_noise(train["topic"], "symmetric", 1 / 3, random_state=0).y
print(
    len(train),
    "paragraphs, of which with a wrong topic:",
    (given != train["topic"]).sum(),
)
print(train["text"].iloc[0][:76], "...")

# %%
# TF-IDF
# ------
# The network is the last step of a pipeline and takes the sparse matrix as it is.
settings = {"random_state": 0, "verbose": 0}
accuracies = {}


def compare(name, first_step, module, **options):
    """Train on all rows and on those that are trusted; return the second pipeline."""
    for method in (NoisyLabelClassifier, CRUSTClassifier):
        net = method(module, **settings, **options)
        pipeline = make_pipeline(first_step, net).fit(train["text"], given)
        accuracies[name, method.__name__] = pipeline.score(test["text"], test["topic"])
        print(f"{name:10} {method.__name__:20} {accuracies[name, method.__name__]:.1%}")
    return pipeline


tfidf = compare(
    "TF-IDF", TfidfVectorizer(min_df=3, stop_words="english"), MLP, max_epochs=15
)

# %%
# What was found: which topics were mixed up with which, and the text of the worst rows.
issues = find_label_issues(tfidf, given)
print(tfidf[-1].get_summary())
found = issues.index
print(
    f"\n{len(issues)} listed; wrong indeed:",
    f"{(train['topic'] != given)[found].mean():.1%}\n",
)
for number in found[:3]:
    row = issues.loc[number]
    print(
        f"given {row['given_label']}, suggested {row['suggested_label']}, true ", end=""
    )
    print(f"{train['topic'][number]}\n    {train['text'][number][:70]} ...")

# %%
# Token ids
# ---------
# Most text networks begin with an embedding and take whole numbers. A transformer that makes them,
# of equal length, with 0 for what is missing, and a module that averages the embeddings of the
# words that are there:


class TokenIds(CountVectorizer):
    """The first words of a text as numbers of the vocabulary, 0 where there is none."""

    length = 64

    def fit_transform(self, texts, y=None):
        super().fit_transform(texts)
        return self.transform(texts)

    def transform(self, texts):
        analyze, ids = self.build_analyzer(), self.vocabulary_
        X = np.zeros((len(texts), self.length), dtype=np.int64)
        for row, text in zip(X, texts, strict=True):
            known = [1 + ids[word] for word in analyze(text) if word in ids][
                : self.length
            ]
            row[: len(known)] = known
        return X


class BagOfWords(nn.Module):
    def __init__(self, num_classes, vocabulary=5000, width=64):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocabulary, width, mode="mean", padding_idx=0)
        self.head = nn.Sequential(
            nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, num_classes)
        )

    def forward(self, X):
        return self.head(self.embedding(X))


tokens = TokenIds(min_df=2, stop_words="english", max_features=4999)
ids = compare("token ids", tokens, BagOfWords, lr=0.005, max_epochs=20)

# %%
# The default judges labels by the features of the last layer, whatever the first one is.
fig, axes = plt.subplots(
    1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(1, 1.2)
)
names = list(dict.fromkeys(name for name, _ in accuracies))
for shift, method, color in (
    (-0.2, "NoisyLabelClassifier", "#9A9A9A"),
    (0.2, "CRUSTClassifier", "#0072B2"),
):
    heights = [accuracies[name, method] for name in names]
    bars = axes[0].bar(
        np.arange(len(names)) + shift, heights, 0.38, color=color, label=method
    )
    axes[0].bar_label(bars, [f"{height:.0%}" for height in heights])
axes[0].set_xticks(range(len(names)), names)
axes[0].set(title="test accuracy", ylim=(0, 1.15))
axes[0].legend(loc="upper center", ncols=2, frameon=False, fontsize=8)
ConfusionMatrixDisplay.from_estimator(
    tfidf,
    test["text"],
    test["topic"],
    ax=axes[1],
    cmap="Blues",
    colorbar=False,
    xticks_rotation=40,
)
axes[1].set_title("TF-IDF, CRUSTClassifier")
plt.show()

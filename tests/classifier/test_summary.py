"""What the net tells of its labels: in the log, and in a summary of the training."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.label_noise import LabelQuality, summarize
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER

N = 240
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ham", "spam", "zebra"])
Y = NAMES[make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y]


def make(**params):
    defaults = {"max_epochs": 6, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, **defaults | {"module__hidden_sizes": (16,)} | params)


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X, Y)


# U6
def test_summary_is_that_of_the_fitted_attributes(fitted):
    is_kept = np.isin(np.arange(N), fitted.coreset_indices_)
    expected = summarize(Y, fitted.suggested_labels_, is_kept, NAMES, fitted.noise_rate_)
    assert fitted.get_summary() == expected
    assert str(fitted.get_summary()) == str(expected)


def test_summary_counts_what_is_there(fitted):
    summary = fitted.get_summary()
    assert summary.noise_rate == fitted.noise_rate_
    assert (summary.n_rows, summary.n_kept) == (N, len(fitted.coreset_indices_))
    assert {name: of for name, (_, of) in summary.kept_per_class.items()} == {
        name: np.sum(name == Y) for name in NAMES
    }
    changed = fitted.suggested_labels_ != Y
    assert sum(count for *_, count in summary.noise_pairs) == changed.sum() > 0
    given, other, count = summary.noise_pairs[0]
    assert count == np.sum((given == Y) & (fitted.suggested_labels_ == other))


@pytest.mark.parametrize("settings", [{}, PAPER | {"warmup_epochs": 2}], ids=["default", "paper"])
def test_rows_of_a_validation_split_are_not_in_the_summary(settings):
    net = make(train_split=ValidSplit(4), **settings).fit(X, Y)
    summary = net.get_summary()
    assert summary.n_rows == N - N // 4
    assert summary.n_kept == len(net.coreset_indices_)


def test_summary_warns_of_a_class_most_of_whose_labels_are_wrong():
    rows = np.r_[np.flatnonzero(TRUE < 2), np.flatnonzero(TRUE == 2)[:20]]
    codes = TRUE[rows].copy()
    codes[np.flatnonzero(codes == 0)[:30]] = 2
    warnings = make().fit(X[rows], NAMES[codes]).get_summary().warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("class zebra: it has not been learnt")


def test_summary_of_a_copy_and_of_a_trimmed_net(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.get_summary() == fitted.get_summary()
    copy.trim_for_prediction()
    assert copy.get_summary() == fitted.get_summary()


def test_summary_without_a_selection():
    net = make()
    with pytest.raises(NotFittedError, match="more than warmup_epochs epochs"):
        net.get_summary()
    with pytest.raises(NotFittedError, match="has not judged its training labels yet"):
        net.set_params(max_epochs=1).partial_fit(X, Y).get_summary()


@pytest.mark.parametrize(
    ("width", "params", "sentence"),
    [
        (
            1,
            {"warmup_epochs": 3},
            "trained for one epoch, and the first.*warmup_epochs=3.*partial_f",
        ),
        (1, {}, "trained for one epoch, and with warmup_epochs='auto'.*after one epoch at least"),
        (150, {}, "after one epoch, the warm-up of.* still open.*two thirds of max_epochs=6"),
    ],
    ids=["given", "vectors", "open"],
)
def test_why_there_is_no_summary_yet(width, params, sentence):
    images = np.repeat(X, width, axis=1) if width == 1 else np.repeat(X, width, axis=1)[:, None]
    net = make(**params).partial_fit(images, Y, epochs=1)
    with pytest.raises(NotFittedError, match=sentence):
        net.get_summary()
    with pytest.raises(NotFittedError, match=r"get_summary\(\) says what is missing"):
        find_label_issues(net)
    # What it says to do.
    assert net.partial_fit(images, Y).get_summary().n_rows == N


def test_history_has_the_noise_rate_of_each_epoch():
    noise_rates = []

    class Watched(CRUSTClassifier):
        def plan_epoch(self, epoch):
            plan = super().plan_epoch(epoch)
            quality = self.state_.load("label_quality", LabelQuality)
            noise_rates.append(None if quality is None else quality.noise_rate)
            return plan

    net = Watched(**make(max_epochs=8, warmup_epochs=2).get_params(deep=False)).fit(X, Y)
    assert net.history[:, "noise_rate"] == noise_rates
    assert [rate is None for rate in noise_rates] == [True] * 2 + [False] * 6
    assert noise_rates[2] != noise_rates[-1] == net.noise_rate_


def test_printed_log_has_a_column_for_the_noise_rate():
    lines = []
    net = make(verbose=1).set_params(callbacks__print_log__sink=lines.append).fit(X, Y)
    header = lines[0].split()
    assert {"epoch", "train_loss", "coreset_size", "selection_dur", "noise_rate"} <= set(header)
    for name in ("coreset_size", "noise_rate"):
        printed = [float(line.split()[header.index(name)]) for line in lines[3:]]
        np.testing.assert_allclose(printed, net.history[1:, name], atol=5e-5)
    assert len(lines[2].split()) == len(header) - 1  # nothing is known in the warm-up


def test_no_noise_rate_in_the_log_where_selections_do_not_judge_labels():
    lines = []
    net = make(**PAPER | {"warmup_epochs": 2}, verbose=1)
    net.set_params(callbacks__print_log__sink=lines.append).fit(X, Y)
    assert "coreset_size" in lines[0]
    assert "noise_rate" not in lines[0]
    assert 0 < net.noise_rate_ < 1


def test_summary_of_labels_that_are_columns_of_names():
    net = make(classes=["a", "b", "c"]).fit(X, np.unique(Y, return_inverse=True)[1])
    assert net.get_summary().n_rows == len(X)

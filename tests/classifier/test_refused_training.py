"""What cannot be trained is told before the first batch; what only looks like it is trained."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn

from crust_sklearn import CRUSTClassifier, LabelAuditor, NoisyLabelClassifier
from crust_sklearn.modules import MLP

X, Y = load_iris(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


class Focal(nn.Module):
    """Focal loss, of one number for each row if it is asked for."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, y):
        own = logits.log_softmax(dim=1).gather(1, y[:, None])[:, 0]
        losses = -((1 - own.exp()) ** 2) * own
        return losses if self.reduction == "none" else losses.mean()


def make(cls=NoisyLabelClassifier, **params):
    return cls(MLP, **{"max_epochs": 3, "random_state": 0, "verbose": 0} | params)


def frozen(num_classes, in_features):
    return MLP(num_classes=num_classes, in_features=in_features).requires_grad_(False)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"criterion__reduction": "none"}, "criterion=CrossEntropyLoss returns losses of shape"),
        ({"criterion": Focal, "criterion__reduction": "none"}, "criterion=Focal returns losses"),
        ({"criterion__weight": torch.ones(3).double()}, "criterion__weight, in the dtype"),
        ({"criterion": nn.MSELoss}, "criterion=MSELoss fails on an output of shape"),
        ({"module": frozen}, "No parameter of the module requires a gradient"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")  # what torch says before it fails
def test_refused_with_a_sentence(params, sentence):
    net = make()
    with pytest.raises(ValueError, match=sentence):
        net.set_params(**params).fit(X, Y)


@pytest.mark.parametrize("cls", [NoisyLabelClassifier, CRUSTClassifier])
def test_probabilities_by_a_criterion_of_ones_own(cls):
    net = make(cls, criterion=Focal).fit(X, Y)
    proba = net.predict_proba(X)
    logits = net.forward(X).numpy()
    np.testing.assert_allclose(proba, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1e-4)
    raw = make(cls, criterion=Focal, predict_nonlinearity=None).fit(X, Y)
    np.testing.assert_allclose(raw.predict_proba(X), logits, rtol=1e-5)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 4.0])])
def test_rows_of_an_ignored_class_do_not_count_whatever_the_weights(weight):
    params = {"max_epochs": 1, "batch_size": -1, "criterion__ignore_index": 1}
    params |= {} if weight is None else {"criterion__weight": weight}
    nearly = np.ones(150)
    nearly[0] += 1e-6
    losses = [
        make(**params).fit(X, Y, sample_weight=w).history[-1, "train_loss"] for w in (None, nearly)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_embeddings_may_have_a_gradient():
    embedded = torch.as_tensor(X) @ torch.linspace(-1, 1, 24).reshape(4, 6).requires_grad_()
    plain = embedded.detach()
    fitted, expected = (make(CRUSTClassifier).fit(rows, Y) for rows in (embedded, plain))
    np.testing.assert_array_equal(fitted.predict_proba(embedded), expected.predict_proba(plain))
    qualities = [LabelAuditor().fit(rows, Y).label_quality_ for rows in (embedded, plain)]
    np.testing.assert_array_equal(*qualities)

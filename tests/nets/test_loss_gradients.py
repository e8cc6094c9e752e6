"""loss_gradients: what is not about the displays that draw them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.loss_gradients import loss_gradients

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def make(cls=CRUSTClassifier, **params):
    defaults = {"selector": "uniform", "coreset_size": 0.5, "gradient": "logits", "verbose": 0}
    defaults |= {"max_epochs": 3, "lr": 0.05, "random_state": 0}
    return cls(MLP, **defaults | params).fit(X, Y)


def test_those_of_the_last_layer_are_whole_matrices():
    net = make(gradient="last-layer")
    found = loss_gradients(net, X, Y).reshape(150, 3, -1)
    # Of rank one: the gradient at the logits times the features.
    at_logits = net.predict_proba(X) - np.eye(3)[Y]
    features = np.einsum("ic,ich->ih", at_logits, found) / (at_logits**2).sum(1, keepdims=True)
    np.testing.assert_allclose(found, at_logits[:, :, None] * features[:, None], atol=1e-5)
    layer = net.module_.fc
    logits = features @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(logits, net.forward(X), atol=1e-4)


def test_a_get_loss_of_ones_own_counts():
    class Doubled(CRUSTClassifier):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
            return loss if training else 2 * loss

    np.testing.assert_allclose(
        loss_gradients(make(Doubled), X, Y), 2 * loss_gradients(make(), X, Y), atol=1e-5
    )


def test_gradients_that_are_not_finite():
    net = make()
    with torch.no_grad():
        net.module_.fc.bias.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="not finite.*Lower lr"):
        loss_gradients(net, X, Y)

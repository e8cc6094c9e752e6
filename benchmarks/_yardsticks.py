"""Other ways to train on wrong labels, to measure against: each with its published defaults."""

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from crust_sklearn.strategies import BaseStrategy


class GeneralizedCrossEntropy(nn.Module):
    """Generalized cross-entropy (Zhang and Sabuncu, NeurIPS 2018): ``(1 - p_y^q) / q``, q = 0.7."""

    def __init__(self, q=0.7):
        super().__init__()
        self.q = q

    def forward(self, logits, y):
        p = logits.softmax(1).gather(1, y[:, None]).squeeze(1)
        return ((1 - p**self.q) / self.q).mean()


class SmallLoss(BaseStrategy):
    """The rows of smallest loss, from gradients at the logits: |p - y|_1 = 2 (1 - p_y)."""

    def _pick(self, X, n_select, sample_weight, random_state):
        return np.argsort(np.abs(X).sum(axis=1), kind="stable")[:n_select]


class Indexed(nn.Module):
    """A module whose rows come with their index, for nets that keep a state for each row."""

    def __init__(self, net, **options):
        super().__init__()
        self.net = net(**options)

    def forward(self, X, index=None):
        return self.net(X)


class EarlyLearningRegularization(NeuralNetClassifier):
    """ELR (Liu et al., NeurIPS 2020, Eq. 6 and 9), with lambda = 3 and beta = 0.7.

    Its module is `Indexed`, its X a dict of the rows `X` and their `index`.
    """

    lam, beta = 3.0, 0.7

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.targets_ = torch.zeros(len(y), int(np.max(y)) + 1, device=self.device)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if not training:
            return loss
        index = X["index"]
        p = y_pred.softmax(1).clamp(1e-4, 1 - 1e-4)
        detached = p.detach()
        targets = self.beta * self.targets_[index]
        targets = targets + (1 - self.beta) * detached / detached.sum(1, keepdim=True)
        self.targets_[index] = targets
        agreement = (targets * p).sum(1)
        return loss + self.lam * (1 - agreement).log().mean()


class AverageWeights(Callback):
    """An exponential average of the weights, put in the place of the last ones at the end.

    Its length is a tenth of the training, so that it is the same share of short and long ones.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        decay = 1 - min(1.0, 10 / self.n_steps)
        self.average_ = AveragedModel(
            net.module_, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
        )

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.average_.module.state_dict())

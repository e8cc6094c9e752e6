"""Mentor: a small network that tells from a row's loss whether its label is right."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ...nets import NoisyLabelClassifier

# Sizes as in the authors' code.
EPOCH_SIZE, HIDDEN_SIZE = 5, 20
N_PERCENTS = 100
BATCH_SIZE = 256
# Steps that a mentor is trained for, at least, and one epoch at least.
N_STEPS = 400


class Mentor(nn.Module):
    """The mentor network of MentorNet [1]_.

    Loss and difference go through a bidirectional LSTM of one step, the epoch through an embedding;
    then come a hidden layer of 20 units and a sigmoid.

    Notes
    -----
    As in the authors' code, the embedding of the epoch is drawn and stays as it is. The paper has
    an embedding of the label, too, whose input is always 0 in their code. It is left out: labels
    that were made wrong symmetrically say nothing about which classes are confused, and few trusted
    rows of each class are soon known by heart.

    References
    ----------
    .. [1] Jiang, Zhou, Leung, Li, Fei-Fei, "MentorNet: Learning Data-Driven Curriculum for Very
       Deep Neural Networks on Corrupted Labels", ICML 2018.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.baselines.parts.mentor import Mentor
    >>> mentor = Mentor()
    >>> losses = torch.tensor([0.1, 3.0])
    >>> mentor.weigh(losses, losses - 0.5, percent=20).shape
    torch.Size([2])
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 1, bidirectional=True, batch_first=True)
        self.epoch = nn.Embedding(N_PERCENTS, EPOCH_SIZE)
        self.epoch.weight.requires_grad_(False)
        self.head = nn.Sequential(
            nn.Linear(2 + EPOCH_SIZE, HIDDEN_SIZE), nn.Tanh(), nn.Linear(HIDDEN_SIZE, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return logits of a label being wrong, and being right.

        Parameters
        ----------
        features : tensor of shape (n, 3), dtype float32
            Loss, its difference to the moving percentile, percentage of the epochs that are over,
            from 0 to 99.

        Returns
        -------
        logits : tensor of shape (n, 2)
            The first is 0: their cross-entropy is the binary one of the second.
        """
        _, (states, _) = self.lstm(features[:, None, :2])
        parts = [states[0], states[1], self.epoch(features[:, 2].long())]
        logit = self.head(torch.cat(parts, dim=1))
        return torch.cat([torch.zeros_like(logit), logit], dim=1)

    @torch.no_grad()
    def weigh(self, losses: Tensor, differences: Tensor, percent: int) -> Tensor:
        """Return how probable it is that labels are right.

        Parameters
        ----------
        losses : tensor of shape (n,), dtype float32
        differences : tensor of shape (n,), dtype float32
            To the moving percentile.
        percent : int
            The percentage of the epochs that are over, from 0 to 99.

        Returns
        -------
        v : tensor of shape (n,), dtype float32
            The weights of the rows, in [0, 1].
        """
        percents = torch.full_like(losses, percent)
        features = torch.stack([losses, differences, percents], dim=1)
        return self(features).softmax(dim=1)[:, 1]


def train_mentor(features: np.ndarray, is_right: np.ndarray, random_state: int) -> Mentor:
    """Train a mentor by binary cross-entropy.

    Parameters
    ----------
    features : ndarray of shape (n, 3), dtype float32
        As in `Mentor.forward`.
    is_right : ndarray of shape (n,), dtype bool
        Whether the label is right: both must occur.
    random_state : int

    Returns
    -------
    mentor : Mentor
    """
    net = NoisyLabelClassifier(
        Mentor,
        lr=0.01,
        batch_size=BATCH_SIZE,
        max_epochs=math.ceil(N_STEPS / math.ceil(len(features) / BATCH_SIZE)),
        random_state=random_state,
        verbose=0,
    )
    net.fit(features, is_right.astype(np.int64))
    return net.module_.requires_grad_(False).eval()

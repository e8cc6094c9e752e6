"""TRevisionClassifier: importance reweighting by a transition matrix that is revised."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._validation import check_number
from ..nets import NoisyLabelClassifier, processes
from ..nets.evaluation import unwrap
from .parts.best_epoch import BestEpochClassifier
from .parts.slack import Slack
from .parts.transitions import TRANSITIONS, TransitionsMixin, to_tensor_like
from .parts.warm_start import RateRatioMixin


class TRevisionClassifier(RateRatioMixin, TransitionsMixin, NoisyLabelClassifier):
    r"""T-Revision: weigh rows by a transition matrix, and learn what it lacks beside the network.

    With p the predicted probabilities of the true classes, y the given label and
    :math:`T_{jk} = P(\text{given } k \mid \text{true } j)`, a row counts in the criterion

    .. math::

        \beta = \frac{p_y}{(T^\top p)_y},

    the probability that y is the true class over that of y as a label: so the expected loss of
    wrong labels is that of right ones [1]_ [2]_. There are three trainings, each of which begins
    where the one before has ended:

    1. by the criterion alone; T is estimated from the anchors of the network;
    2. by the criterion with the weights :math:`\beta`;
    3. the same with :math:`T + \Delta T` in the place of T, where the slack :math:`\Delta T` is
       learnt with the network. This is the net's own training.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    anchor_quantile : float, default=0.97
        In (0, 1]. The anchor of a class, whose predicted probabilities are its row of T, is the row
        at this quantile of the class's probability, among the rows given the class.
    first_epochs : int or None, default=None
        The epochs of the first training, of which the best is taken. None: `max_epochs`.
    reweighting_epochs : int or None, default=None
        The epochs of the second training, of which the best is taken. None: `max_epochs`.
    slack_range : float, default=0.1
        How far an entry of the slack can go, about, in a third training of `max_epochs` epochs; at
        least 0. Adam's learning rate is this over the number of steps.
    lr_ratio : float, default=0.01
        The learning rate of the network in the third training is this times `lr`; positive. It is
        small, as the authors' is: the network is trained already, and the matrix is not.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    initial_transition_matrix_ : ndarray of shape (n_classes, n_classes), dtype float64
        T, as it is estimated by the first training, in the order of ``classes_``.
    transition_matrix_ : ndarray of shape (n_classes, n_classes), dtype float64
        The revised one, :math:`T + \Delta T`, entries at least zero, rows scaled to sum to one.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability that the given label y is the true one, by the trained network and by the
        label itself: :math:`P(j \mid x, y) = p_j T_{jy} / (T^\top p)_y` for j = y, by the revised
        matrix.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        The most probable other label for the rows of quality below 0.5, else the given label; the
        given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    stage_histories_ : dict of str to History
        Of the trainings "first" and "reweighting".
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter is not valid.

    Notes
    -----
    Costs about three times as much as plain training.

    To the network the weights are constants, as where rows are reweighted [2]_, in both trainings.
    The authors' code cuts them off in the second alone; in the third one gradients flow through
    them to the network, too, where Adam's rate of 5e-7 leaves it nearly as it is. At rates that
    change it, it unlearns labels: the loss of a label of probability p is about p times -log p,
    which falls as p falls below 1/e. Here they flow to the slack alone.

    Here :math:`T + \Delta T` is scaled to rows that sum to one also in the loss. As it is, the
    loss falls with each of its entries, and they all would grow. The authors' code does not scale
    it. The loss of the third training is no measure of how right a matrix is: where T is right
    already, its minimum may be elsewhere. Hence the slack is kept small.

    The authors' settings for CIFAR-10 are 20, 200 and 200 epochs. A tenth of the epochs is few for
    small data, whose anchors are then sure of nothing. Adam's rate there is 5e-7, for the network,
    too: in 200 epochs of 390 steps, an entry can move by 0.04. `slack_range` says the same for
    trainings of any length.

    As in the paper, a tenth of the rows, a hundred at least but a third at most, is held out of the
    first two trainings, and their given labels choose the epoch: here, that of the least
    cross-entropy of :math:`T^\top p`, there, of the best accuracy. The third training is on all
    rows, and ends with its last epoch; there, it is chosen, too.

    References
    ----------
    .. [1] Xia, Liu, Wang, Han, Gong, Niu, Sugiyama, "Are Anchor Points Really Indispensable in
       Label-Noise Learning?", NeurIPS 2019.
    .. [2] Liu, Tao, "Classification with Noisy Labels by Importance Reweighting", IEEE
       Transactions on Pattern Analysis and Machine Intelligence 38(3), 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import TRevisionClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    >>> clf = TRevisionClassifier(MLP, max_epochs=12, random_state=0, verbose=0)
    >>> clf.fit(X / 16, noisy.y).score(X / 16, y) > 0.85
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        anchor_quantile: float = 0.97,
        first_epochs: int | None = None,
        reweighting_epochs: int | None = None,
        slack_range: float = 0.1,
        lr_ratio: float = 0.01,
        **kwargs: Any,
    ):
        self.anchor_quantile = anchor_quantile
        self.first_epochs = first_epochs
        self.reweighting_epochs = reweighting_epochs
        self.slack_range = slack_range
        self.lr_ratio = lr_ratio
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_anchors()
        self.check_lr_ratio()
        check_number("slack_range", self.slack_range, low=0)
        if self.reweighting_epochs is not None:
            check_number("reweighting_epochs", self.reweighting_epochs, kind=Integral, low=1)

    def prepare_training(self) -> None:
        """Estimate T and train by its weights, in the first call with these rows."""
        super().prepare_training()
        training, entries = self.training_, self.state_.entries
        assert training is not None
        if TRANSITIONS not in entries:
            held_out, epochs = self.draw_held_out(), self.reweighting_epochs
            first = self.train_for_anchors(held_out)
            reweighted = self.train_stage(
                "reweighting",
                ReweightedClassifier,
                weights=unwrap(first.module_).state_dict(),
                held_out=held_out,
                transition_matrix=entries[TRANSITIONS],
                max_epochs=self.max_epochs if epochs is None else epochs,
            )
            self.take_weights(reweighted)
        rate = self.slack_range / max(self.count_steps(training.codes), 1)
        device = next(self.module_.parameters()).device
        training.kept["slack"] = Slack(entries[TRANSITIONS], entries, rate, device)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses, weighted by the revised matrix.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        assert self.training_ is not None
        losses = super().get_losses(y_pred, y_true, rows)
        revised = self.training_.kept["slack"].get_revised()
        # Through its weight, a label of little probability is unlearnt: then it counts for less.
        p = self.get_probabilities(y_pred).detach()
        return compute_importance(p, y_true, revised) * losses

    def on_grad_computed(self, net: Any, *args: Any, training: bool = False, **kwargs: Any) -> None:
        """Learn the slack by the gradient of a training batch.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        training : bool, default=False
        """
        super().on_grad_computed(net, *args, training=training, **kwargs)
        if training and self.training_ is not None:
            slack = self.training_.kept["slack"]
            if processes.count(self) > 1:
                own = slack.parameter.grad
                total = processes.add_up(self, own.cpu().numpy())
                own.copy_(torch.as_tensor(total) / processes.count(self))
            slack.step()

    def get_transitions(self) -> np.ndarray:
        """Return the revised matrix.

        Returns
        -------
        matrix : ndarray of shape (n_classes, n_classes), dtype float64
        """
        assert self.training_ is not None
        slack = self.training_.kept["slack"].parameter.detach().cpu().double().numpy()
        revised = np.maximum(super().get_transitions() + slack, 0.0)
        return revised / revised.sum(axis=1, keepdims=True)

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the matrices among it.

        Returns
        -------
        attributes : dict of str to object
        """
        initial = {"initial_transition_matrix_": super().get_transitions()}
        return super().get_fitted_attributes() | initial


class ReweightedClassifier(BestEpochClassifier):
    """Training by the criterion, with the weights of a transition matrix; a stage of T-Revision.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    transition_matrix : ndarray of shape (n_classes, n_classes)
    **kwargs : dict
        As in `BestEpochClassifier`.
    """

    def __init__(self, module: Any, *, transition_matrix: np.ndarray, **kwargs: Any):
        self.transition_matrix = transition_matrix
        super().__init__(module, **kwargs)

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses, weighted.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        matrix = to_tensor_like(self.transition_matrix, y_pred)
        p = self.get_probabilities(y_pred).detach()
        return compute_importance(p, y_true, matrix) * super().get_losses(y_pred, y_true, rows)

    def get_given_probabilities(self, p: Tensor) -> Tensor:
        """Return what the matrix makes of predictions.

        Parameters
        ----------
        p : tensor of shape (n, n_classes)
            Of the true labels.

        Returns
        -------
        given : tensor of shape (n, n_classes)
            Of the given ones.
        """
        return p @ to_tensor_like(self.transition_matrix, p)


def compute_importance(p: Tensor, y_true: Tensor, matrix: Tensor) -> Tensor:
    """Return what each row counts, ``p_y / (T^T p)_y``.

    Parameters
    ----------
    p : tensor of shape (batch_size, n_classes)
        Probabilities of the true classes.
    y_true : tensor of shape (batch_size,), dtype int64
        Labels as columns.
    matrix : tensor of shape (n_classes, n_classes)
        T.

    Returns
    -------
    importance : tensor of shape (batch_size,)

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.baselines.t_revision import compute_importance
    >>> T = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    >>> compute_importance(torch.tensor([[0.8, 0.2]]), torch.tensor([1]), T)
    tensor([0.5000])
    """
    p = p.to(torch.promote_types(p.dtype, matrix.dtype))
    own = p.gather(1, y_true[:, None])[:, 0]
    given = (p * matrix.T[y_true].to(p.dtype)).sum(dim=1)
    # Where neither the class nor its label is predicted, the row counts nothing.
    return own / given.clamp_min(torch.finfo(given.dtype).eps)

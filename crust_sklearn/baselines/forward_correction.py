"""ForwardCorrectionClassifier: predictions taken through the noise before they meet labels."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..losses.transition_matrix import check_labels_occur, check_transition_matrix
from ..nets import NoisyLabelClassifier
from .parts.transitions import TRANSITIONS, TransitionsMixin, to_tensor_like


class ForwardCorrectionClassifier(TransitionsMixin, NoisyLabelClassifier):
    r"""Forward correction: learn the true classes through the noise that turns them into labels.

    With p the predicted probabilities of the true classes, and
    :math:`T_{jk} = P(\text{given } k \mid \text{true } j)`, the criterion compares the given
    label with

    .. math::

        q = T^\top p, \qquad q_k = \sum_j T_{jk} \, p_j,

    the probabilities of the given labels. By cross-entropy, that is the loss :math:`-\log q_y`,
    whose minimizer over all functions, if T is right and can be inverted, is that of cross-entropy
    on right labels [1]_ (Theorem 2). T is given, or estimated by a first training.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    transition_matrix : array-like of shape (n_classes, n_classes) or None, default=None
        T: a row for each true class, a column for each given one, in the order of ``classes_``.
        Rows sum to one, no column is all zeros. None: it is estimated from the anchors of a
        network that is trained on the given labels first.
    anchor_quantile : float, default=0.97
        In (0, 1]. The anchor of a class, whose predicted probabilities are its row of T, is the row
        at this quantile of the class's probability, among the rows given the class; 1 takes the
        largest. Not used where `transition_matrix` is given.
    first_epochs : int or None, default=None
        The epochs of the first training, of which the best is taken. None: `max_epochs`.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``. The criterion may be any that takes logits,
        with weights of classes or label smoothing, or ``NLLLoss``.

    Attributes
    ----------
    transition_matrix_ : ndarray of shape (n_classes, n_classes), dtype float64
        T, in the order of ``classes_``.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability that the given label y is the true one, by the trained network and by the
        label itself: :math:`P(j \mid x, y) = p_j T_{jy} / (T^\top p)_y` for j = y.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        The most probable other label for the rows of quality below 0.5, else the given label; the
        given ones.
    noise_rate_ : float
        The mean probability of the given labels to be wrong.
    stage_histories_ : dict of str to History
        Of the first training, "first", where there was one.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if a parameter is not valid, or `transition_matrix` is for another
        number of classes than there are.

    See Also
    --------
    crust_sklearn.losses.ForwardCorrectedLoss : The same with a known T, for any skorch net.

    Notes
    -----
    Costs about twice plain training; nothing more where T is given. A batch of n rows takes
    memory for ``n * n_classes ** 2`` numbers, as the sums over classes are taken of logarithms:
    the loss is finite where p underflows and where T has zeros. ``NLLLoss`` is given sums of
    probabilities.

    An estimate is as good as its anchors: a network that knows its labels by heart finds hardly
    any noise in them, one that is not sure of any row finds too much. Hence a tenth of
    the rows, a hundred at least but a third at most, is held out of the first training, which ends
    with the weights of the epoch after which their given labels are most probable; in the paper, it
    ends with its last epoch. For CIFAR-10 the paper leaves out
    what is above the 97th percentile of a class's probability over all rows; here that is over the
    rows given the class, so that the anchor is one of them also where classes are many. No
    estimated probability is less than 1e-8.

    ``valid_loss`` is the criterion's of the predictions, not corrected, as where the labels of
    validation are right.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import ForwardCorrectionClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.4, random_state=0)
    >>> options = dict(max_epochs=15, random_state=0, verbose=0)
    >>> clf = ForwardCorrectionClassifier(MLP, **options).fit(X / 16, noisy.y)
    >>> clf.score(X / 16, y) > 0.85
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        transition_matrix: Any = None,
        anchor_quantile: float = 0.97,
        first_epochs: int | None = None,
        **kwargs: Any,
    ):
        self.transition_matrix = transition_matrix
        self.anchor_quantile = anchor_quantile
        self.first_epochs = first_epochs
        super().__init__(module, **kwargs)

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        self.check_anchors()
        if self.transition_matrix is not None:
            check_labels_occur(check_transition_matrix(self.transition_matrix))

    def check_training(self) -> None:
        """Refuse a matrix for another number of classes."""
        super().check_training()
        if self.transition_matrix is None:
            return
        n_given, n_classes = len(self.transition_matrix), len(self.classes_)
        if n_given != n_classes:
            raise ValueError(
                f"transition_matrix is for {n_given} classes, and there are {n_classes}. Give a "
                "row and a column for each of classes_, in this order, or name all labels by "
                "`classes`."
            )

    def prepare_training(self) -> None:
        """Take the matrix that is given, or estimate it by a first training."""
        super().prepare_training()
        if self.transition_matrix is not None:
            self.set_transitions(check_transition_matrix(self.transition_matrix))
        elif TRANSITIONS not in self.state_.entries:
            self.train_for_anchors(self.draw_held_out())

    def get_losses(self, y_pred: Tensor, y_true: Tensor, rows: Tensor) -> Tensor:
        """Return the criterion's losses of the corrected predictions.

        Parameters
        ----------
        y_pred, y_true, rows
            As in `NoisyLabelClassifier`.

        Returns
        -------
        losses : tensor of shape (batch_size,)
        """
        return super().get_losses(self.correct(y_pred), y_true, rows)

    def correct(self, y_pred: Tensor) -> Tensor:
        """Return what is predicted of the given labels.

        Parameters
        ----------
        y_pred : tensor of shape (batch_size, n_classes)
            Logits of the true labels; probabilities with ``NLLLoss``.

        Returns
        -------
        corrected : tensor of shape (batch_size, n_classes)
            Logarithms of their probabilities, which are logits; probabilities with ``NLLLoss``.
        """
        matrix = to_tensor_like(self.get_transitions(), y_pred)
        if isinstance(self.criterion_, nn.NLLLoss):
            return y_pred.to(matrix.dtype) @ matrix
        log_p = y_pred.to(matrix.dtype).log_softmax(dim=1)
        return (log_p[:, :, None] + matrix.log()).logsumexp(dim=1)

"""How well each training label agrees with what the other rows say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

from .held_out import leave_one_out_predictions

# More features than this are projected: the leave-one-out predictions take n d^2 + d^3 operations.
MAX_FEATURES = 512
# A label is trusted if it gets this share of the best label's prediction, or less where such labels
# are seldom wrong.
MAX_RATIO = 0.85
# How near to the best label, from 1 (what a wrong label gets) to 0 (as much as the best).
POWER = 0.25
# With fewer multiplications, threads save little, and fight with torch's for the cores.
MIN_THREADED = 2**30
# The share of the rows predicted as a class, the surest, that show what becomes of its labels.
ANCHORS = 0.5
# With fewer wrong labels among these, leaving out hard rows costs more than it saves.
MIN_NOISE = 0.05


class LabelQuality:
    """Leave-one-out predictions of the training labels, at every selection and on average.

    At every selection the last layer's inputs are given a new last layer, by ridge regression, and
    every row is predicted by the one that is fitted without it (see `leave_one_out_predictions`):
    that layer cannot have memorized the row's label. Rows whose label is not trusted do not take
    part in the fits, and all classes count the same. The coreset goes by the last predictions, the
    quality of a label by their average over the selections, as in the area under the margin [1]_.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    n_classes : int
    sample_weight : ndarray of shape (n_rows,) or None
        What each row counts in the fits, and in the noise rate.

    Attributes
    ----------
    last : ndarray of shape (n_rows, n_classes), dtype float64
        The predictions of the last selection, of sum one in each row.
    average : ndarray of shape (n_rows, n_classes), dtype float64
        Their average over the selections.
    ratios : ndarray of shape (n_classes, n_classes), dtype float64
        What share of the best label's prediction (rows) a given label (columns) must get, see
        `get_min_ratios`. From the first selection, when no label has been memorized yet.
    is_trusted : ndarray of shape (n_rows,), dtype bool
        The rows to learn from: those whose label gets that share in the last predictions; all of
        them if the last selection finds fewer than 5 % of the labels wrong, among the rows that it
        is sure of. At least one of each class.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger, "Identifying Mislabeled Data using the Area Under
       the Margin Ranking", NeurIPS 2020: of the network's own logits.
    """

    def __init__(self, codes: np.ndarray, n_classes: int, sample_weight: np.ndarray | None = None):
        self.codes = codes
        self.n_classes = n_classes
        self.last = np.zeros((len(codes), n_classes))
        self.average = np.zeros((len(codes), n_classes))
        self.n_updates = 0
        self.ratios = np.zeros((n_classes, n_classes))
        self.set_weights(sample_weight)

    def set_weights(self, sample_weight: np.ndarray | None) -> None:
        """Set what each row counts from now on.

        Parameters
        ----------
        sample_weight : ndarray of shape (n_rows,) or None
        """
        self.weights = np.ones(len(self.codes)) if sample_weight is None else sample_weight
        self.is_trusted = self._find_trusted()

    def update(self, features: np.ndarray) -> None:
        """Take the last layer's inputs of one more selection into account.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
        """
        if features.shape[1] > MAX_FEATURES:
            draw = np.random.default_rng(0).standard_normal((features.shape[1], MAX_FEATURES))
            features = features @ draw.astype(features.dtype)
        one_hot = np.eye(self.n_classes)[self.codes]
        is_small = len(features) * features.shape[1] ** 2 < MIN_THREADED
        with threadpool_limits(1 if is_small else None, user_api="blas"):
            found = leave_one_out_predictions(features, one_hot, self._balanced_weights())
        found = np.maximum(found, 1e-4)
        found /= found.sum(axis=1, keepdims=True)
        self.last = found
        if self.n_updates == 0:
            self.ratios = get_min_ratios(found, self.codes, self.weights)
        self.n_updates += 1
        self.average += (found - self.average) / self.n_updates
        self.is_trusted = self._find_trusted()

    def _find_trusted(self) -> np.ndarray:
        if self.n_updates == 0 or self._get_anchor_rate() < MIN_NOISE:
            return np.ones(len(self.codes), dtype=bool)
        own, is_trusted = self._get_own(self.last), self._reaches_ratio()
        for code in np.flatnonzero(np.bincount(self.codes[~is_trusted])):
            rows = np.flatnonzero((self.codes == code) & (self.weights > 0))
            if len(rows) and not is_trusted[rows].any():
                is_trusted[rows[own[rows].argmax()]] = True
        return is_trusted

    def _get_anchor_rate(self) -> float:
        """Return the share of wrong labels among the rows that the last predictions are sure of."""
        anchors = find_anchors(self.last)
        is_wrong = self.last[anchors].argmax(axis=1) != self.codes[anchors]
        weights = self.weights[anchors]
        return float(weights @ is_wrong / (weights.sum() or 1.0))

    def _reaches_ratio(self) -> np.ndarray:
        best = self.last.argmax(axis=1)
        return self._get_own(self.last) >= self.ratios[best, self.codes] * self.last.max(axis=1)

    def _balanced_weights(self) -> np.ndarray:
        """Return weights of the trusted rows, of the same sum in every class."""
        weights = self.weights * self.is_trusted
        sums = np.bincount(self.codes, weights=weights, minlength=self.n_classes)
        return weights / np.where(sums > 0.0, sums, 1.0)[self.codes]

    def _get_own(self, predictions: np.ndarray) -> np.ndarray:
        """Return what the given labels get."""
        return predictions[np.arange(len(self.codes)), self.codes]

    def _get_suggested(self, predictions: np.ndarray) -> np.ndarray:
        is_wrong = self._get_scores(predictions) < 0.5
        return np.where(is_wrong, predictions.argmax(axis=1), self.codes)

    @property
    def residuals(self) -> np.ndarray:
        """What the last predictions leave of the labels, as gradients at the logits: float32."""
        return (self.last - np.eye(self.n_classes)[self.codes]).astype(np.float32)

    @property
    def suggested(self) -> np.ndarray:
        """The code that fits each row best on average; the given one if no other does better."""
        return self._get_suggested(self.average)

    @property
    def noise_rate(self) -> float:
        """The share of the rows (by weight) whose label got less than `ratios` ask for, at last."""
        return float(np.average(~self._reaches_ratio(), weights=self.weights))

    @property
    def scores(self) -> np.ndarray:
        """The quality of each label in [0, 1], 0.5 plus half its margin over the best other."""
        return self._get_scores(self.average)

    def _get_scores(self, predictions: np.ndarray) -> np.ndarray:
        others = predictions.copy()
        others[np.arange(len(self.codes)), self.codes] = -np.inf
        margin = self._get_own(predictions) - others.max(axis=1)
        return np.clip(0.5 + margin / 2.0, 0.0, 1.0)


def get_min_ratios(
    predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray
) -> np.ndarray:
    """Return the share of the best label's prediction from which on a given label is trusted.

    Among rows of class `p`, a share `T[p, g]` is labelled `g`. Predictions of the given labels
    tend to `T[p]` there: a wrong label `g` gets ``T[p, g] / T[p, p]`` of what `p` gets, and a label
    that gets more than that is the more likely to be right. `T` is read off the rows that are
    surely predicted, so-called anchor points [1]_: a network that has not learnt the classes yet
    does not make the labels look worse than they are.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes)
        Positive, of sum one in each row, each made without the row's label.
    codes : ndarray of shape (n_rows,), dtype int64
        The given labels as 0..n_classes-1.
    sample_weight : ndarray of shape (n_rows,)
        What each row counts, 1 on average.

    Returns
    -------
    ratios : ndarray of shape (n_classes, n_classes)
        Rows are the class predicted, columns the label given: the fourth root of what a wrong
        label gets, at most 0.85; 1 on the diagonal. The root is taken of calibrated predictions:
        those that are too unsure (powers above one would predict the labels better) ask for more.

    References
    ----------
    .. [1] Patrini, Rozza, Menon, Nock, Qu, "Making Deep Neural Networks Robust to Label Noise: a
       Loss Correction Approach", CVPR 2017, section 4.

    Examples
    --------
    A third of the second class is labelled 0, and none of the first class is labelled 1:

    >>> import numpy as np
    >>> from crust_sklearn.label_quality import get_min_ratios
    >>> predictions = np.repeat([[0.98, 0.02], [0.33, 0.67]], 300, axis=0)
    >>> codes = np.repeat([0, 0, 1], [300, 100, 200])
    >>> get_min_ratios(predictions, codes, np.ones(600)).round(2)
    array([[1.  , 0.32],
           [0.85, 1.  ]])
    """
    n_classes = predictions.shape[1]
    anchors = find_anchors(predictions)
    best = predictions[anchors].argmax(axis=1)
    transition = np.zeros((n_classes, n_classes))
    np.add.at(transition, (best, codes[anchors]), sample_weight[anchors])
    # Half a row more of each label, so that what was not seen is not held to be impossible.
    transition += 0.5
    is_predicted = np.bincount(best, minlength=n_classes) > 0
    transition[~is_predicted] = np.eye(n_classes)[~is_predicted]
    shares = transition / transition.diagonal()[:, None]
    power = POWER / max(1.0, _get_sharpness(predictions, codes, sample_weight))
    ratios = np.minimum(shares**power, MAX_RATIO)
    np.fill_diagonal(ratios, 1.0)
    return ratios


def find_anchors(predictions: np.ndarray) -> np.ndarray:
    """Return the surer half of the rows predicted as each class, and ten of them if there are ten.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_classes)

    Returns
    -------
    rows : ndarray of shape (n_anchors,), dtype int64
        Class by class, the surest first.
    """
    best = predictions.argmax(axis=1)
    order = np.lexsort((-predictions.max(axis=1), best))
    sizes = np.bincount(best, minlength=predictions.shape[1])
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    n_anchors = np.maximum(10, (ANCHORS * sizes).astype(np.int64))
    return order[rank < np.repeat(n_anchors, sizes)]


def _get_sharpness(predictions: np.ndarray, codes: np.ndarray, sample_weight: np.ndarray) -> float:
    """Return the power of the predictions that makes the given labels likeliest."""
    logs = np.log(predictions)
    own = sample_weight @ logs[np.arange(len(codes)), codes]

    def cross_entropy(power: float) -> float:
        return float(sample_weight @ logsumexp(power * logs, axis=1) - power * own)

    return float(minimize_scalar(cross_entropy, bounds=(0.5, 4.0), method="bounded").x)

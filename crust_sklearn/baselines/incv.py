"""INCVClassifier: rows whose label held-out networks agree to, then Co-teaching on these."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from .._validation import check_number
from ..label_noise import RowJudgement
from ..nets import EpochPlan, NoisyLabelClassifier
from ..nets.row_outputs import describe_predictions
from ..nets.stages import StagesMixin
from .co_teaching import CoTeachingClassifier

# The authors' code removes no more rows than twice those that it selects.
MAX_REMOVED = 2.0
CANDIDATE, SELECTED, REMOVED = 0, 1, 2


class INCVClassifier(StagesMixin, CoTeachingClassifier):
    """Iterative noisy cross-validation: select rows by held-out predictions, then co-teach.

    In each of some rounds [1]_ (Algorithm 2), the rows that are still candidates are split into
    halves. A network is trained on either half and all rows selected before; of the other half it
    selects the rows whose label it predicts, and removes those of largest loss, ``e / (1 - e)``
    times as many. What is neither is a candidate in the next round. Then Co-teaching is trained on
    the selected rows.

    The noise rate e is that with which networks that learn wrong labels by heart would be found to
    agree as often with held-out labels as those of the first round do, of C classes:
    ``(1 - e)^2 + e^2 / (C - 1)``, for symmetric noise.

    Parameters
    ----------
    module : torch.nn.Module class
        No instance, which both networks would be.
    noise_rate : float or "auto", default="auto"
        The share of wrong labels of all rows, e, in [0, 1); "auto": as above.
    n_rounds : int, default=4
        How often the candidates are split.
    round_epochs : int or None, default=None
        The epochs of each network of a round; None: `max_epochs`.
    n_gradual : int, default=10
        The epochs over which the share that Co-teaching leaves out rises to the noise rate of the
        selected rows.
    predict_by : {"first", "mean"}, default="first"
        Whether predictions are those of the first network, or the mean probabilities of both.
    **kwargs : dict
        As in `NoisyLabelClassifier`, by default ``optimizer=AdamW, lr=0.001, max_epochs=30,
        batch_size=64, iterator_train__shuffle=True``.

    Attributes
    ----------
    module_, peer_ : torch.nn.Module
        The two networks that were trained in the end.
    selected_indices_ : ndarray of shape (n_selected,), dtype int64
        The rows that the rounds selected, ascending.
    coreset_indices_ : ndarray of shape (n_coreset,), dtype int64
        Those of them that the first network was trained on in the last epoch, ascending.
    coreset_weights_ : ndarray of shape (n_coreset,), dtype float64
        Their `sample_weight`, of mean one.
    coreset_history_ : CoresetHistory
        The same of every epoch.
    stage_histories_ : dict of str to skorch.history.History
        Of the networks of the rounds: "round 1, half 1", "round 1, half 2", ...; of the last call
        that had rounds.
    label_quality_ : ndarray of shape (n_samples,), dtype float64
        The probability of each given label by the trained networks, as `predict_by` says.
    suggested_labels_, given_labels_ : ndarrays of shape (n_samples,)
        What is predicted for the rows of quality below 0.5, else the given label; the given ones.
    noise_rate_ : float
        The share of wrong labels of all rows, e.
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    Raises
    ------
    ValueError, TypeError
        Before any training, if `module` is an instance, or a parameter is not valid.

    Notes
    -----
    Costs one plain training in the first round; in a later one at most two, as both networks are
    trained on what is selected; and at most two in the end: with four rounds 8 or 9 in all. A call
    of `partial_fit` with the same rows has no rounds.

    Co-teaching leaves out ``e^2 / (e^2 + (C - 1) (1 - e)^2)``, what remains wrong among selected
    rows, for symmetric noise. The authors' code is told whether noise is asymmetric: then
    C - 1 is 1 in this, and no rows are removed. Here, it is not known. It also estimates e by one
    half in steps of 0.001, keeps of each network the epoch of the best held-out accuracy (in early
    rounds, by the noise), and from epoch 40 of 200 on (80, if noise is asymmetric or more than 0.6)
    adds to each batch candidates that are left, up to half as many, among which Co-teaching chooses
    too. Here, the halves are stratified by label.

    The estimate is too low, and fewer rows are removed, where networks do not learn wrong labels by
    heart: trained briefly, they agree with held-out labels more often than that. More rows are
    selected then, and still most of them are right.

    Where the rounds select no row, all rows are trained on. Rows of `sample_weight` zero are
    neither split nor selected.

    References
    ----------
    .. [1] Chen, Liao, Chen, Zhang, "Understanding and Utilizing Deep Neural Networks Trained with
       Noisy Labels", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from crust_sklearn import make_label_noise
    >>> from crust_sklearn.baselines import INCVClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_digits(return_X_y=True)
    >>> noisy = make_label_noise(y, "symmetric", 0.3, random_state=0)
    >>> clf = INCVClassifier(MLP, n_rounds=2, max_epochs=5, random_state=0, verbose=0)
    >>> clf = clf.fit(X[:600] / 16, noisy.y[:600])
    >>> bool(noisy.is_wrong[clf.selected_indices_].mean() < 0.1)  # 0.3 of all rows
    True
    """

    def __init__(
        self,
        module: Any,
        *,
        noise_rate: float | str = "auto",
        n_rounds: int = 4,
        round_epochs: int | None = None,
        n_gradual: int = 10,
        predict_by: str = "first",
        **kwargs: Any,
    ):
        self.n_rounds = n_rounds
        self.round_epochs = round_epochs
        super().__init__(
            module, noise_rate=noise_rate, n_gradual=n_gradual, predict_by=predict_by, **kwargs
        )

    def check_parameters(self) -> None:
        """Refuse parameters that are not valid."""
        super().check_parameters()
        if callable(self.noise_rate):
            raise TypeError(
                f"noise_rate={self.noise_rate!r} is a schedule, and the rounds of "
                f"{type(self).__name__} come before the first epoch. Give a number in [0, 1), or "
                "'auto'."
            )
        check_number("n_rounds", self.n_rounds, kind=Integral, low=1)
        if self.round_epochs is not None:
            check_number("round_epochs", self.round_epochs, kind=Integral, low=1)

    # -- the rounds -----------------------------------------------------------------------

    def prepare_training(self) -> None:
        """Select rows, unless this was done for the same rows in a call before."""
        super().prepare_training()
        training, entries = self.training_, self.state_.entries
        if "selected" in entries:
            return
        assert training is not None
        has_weight = np.ones(len(training.rows), bool)
        if training.weights is not None:
            has_weight = training.weights > 0
        status = np.where(has_weight, CANDIDATE, REMOVED)
        for number in range(1, self.n_rounds + 1):
            if np.count_nonzero(status == CANDIDATE) < 2:
                break
            self._run_round(number, status)
        is_selected = status == SELECTED
        entries["selected"] = np.sort(
            training.rows[is_selected if is_selected.any() else has_weight]
        )

    def _run_round(self, number: int, status: np.ndarray) -> None:
        """Select and remove rows of the candidates, in place."""
        training = self.training_
        assert training is not None and training.codes is not None
        rng = np.random.default_rng(self.get_seed("halves", number))
        halves = split_by_label(np.flatnonzero(status == CANDIDATE), training.codes, rng)
        before = np.flatnonzero(status == SELECTED)
        epochs = self.max_epochs if self.round_epochs is None else self.round_epochs
        given, agrees = np.empty(len(status)), np.empty(len(status), bool)
        for i, (half, other) in enumerate((halves, halves[::-1]), 1):
            stage = self.train_stage(
                f"round {number}, half {i}",
                NoisyLabelClassifier,
                positions=np.sort(np.concatenate([before, half])),
                max_epochs=epochs,
            )
            found = describe_predictions(self, self._compare, stage)
            given[other], agrees[other] = found["given"][other], found["agrees"][other]
        if number == 1:
            self._keep_noise_rate(float(agrees[np.concatenate(halves)].mean()))
        rate = self.get_total_noise_rate()
        for half in halves:
            chosen = half[agrees[half]]
            n_removed = int(min(MAX_REMOVED, rate / (1 - rate)) * len(chosen) + 1e-9)
            # Of largest loss; what is selected stays.
            status[half[np.argsort(given[half], kind="stable")[:n_removed]]] = REMOVED
            status[chosen] = SELECTED

    def _compare(self, proba: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
        """Return what given labels are predicted with, and whether they are the predicted ones."""
        assert self.training_ is not None and self.training_.codes is not None
        codes = self.training_.codes[at]
        return {
            "given": proba[np.arange(len(codes)), codes],
            "agrees": proba.argmax(axis=1) == codes,
        }

    def _keep_noise_rate(self, agreement: float) -> None:
        if isinstance(self.noise_rate, str):
            rate = solve_noise_rate(agreement, len(self.classes_))
            self.state_.entries["noise_rate"] = np.asarray(rate)

    # -- the end --------------------------------------------------------------------------

    def get_total_noise_rate(self) -> float:
        """Return the share of wrong labels of all rows; 0 where nothing is known of it.

        Returns
        -------
        noise_rate : float
        """
        if isinstance(self.noise_rate, str):
            return self.state_.get_number("noise_rate") or 0.0
        return float(self.noise_rate)  # type: ignore[arg-type]

    def get_noise_rate(self, epoch: int) -> float:
        """Return the share of wrong labels of the selected rows, that Co-teaching goes by.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        noise_rate : float
        """
        rate = self.get_total_noise_rate()
        return rate**2 / (rate**2 + (len(self.classes_) - 1) * (1 - rate) ** 2)

    def plan_epoch(self, epoch: int) -> EpochPlan | None:
        """Take the selected rows, and find the share of them that the coming epoch leaves out.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        plan : EpochPlan
        """
        super().plan_epoch(epoch)
        return self.state_.plan or EpochPlan(self.state_.entries["selected"])

    def judge_rows(self) -> RowJudgement | None:
        """Return how probable the trained networks hold the labels.

        Returns
        -------
        judgement : RowJudgement or None
        """
        judgement = super().judge_rows()
        if judgement is None:
            return None
        return judgement._replace(noise_rate=self.get_total_noise_rate())

    def get_fitted_attributes(self) -> dict[str, Any]:
        """Return what the net publishes, the rows that were selected among it.

        Returns
        -------
        attributes : dict of str to object
        """
        selected = {"selected_indices_": self.state_.entries["selected"]}
        return super().get_fitted_attributes() | selected | self.describe_used()


def split_by_label(
    positions: np.ndarray, codes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return two halves of rows, at random, with as many rows of each label, or one more.

    Parameters
    ----------
    positions : ndarray of shape (n,), dtype int64
    codes : ndarray of shape (n_train,), dtype int64
        The labels of all.
    rng : numpy Generator

    Returns
    -------
    first, second : ndarrays of dtype int64
        As large as each other, or the first by one larger.
    """
    drawn = rng.permutation(positions)
    by_label = drawn[np.argsort(codes[drawn], kind="stable")]
    return by_label[::2], by_label[1::2]


def solve_noise_rate(agreement: float, n_classes: int) -> float:
    """Return the e of ``(1 - e)^2 + e^2 / (C - 1) = agreement``, the smaller one.

    Parameters
    ----------
    agreement : float
        The share of held-out labels that are predicted.
    n_classes : int
        C.

    Returns
    -------
    noise_rate : float
        In [0, (C - 1) / C]; this, where agreement is less than by chance.
    """
    share = (n_classes - 1) / n_classes
    return share * (1 - np.sqrt(max(0.0, 1 - (1 - agreement) / share)))

"""Labels that are judged: when, by what, and what is published of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ..label_noise import (
    LabelJudgement,
    LabelQuality,
    RowJudgement,
    TrainingSummary,
    choose_features,
    join_features,
    make_kernel_features,
    summarize,
)
from ..label_noise.judging_features import N_KERNEL
from ..label_noise.own_rows import OwnRows
from ..labels import LabelCodec
from .row_outputs import (
    RowOutputs,
    compute_row_outputs,
    describe_predictions,
    is_vectors,
)
from .training import Training

# When a network has learnt something of images, and not yet the rows by heart.
IMAGE_EPOCHS = 4


def get_judging_epoch(net: Any) -> int:
    """Return how many epochs are trained before labels are first judged.

    Parameters
    ----------
    net : NoisyLabelClassifier

    Returns
    -------
    n_epochs : int
        Outside of a training, the most that it may be.
    """
    training, n_epochs = net.training_, net.max_epochs
    if training is not None:
        n_epochs = training.count_epochs(n_epochs)
    most = min(IMAGE_EPOCHS, max(1, n_epochs // 3))
    return most if training is None or not has_vectors(training) else 1


def has_vectors(training: Training) -> bool:
    """Return whether inputs are vectors, which judge labels beside the features."""
    if "has_vectors" not in training.kept:
        training.kept["has_vectors"] = is_vectors(training.fetch_judged(np.arange(1))[0])
    return bool(training.kept["has_vectors"])


def start_judging(net: Any, outputs: RowOutputs) -> LabelQuality:
    """Return what the training rows say of each other's labels, the first time.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.
    outputs : RowOutputs
        With inputs where these are vectors.

    Returns
    -------
    quality : LabelQuality
    """
    training = net.training_
    start = LabelQuality.start(training.codes, len(net.classes_), training.weights)
    if outputs.inputs is None:
        return start.update(place(net, join_features([outputs.features])))
    # Inputs, unlike features, have not been trained on the labels that they judge. A kernel sees in
    # them what the network has not learnt yet, or never will.
    blocks = [outputs.features, outputs.inputs, make_kernel_features(outputs.inputs)]
    more = place(net, join_features(blocks))
    rows = OwnRows.of(more)
    features = rows.replace(rows.values[:, :-N_KERNEL])
    return start.update(
        choose_features(features, more, training.codes, start.n_classes, start.weights)
    )


def judge_now(net: Any) -> LabelQuality:
    """Return what the training rows say of each other's labels, by the current network.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.

    Returns
    -------
    quality : LabelQuality
    """
    training = net.training_
    outputs = compute_row_outputs(
        net,
        training.selection_dataset,
        numbers=training.rows,
        with_inputs=True,
        for_selection=True,
        **training.fit_params,
    )
    return start_judging(net, outputs)


def place(net: Any, features: Any) -> Any:
    """Return features where they are fitted: on the module's device, if it is not the CPU."""
    if net.device is None or torch.device(net.device).type == "cpu":
        return features
    rows = OwnRows.of(features)
    return rows.replace(torch.as_tensor(rows.values, device=net.device))


def judge_by_predictions(net: Any) -> RowJudgement | None:
    """Return how probable the network holds the labels of the training rows, when it is trained.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training.

    Returns
    -------
    judgement : RowJudgement or None
        None before the end of a training: what predictions say before is not asked for.
    """
    training = net.training_
    if not training.is_over or training.codes is None:
        return None
    return judge_predicted(net)


def judge_predicted(
    net: Any,
    scores: np.ndarray | None = None,
    correct: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> RowJudgement:
    """Return what the current network's predictions say of the labels of the training rows.

    Parameters
    ----------
    net : NoisyLabelClassifier
        In training, with labels that can be read.
    scores : ndarray of shape (n_train,) or None, default=None
        How probable the given labels are, where something else tells; NaN: the predictions do.
    correct : callable or None, default=None
        ``correct(probabilities, codes)`` returns the probabilities of the true labels, given those
        that the network predicts for a batch, and the given labels of its rows. None: these.

    Returns
    -------
    judgement : RowJudgement
        Found a batch at a time: n_train x n_classes numbers are never there at once.
    """
    training = net.training_

    def describe(proba: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
        codes = training.codes[at]
        proba = proba if correct is None else correct(proba, codes)
        own = proba[np.arange(len(codes)), codes]
        if scores is not None:
            own = np.where(np.isnan(scores[at]), own, scores[at])
        judged = RowJudgement.from_probabilities(proba, codes, scores=own)
        return {"scores": judged.scores, "suggested": judged.suggested}

    found = describe_predictions(net, describe)
    noise_rate = 1.0 - np.average(found["scores"], weights=training.weights)
    return RowJudgement(**found, noise_rate=float(noise_rate))


def describe_labels(
    judgement: LabelJudgement, training: Training, codec: LabelCodec
) -> dict[str, Any]:
    """Return the fitted attributes that tell about the labels of all rows of X.

    Parameters
    ----------
    judgement : LabelJudgement
        Of the training rows.
    training : Training
    codec : LabelCodec
        Knows the labels of the codes.

    Returns
    -------
    attributes : dict of str to object
        `label_quality_`, `suggested_labels_`, `given_labels_` and `noise_rate_`.
    """
    assert training.all_codes is not None
    suggested = training.all_codes.copy()
    suggested[training.rows] = judgement.suggested
    return {
        "label_quality_": training.spread(judgement.scores, np.nan),
        "suggested_labels_": codec.decode(suggested),
        "given_labels_": codec.decode(training.all_codes),
        "noise_rate_": judgement.noise_rate,
    }


def explain_unjudged(net: Any) -> str:
    """Return the message about a net that has not judged its labels: why, and what to do.

    Parameters
    ----------
    net : CRUSTClassifier

    Returns
    -------
    message : str
    """
    start = "This %(name)s has not judged its training labels yet: "
    n_epochs = len(getattr(net, "history_", None) or ())
    if not n_epochs:
        return start + "fit it, for more than warmup_epochs epochs."
    trained = "one epoch" if n_epochs == 1 else f"{n_epochs} epochs"
    remedy = "Train on by partial_fit, or fit it with a larger max_epochs"
    if not isinstance(net.warmup_epochs, str):
        return (
            f"{start}it has been trained for {trained}, and the first selection comes after "
            f"warmup_epochs={net.warmup_epochs}. {remedy} or a smaller warmup_epochs."
        )
    state = vars(net).get("state_")
    if state is None or "held_out" not in state.entries:
        return (
            f"{start}it has been trained for {trained}, and with warmup_epochs='auto' the first "
            f"selection comes after one epoch at least. {remedy}."
        )
    return (
        f"{start}after {trained}, the warm-up of warmup_epochs='auto' is still open. It ends when "
        "rows that are held out say that the features get no better, at the latest after two "
        f"thirds of max_epochs={net.max_epochs}. {remedy}; or set warmup_epochs to the number of "
        "epochs to judge labels after."
    )


def summarize_net(net: Any) -> TrainingSummary:
    """Return what a net found about the labels, from its fitted attributes.

    Parameters
    ----------
    net : NoisyLabelClassifier
        One that publishes what `describe_labels` returns.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it has not judged its labels yet.
    """
    check_is_fitted(net, ["label_quality_", "coreset_indices_"], msg=explain_unjudged(net))
    is_judged = ~np.isnan(net.label_quality_)
    is_kept = np.zeros(len(is_judged), bool)
    is_kept[net.coreset_indices_] = True
    return summarize(
        net.given_labels_[is_judged],
        net.suggested_labels_[is_judged],
        is_kept[is_judged],
        net.classes_ if net.codec_ is None else net.codec_.classes,
        net.noise_rate_,
    )

"""What is published of labels that were judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..label_noise import LabelQuality, TrainingSummary, summarize
from ..labels import LabelCodec
from .training import Training


def describe_labels(quality: LabelQuality, training: Training, codec: LabelCodec) -> dict[str, Any]:
    """Return the fitted attributes that tell about the labels of all rows of X.

    Parameters
    ----------
    quality : LabelQuality
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
    suggested[training.rows] = quality.suggested
    return {
        "label_quality_": training.spread(quality.scores, np.nan),
        "suggested_labels_": codec.decode(suggested),
        "given_labels_": codec.decode(training.all_codes),
        "noise_rate_": quality.noise_rate,
    }


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
    check_is_fitted(
        net,
        ["label_quality_", "coreset_indices_"],
        msg="This %(name)s has not judged its training labels yet: fit it, for more than "
        "warmup_epochs epochs.",
    )
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

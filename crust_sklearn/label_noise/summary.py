"""What was found about the labels, in a few lines."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..labels import LabelCodec

# How many of each kind are printed.
MAX_PAIRS = 10
MAX_CLASSES = 10
MAX_WARNINGS = 3
WIDTH = 100

_NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class TrainingSummary:
    """What became of the labels: how many seem wrong, and how many rows of each class were kept.

    ``print(summary)`` renders it in a few lines: the ten most frequent pairs, and the ten classes
    of which the least share was kept.

    Attributes
    ----------
    noise_rate : float
        The estimated share of wrong labels.
    n_rows : int
        The number of rows that were judged.
    n_kept : int
        How many of them were kept: those in the last coreset, or whose label is trusted.
    kept_per_class : dict
        For each class how many of the rows labelled so were kept, and of how many:
        ``{class: (kept, of)}``.
    noise_pairs : list of tuple
        ``(given, suggested, count)`` for every label that is suggested in place of another, the
        most frequent first.
    warnings : list of str
        What the user should look at: classes that have not been learnt, and classes of which hardly
        a row was kept.
    """

    noise_rate: float
    n_rows: int
    n_kept: int
    kept_per_class: dict[Any, tuple[int, int]]
    noise_pairs: list[tuple[Any, Any, int]]
    warnings: list[str]

    def __str__(self) -> str:
        lines = [
            f"{self.noise_rate:.1%} of {self.n_rows} labels seem wrong; "
            f"{self.n_kept} rows are kept."
        ]
        if self.noise_pairs:
            pairs = [f"{given} -> {other}: {count}" for given, other, count in self.noise_pairs]
            lines += _enumerate("Given -> suggested label, most frequent first", pairs, MAX_PAIRS)
        shares = sorted(
            self.kept_per_class.items(), key=lambda item: item[1][0] / (item[1][1] or 1)
        )
        kept = [f"{name}: {kept} of {of}" for name, (kept, of) in shares if of]
        lines += _enumerate("Rows kept per class, the least share first", kept, MAX_CLASSES)
        for warning in self.warnings[:MAX_WARNINGS]:
            lines += _wrap(f"Warning: {warning}")
        if len(self.warnings) > MAX_WARNINGS:
            lines.append(f"And {len(self.warnings) - MAX_WARNINGS} more warnings.")
        return "\n".join(lines)


def summarize(
    labels: np.ndarray,
    suggested: np.ndarray,
    is_kept: np.ndarray,
    classes: np.ndarray,
    noise_rate: float,
) -> TrainingSummary:
    """Count what became of the labels.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        The given labels of the rows that were judged.
    suggested : ndarray of shape (n_rows,)
        The labels that fit them best.
    is_kept : ndarray of shape (n_rows,), dtype bool
        Whether they are kept.
    classes : ndarray of shape (n_classes,)
        All labels.
    noise_rate : float
        The estimated share of wrong labels.

    Returns
    -------
    summary : TrainingSummary

    Raises
    ------
    ValueError
        If `labels` or `suggested` hold a label that is not among the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.label_noise import summarize
    >>> labels = np.repeat(["cat", "dog"], [4, 3])
    >>> suggested = np.array(["cat", "dog", "cat", "cat", "dog", "dog", "dog"])
    >>> summary = summarize(
    ...     labels, suggested, labels == suggested, np.unique(labels), 1 / 7
    ... )
    >>> summary.kept_per_class
    {'cat': (3, 4), 'dog': (3, 3)}
    >>> print(summary)
    14.3% of 7 labels seem wrong; 6 rows are kept.
    Given -> suggested label, most frequent first: cat -> dog: 1.
    Rows kept per class, the least share first: cat: 3 of 4, dog: 3 of 3.
    """
    codec, names = LabelCodec(classes), np.asarray(classes).tolist()
    given, other = codec.encode(labels), codec.encode(suggested)
    n = len(names)
    sizes = np.bincount(given, minlength=n)
    kept = np.bincount(given[is_kept], minlength=n)
    confirmed = np.bincount(given[given == other], minlength=n)
    pairs, counts = np.unique((given * n + other)[given != other], return_counts=True)
    frequent = np.argsort(-counts, kind="stable")
    return TrainingSummary(
        noise_rate=float(noise_rate),
        n_rows=len(given),
        n_kept=int(kept.sum()),
        kept_per_class=dict(
            zip(names, zip(kept.tolist(), sizes.tolist(), strict=True), strict=True)
        ),
        noise_pairs=[
            (names[pairs[at] // n], names[pairs[at] % n], int(counts[at])) for at in frequent
        ],
        warnings=_warn(names, sizes, kept, confirmed),
    )


def _warn(
    names: list[Any], sizes: np.ndarray, kept: np.ndarray, confirmed: np.ndarray
) -> list[str]:
    """Say which classes are not learnt or left out; those without rows are neither."""
    not_learnt = [
        f"class {names[code]}: it has not been learnt: it is suggested for {confirmed[code]} of "
        f"its {sizes[code]} rows. Check whether most labels of the class are wrong; if not, train "
        "longer (warmup_epochs, max_epochs), or give features that tell it apart."
        for code in np.flatnonzero(2 * confirmed < sizes)
    ]
    left_out = [
        f"class {names[code]}: only {kept[code]} of its {sizes[code]} rows was kept. Check its "
        "labels, give it more rows, or set a larger coreset_size."
        for code in np.flatnonzero((sizes > 0) & (kept <= 1))
    ]
    return not_learnt + left_out


def _enumerate(title: str, entries: list[str], n_shown: int) -> list[str]:
    """Return the first entries in lines of the width, and how many more there are."""
    more = len(entries) - n_shown
    end = f", and {more} more." if more > 0 else "."
    # Lines do not break within an entry.
    shown = ", ".join(entry.replace(" ", _NO_BREAK) for entry in entries[:n_shown])
    lines = _wrap(f"{title}: {shown}{end}")
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)

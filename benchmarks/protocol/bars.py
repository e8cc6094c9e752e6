"""The first figure: accuracy with and without the method, by how labels came to be wrong."""

import sys

import numpy as np

# What a stranger would call it: the sets whose accuracies are averaged for it.
BARS = {
    "crowd workers' labels, 26 % wrong": ["labelme"],
    "weak labelling rules, 14 and 21 % wrong": ["wrench_semeval", "wrench_youtube"],
    "20 % wrong at random": "symmetric 20%",
    "50 % wrong at random": "symmetric 50%",
    "80 % wrong at random": "symmetric 80%",
    "40 % wrong, each class called another": "asymmetric 40%",
    "40 % wrong, depending on the row": "instance 40%",
    "no label wrong": "clean",
}
LABELS = {"plain": "trained as usual", "default": "with CRUSTClassifier"}
COLORS = {"plain": "#9A9A9A", "default": "#0072B2"}


def find_cells(cells, which):
    """Return the cells of the sets named, or of those whose noise is."""
    if isinstance(which, str):
        return [cell for cell in cells if cell[0].endswith(f" {which}")]
    return [cell for cell in cells if cell[0] in which]


def draw_bars(figures, cells, path):
    """Draw the mean accuracy of plain training and of the default, and of the oracle as a tick."""
    import matplotlib.pyplot as plt

    groups = {label: find_cells(cells, which) for label, which in BARS.items()}
    at = np.arange(len(groups))
    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    for method, shift in (("plain", -0.19), ("default", 0.19)):
        found = [100 * figures.get_mean(own, method, "test_accuracy") for own in groups.values()]
        bars = axes.barh(at + shift, found, 0.36, color=COLORS[method], label=LABELS[method])
        weight = "bold" if method == "default" else "normal"
        axes.bar_label(bars, [f"{v:.0f}" for v in found], padding=-24, color="white", weight=weight)
    best = [100 * figures.get_mean(own, "oracle", "test_accuracy") for own in groups.values()]
    axes.vlines(best, at - 0.4, at + 0.4, color="black", linewidth=2)
    kept = "on the right rows alone"
    (tick,) = axes.plot([], [], "|", color="black", markersize=14, markeredgewidth=2, label=kept)
    axes.set_yticks(at, groups)
    axes.set(xlim=(0, 100), xlabel="test accuracy in %, by true labels")
    figure.legend(
        handles=[*axes.containers, tick],
        loc="outside upper left",
        ncols=3,
        frameon=False,
        title="The same network and the same wrong labels, trained",
        title_fontproperties={"weight": "bold", "size": 13},
        alignment="left",
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=110)
    print(path, file=sys.stderr)

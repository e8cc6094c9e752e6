"""Tables and the figure of the results."""

import sys

import numpy as np
from _markdown import print_table

from .figures import is_noisy
from .sets import KINDS, SETS

ONE_SEED = "¹"
CRUST_NAMES = {
    "default": "CRUSTClassifier",
    "paper": "CRUST, as in the paper",
    "reference": "CRUST, reference code",
}


def show(value, form):
    """Return a number as text, and nothing for what was not run."""
    return "" if np.isnan(value) else format(value, form)


def print_report(figures, cells, methods, *, has_accuracies=True):
    """Print summary and accuracies of every recipe, before them the summary of all together."""
    recipes = list(dict.fromkeys(recipe for _, recipe in cells))
    if len(recipes) > 1:
        print(f"\nAll recipes: {', '.join(recipes)}")
        print_summary(figures, cells, methods)
    for recipe in recipes:
        if len(recipes) > 1:
            print(f"\nRecipe: {recipe}")
        own = [cell for cell in cells if cell[1] == recipe]
        ran = [m for m in methods if any(figures.get_accuracies(cell, m) for cell in own)]
        print_summary(figures, own, ran)
        if has_accuracies:
            print_accuracies(figures, own, ran)


# -- the summary: a row for each method -------------------------------------------------------


def print_summary(figures, cells, methods):
    """Print what a method gains over all sets of a kind, and where it does the most harm."""
    noisy_kinds = [k for k in KINDS if k != "clean" and any(SETS[n].kind == k for n, _ in cells)]
    header = (
        *("method", "gap closed: pooled", "mean"),
        *(noisy_kinds if len(noisy_kinds) > 1 else ()),
        *("clean: gain", "worst set: gain", "clean fraction", "recall", "time"),
    )
    rows = [summarize(figures, cells, m, noisy_kinds) for m in methods]
    print()
    print_table(header, rows, is_aligned=False)


def sort_methods(figures, cells, methods):
    """Return the methods by the pooled share of the gap, the largest first."""
    noisy = [cell for cell in cells if is_noisy(cell)]
    shares = {m: np.nan_to_num(figures.get_share(noisy, m), nan=-np.inf) for m in methods}
    return sorted(methods, key=lambda name: -shares[name])


def summarize(figures, cells, method, noisy_kinds):
    """Return one row of the summary; where a method was not run on all cells, it says so."""
    noisy = [cell for cell in cells if is_noisy(cell)]
    clean = [cell for cell in cells if not is_noisy(cell)]
    of_kind = {k: [cell for cell in noisy if SETS[cell[0]].kind == k] for k in noisy_kinds}
    kinds = [figures.get_share(of_kind[k], method) for k in noisy_kinds]
    clean_gains = figures.get_gains(clean, method)
    return (
        method,
        show(figures.get_share(noisy, method), ".0%") + count(figures.get_gains(noisy, method)),
        show(figures.get_mean_share(noisy, method), ".0%"),
        *((show(share, ".0%") for share in kinds) if len(kinds) > 1 else ()),
        show(mean(clean_gains), "+.1f") + count(clean_gains),
        find_worst(figures, cells, method),
        *(
            show(figures.get_mean(noisy, method, what), ".1%")
            for what in ("clean_fraction", "clean_recall")
        ),
        show(figures.get_time(cells, method), ".2f"),
    )


def mean(values):
    """Return the mean of what is known."""
    known = values[~np.isnan(values)]
    return known.mean() if len(known) else np.nan


def count(values):
    """Return how many of the values are known, where it is not all or none."""
    n_known = np.count_nonzero(~np.isnan(values))
    return "" if n_known in (0, len(values)) else f" ({n_known} of {len(values)})"


def find_worst(figures, cells, method):
    """Return the least gain and its set, with the recipe where there are several."""
    gains = figures.get_gains(cells, method)
    if np.isnan(gains).all():
        return ""
    name, recipe = cells[np.nanargmin(gains)]
    has_several = len({recipe for _, recipe in cells}) > 1
    return f"{np.nanmin(gains):+.1f} ({name}{f', {recipe}' if has_several else ''})"


# -- the accuracies: a row for each set, or one for each change --------------------------------


def print_accuracies(figures, cells, methods):
    """Print the accuracy of every set and method, with its deviation over the seeds."""
    rows = []
    for cell in cells:
        wrong = 1 - figures.get_mean([cell], methods[0], "base_rate")
        accuracies = [show_accuracy(figures.get_accuracies(cell, m)) for m in methods]
        rows.append([cell[0], show(wrong, ".0%"), *accuracies])
    single = [text.endswith(ONE_SEED) for row in rows for text in row[2:] if text]
    note = f"{ONE_SEED} one seed"
    if all(single):
        rows = [[text.removesuffix(ONE_SEED) for text in row] for row in rows]
        note = "All of one seed."
    table = [("set", "wrong", *methods), *rows]
    if len(methods) > max(12, len(cells)):  # a row for each method, then
        table = [*zip(*table, strict=True)]
    print()
    print_table(table[0], table[1:], is_aligned=False)
    if any(single):
        print(f"\n{note}")


def show_accuracy(by_seed):
    """Return mean and deviation over seeds, and marked the accuracy of one seed."""
    found = list(by_seed.values())
    if len(found) < 2:
        return "".join(f"{accuracy:.1f}{ONE_SEED}" for accuracy in found)
    return f"{np.mean(found):.1f} ± {np.std(found, ddof=1):.1f}"


def print_changes(figures, cells, methods, against):
    """Print the mean accuracy of every change on every set, and its mean change over the sets."""
    names = [name if len({r for _, r in cells}) == 1 else f"{name}, {r}" for name, r in cells]
    rows = []
    for method in dict.fromkeys((against, *methods)):
        if not any(figures.get_accuracies(cell, method) for cell in cells):
            continue
        means = [np.mean([*figures.get_accuracies(c, method).values()] or np.nan) for c in cells]
        change = mean(np.array([figures.compare(cell, method, against) for cell in cells]))
        rows.append((method, *(show(value, ".1f") for value in means), show(change, "+.1f")))
    print()
    print_table(("change", *names, "mean change"), rows, is_aligned=False)


# -- the figure -------------------------------------------------------------------------------


def draw(figures, cells, methods, path):
    """Draw how far each method closes the gap, set by set, all recipes together."""
    import matplotlib.pyplot as plt

    noisy = [cell for cell in cells if is_noisy(cell)]
    names = list(dict.fromkeys(name for name, _ in noisy))
    shown = [m for m in methods if m not in ("plain", "oracle")]
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(names) + 1.6), layout="constrained")
    markers = "oDs^vPX<>*"
    for method, marker in zip(shown, markers, strict=False):
        shares = [100 * figures.get_share([c for c in noisy if c[0] == n], method) for n in names]
        style = {"s": 80, "zorder": 3} if method == "default" else {"s": 28, "alpha": 0.7}
        axes.scatter(
            np.clip(shares, -100, 100), range(len(names)), marker=marker, label=method, **style
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(100, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        yticks=range(len(names)),
        yticklabels=names,
        xlabel="share of the gap from plain training (0) to the oracle (100) that is closed, in %",
        xlim=(-105, 105),
    )
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=110)
    print(path, file=sys.stderr)


def draw_cost(figures, cells, methods, path):
    """Draw the pooled share of the gap against the time, both of all cells together."""
    import matplotlib.pyplot as plt

    noisy = [cell for cell in cells if is_noisy(cell)]
    shown = [m for m in methods if m not in ("plain", "oracle")]
    points = [(figures.get_time(cells, m), 100 * figures.get_share(noisy, m), m) for m in shown]
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    axes.axhline(0, color="black", linewidth=0.8)
    placed = []
    for time, share, name in sorted(points, key=lambda point: -point[1]):
        color, weight = ("#D55E00", "bold") if name == "default" else ("#0072B2", "normal")
        axes.scatter(time, share, color=color, s=36, zorder=3)
        # A name goes as far down as those beside it ask for.
        height = min([share, *(y - 4.5 for x, y in placed if abs(np.log(x / time)) < 0.45)])
        placed.append((time, height))
        axes.annotate(
            CRUST_NAMES.get(name, name),
            (time, share),
            (time * 1.04, height),
            color=color,
            weight=weight,
            va="center",
            arrowprops={"arrowstyle": "-", "color": color, "alpha": 0.3, "shrinkB": 0},
        )
    axes.set(
        xscale="log",
        xlabel="time, of plain training",
        ylabel="share of the gap to the oracle that is closed, in %",
        xlim=(0.85, 1.6 * max(time for time, *_ in points)),
    )
    ticks = [t for t in (1, 1.5, 2, 3, 4, 6, 8, 12, 16) if t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    print(path, file=sys.stderr)

import numpy as np
import pytest
from protocol.figures import Figures
from protocol.report import print_changes, print_report

A, B = ("labelme", "sgd"), ("segment symmetric 50%", "sgd")
CLEAN = ("segment clean", "sgd")


def make(accuracies):
    """Return figures of accuracies in per cent, by cell and method: a list, one for each seed."""
    results = {
        (name, method, recipe, str(seed)): {
            "test_accuracy": accuracy / 100,
            "balanced_accuracy": accuracy / 200,
            "clean_fraction": 0.5,
            "clean_recall": 1.0,
            "base_rate": 0.8,
            "seconds": 2.0 if method == "plain" else 3.0,
        }
        for (name, recipe), by_method in accuracies.items()
        for method, found in by_method.items()
        for seed, accuracy in enumerate(found)
    }
    return Figures.make(results)


FIGURES = make(
    {
        A: {"plain": [60, 62], "default": [70, 76], "oracle": [80, 82]},  # 12 of 20
        B: {"plain": [90], "default": [89], "oracle": [94]},  # -1 of 4
        CLEAN: {"plain": [95, 95], "default": [94, 95], "oracle": [95, 95]},
    }
)


def test_pooled_share_is_the_sum_of_gains_over_the_sum_of_gaps():
    assert FIGURES.get_share([A, B], "default") == pytest.approx(11 / 24)
    assert FIGURES.get_share([A], "default") == pytest.approx(0.6)
    assert FIGURES.get_share([A, B], "plain") == 0
    assert FIGURES.get_share([A, B], "oracle") == 1


def test_mean_share_leaves_out_gaps_that_are_luck():
    assert FIGURES.get_mean_share([A, B], "default") == pytest.approx((0.6 - 0.25) / 2)
    tiny = make(
        {
            A: {"plain": [60], "default": [70], "oracle": [80]},
            B: {"plain": [90], "default": [80], "oracle": [90.1]},
        }
    )
    assert tiny.get_mean_share([A, B], "default") == pytest.approx(0.5)
    assert tiny.get_share([A, B], "default") == pytest.approx(0, abs=1e-9)


def test_methods_are_compared_on_the_seeds_that_both_have():
    figures = make({A: {"plain": [60, 70, 90], "default": [61, 73]}})
    assert figures.compare(A, "default", "plain") == pytest.approx(2)
    assert np.isnan(figures.compare(A, "ELR", "plain"))


def test_what_was_not_run_counts_neither_in_gains_nor_in_gaps():
    figures = make(
        {
            A: {"plain": [60], "ELR": [70], "oracle": [80]},
            B: {"plain": [50], "oracle": [90]},
        }
    )
    assert figures.get_share([A, B], "ELR") == pytest.approx(0.5)


def test_time_is_the_ratio_to_plain_training():
    assert FIGURES.get_time([A, B], "default") == 1.5


def get_rows(printed):
    """Return the cells of every line of tables, by the first cell."""
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines() if "|" in line]
    return {line[0]: line[1:] for line in lines}


def test_report_names_the_worst_set_and_the_gain_on_clean_ones(capsys):
    print_report(FIGURES, [A, B, CLEAN], ["plain", "default", "oracle"])
    rows = get_rows(capsys.readouterr().out)
    pooled, mean, human, injected, clean, worst, *_, time = rows["default"]
    assert (pooled, mean, human, injected) == ("46%", "18%", "60%", "-25%")
    assert (clean, worst, time) == ("-0.5", "-1.0 (segment symmetric 50%)", "1.50")


def test_report_marks_one_seed_and_what_is_incomplete(capsys):
    figures = make(
        {
            A: {"plain": [60, 62], "ELR": [70], "oracle": [80, 82]},
            B: {"plain": [50, 50], "oracle": [90, 90]},
        }
    )
    print_report(figures, [A, B], ["plain", "ELR", "oracle"])
    printed = capsys.readouterr().out
    assert "| ELR | 50% (1 of 2) |" in printed
    assert get_rows(printed)["labelme"] == ["20%", "61.0 ± 1.4", "70.0¹", "81.0 ± 1.4"]
    assert printed.endswith("¹ one seed\n")


def test_report_over_recipes_pools_them_and_prints_each(capsys):
    adam = ("labelme", "adam")
    figures = make(
        {
            A: {"plain": [60], "default": [70], "oracle": [80]},
            adam: {"plain": [60], "default": [60], "oracle": [70]},
        }
    )
    print_report(figures, [A, adam], ["plain", "default", "oracle"])
    together, sgd, own = capsys.readouterr().out.split("\nRecipe: ")
    assert get_rows(together)["default"][0] == "33%"
    assert get_rows(together)["plain"][3] == "+0.0 (labelme, sgd)"
    assert get_rows(sgd)["default"][0] == "50%"
    assert get_rows(own)["default"][0] == "0%"


def test_changes_are_means_over_the_sets(capsys):
    print_changes(FIGURES, [A, B], ["default", "plain"], "default")
    rows = get_rows(capsys.readouterr().out)
    assert rows["default"] == ["73.0", "89.0", "+0.0"]
    assert rows["plain"] == ["61.0", "90.0", "-5.5"]

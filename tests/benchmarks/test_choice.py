import pytest
from protocol.choice import (
    CHOSEN,
    SHARE_PER_POINT,
    add_chosen,
    choose,
    compute_criterion,
    find_complete,
    print_choice,
)
from protocol.figures import Figures

LABELME, TEXTURE = ("labelme", "sgd"), ("texture symmetric 50%", "sgd")
SEGMENT, SEGMENT_TOO = ("segment symmetric 50%", "sgd"), ("segment asymmetric 40%", "sgd")
CLEAN = ("optdigits clean", "sgd")
CELLS = [LABELME, TEXTURE, SEGMENT, SEGMENT_TOO]


def make(accuracies):
    results = {
        (name, method, recipe, "0"): {
            "test_accuracy": accuracy / 100,
            "clean_fraction": 1.0,
            "clean_recall": 1.0,
            "base_rate": 0.5,
            "seconds": 1.0,
        }
        for (name, recipe), by_method in accuracies.items()
        for method, accuracy in by_method.items()
    }
    return Figures.make(results)


# "bold" is by far the better one on segment, the worse one on all others.
ACCURACIES = {
    LABELME: {"plain": 50, "oracle": 70, "bold": 52, "shy": 56},
    TEXTURE: {"plain": 50, "oracle": 70, "bold": 51, "shy": 55},
    SEGMENT: {"plain": 50, "oracle": 90, "bold": 90, "shy": 50},
    SEGMENT_TOO: {"plain": 50, "oracle": 90, "bold": 90, "shy": 50},
}
FIGURES = make(ACCURACIES)


def test_choice_for_a_set_does_not_see_its_table_of_data():
    chosen = choose(FIGURES, CELLS, ["bold", "shy"])
    assert chosen == {"labelme": "bold", "texture": "bold", "segment": "shy"}


@pytest.mark.parametrize("accuracy", [0, 50, 100])
def test_choice_does_not_change_with_the_figures_of_the_set_itself(accuracy):
    own = {"plain": 50, "oracle": 70, "bold": accuracy, "shy": 100 - accuracy}
    chosen = choose(make(ACCURACIES | {LABELME: own}), CELLS, ["bold", "shy"])
    assert chosen["labelme"] == "bold"


def test_chosen_figures_are_those_of_the_chosen_variant_on_every_set():
    chosen = choose(FIGURES, CELLS, ["bold", "shy"])
    figures = add_chosen(FIGURES, CELLS, chosen, "test_accuracy")
    gains = figures.get_gains(CELLS, CHOSEN)
    assert gains.tolist() == pytest.approx([2, 1, 0, 0])
    assert figures.get_share(CELLS, CHOSEN) == pytest.approx(3 / 120)
    assert FIGURES.get_share(CELLS, "bold") == pytest.approx(83 / 120)


def test_criterion_is_the_pooled_share_less_what_is_lost_on_clean_sets():
    other = ("texture clean", "sgd")
    figures = make(
        {
            LABELME: {"plain": 50, "oracle": 70, "bold": 60},
            CLEAN: {"plain": 90, "bold": 87},
            other: {"plain": 90, "bold": 95},  # makes up for nothing
        }
    )
    criterion = compute_criterion(figures, [LABELME, CLEAN, other], "bold")
    assert criterion == pytest.approx(0.5 - SHARE_PER_POINT * 1.5)


def test_sets_without_all_candidates_take_no_part():
    figures = make(
        {
            LABELME: {"plain": 50, "oracle": 70, "bold": 52, "shy": 56},
            TEXTURE: {"plain": 50, "oracle": 70, "bold": 51},
            SEGMENT: {"plain": 50, "bold": 60, "shy": 50},
            CLEAN: {"plain": 50, "bold": 60, "shy": 50},
        }
    )
    cells = [LABELME, TEXTURE, SEGMENT, CLEAN]
    assert find_complete(figures, cells, ["bold", "shy"]) == [LABELME, CLEAN]


def test_table_of_choices_and_summary_are_printed(capsys):
    print_choice(FIGURES, CELLS, ["bold", "shy"], "test_accuracy")
    printed = capsys.readouterr().out
    assert "| segment symmetric 50% | sgd | shy | +0.0 | 40.0 |" in printed
    assert "| labelme | sgd | bold | +2.0 | 20.0 |" in printed
    assert f"| {CHOSEN} | 2% |" in printed


def test_nothing_to_choose_by_is_an_error():
    with pytest.raises(ValueError, match="Without labelme, there is no noisy set"):
        choose(FIGURES, [LABELME], ["bold", "shy"])

import numpy as np
import pytest
from _places import RESULTS
from _results import Results
from protocol.bars import BARS, draw_bars, find_cells
from protocol.figures import Figures
from protocol.runs import KEY, MEASURES

PATH = RESULTS / "robustness.csv"


@pytest.fixture(scope="module")
def figures():
    return Figures.make(Results(PATH, KEY, MEASURES, {"recipe": "constant"}))


def test_every_set_of_the_file_is_in_one_bar(figures):
    found = [cell for which in BARS.values() for cell in find_cells(figures.cells, which)]
    assert sorted(found) == sorted(figures.cells)


def test_a_bar_is_the_mean_over_sets_and_seeds(figures, tmp_path, monkeypatch):
    import matplotlib.pyplot as plt
    import pandas as pd

    figure = plt.Figure()
    axes = figure.subplots()
    monkeypatch.setattr(plt, "subplots", lambda **_: (figure, axes))
    draw_bars(figures, figures.cells, tmp_path / "bars.png")
    plain, default = axes.containers
    rows = pd.read_csv(PATH)
    rows = rows[rows["set"].str.endswith(" symmetric 50%")]
    expected = 100 * rows.groupby("method")["test_accuracy"].mean()
    at = list(BARS).index("50 % wrong at random")
    assert plain[at].get_width() == pytest.approx(expected["plain"])
    assert default[at].get_width() == pytest.approx(expected["default"])
    assert np.isfinite([bar.get_width() for bar in (*plain, *default)]).all()
    assert (tmp_path / "bars.png").exists()

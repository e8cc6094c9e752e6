"""The example in the README runs."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_example_runs_and_is_as_robust_as_it_says():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    names = {}
    exec(code, names)
    clean = names["y"] == names["y_noisy"]
    assert clean.mean() < 0.61
    assert clean[names["clf"].coreset_indices_].mean() > 0.9
    assert names["clf"].score(names["X"] / 16, names["y"]) > 0.8

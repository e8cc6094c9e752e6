"""Where the benchmarks lie, and where their rows and figures go."""

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
RESULTS = BENCHMARKS / "results"
FIGURES = BENCHMARKS.parent / "docs" / "_static"

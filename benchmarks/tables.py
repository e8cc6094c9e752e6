"""Write the tables and figures of the user guide anew, from benchmarks/results: `make tables`.

A test compares the tables with those that are committed, so that no number of theirs is older, or
newer, than the results.
"""

import contextlib
import io
import runpy
import sys

from _places import BENCHMARKS, FIGURES, RESULTS

PAGES = BENCHMARKS.parent / "docs" / "user_guide" / "tables"
REPORTS = {
    "robustness": ["--recipe", "constant"],
    "keel": ["--recipe", "constant"],
    "unseen": [],
    "fresh": [],
    "judging": ["--summary"],
    "times": ["--summary"],
    "images": [],
    "few_images": [],
    "few_rows": ["--summary"],
    "made": [],
    "others": ["--sort", "--summary"],
    "others_images": ["--sort"],
    "options": ["--methods", "plain", "default", "average", "pseudo-label", "both", "oracle"],
    "options_images": [],
    "ablation": ["--against", "default"],
}
SCRIPTS = ("audit", "import_time", "jacobian", "scorers")
# The command line behind each table: a script of this folder and its arguments.
TABLES = {
    name: ["__main__.py", "report", "--csv", str(RESULTS / f"{name}.csv"), *others]
    for name, others in REPORTS.items()
}
TABLES["choice"] = ["__main__.py", "choice", "--csv", str(RESULTS / "choice.csv")]
TABLES["choice"] += ["--methods", "constants"]
TABLES |= {name: [f"{name}.py", "--report"] for name in SCRIPTS}
TABLES["rare_classes"] = ["rare_classes.py"]
DRAWN = [
    TABLES["robustness"]
    + ["--figure", str(FIGURES / "robustness.png"), "--bars-figure", str(FIGURES / "first.png")],
    [*TABLES["others"], "--methods", "others", "--cost-figure", str(FIGURES / "others.png")],
]


def get_output(command):
    """Return what a script of this folder prints."""
    script, *arguments = command
    before, printed = sys.argv, io.StringIO()
    sys.argv = [script, *arguments]
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    finally:
        sys.argv = before
    return printed.getvalue()


def main():
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, command in TABLES.items():
        (PAGES / f"{name}.md").write_text(get_output(command))
    for command in DRAWN:
        get_output(command)


if __name__ == "__main__":
    main()

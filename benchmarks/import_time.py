"""What it costs to import the package, and each of its public names, in a process of its own.

    python benchmarks/import_time.py

Beside them stand scikit-learn, torch, and skorch, which imports both. The processor's seconds are
taken, not those of the clock, so that a busy machine does little to them; the median over turns, so
that a first one, which reads files from the disk, does not count. `--report` reads the CSV file
alone.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from _command import make_parser
from _markdown import print_table
from _places import RESULTS
from _results import Results

import crust_sklearn

OTHERS = {"numpy": "import numpy", "scikit-learn": "import sklearn", "torch": "import torch"}
OTHERS |= {"skorch": "import skorch"}
STATEMENTS = OTHERS | {"crust_sklearn": "import crust_sklearn"}
STATEMENTS |= {name: f"from crust_sklearn import {name}" for name in crust_sklearn.__all__}
STATEMENTS |= {
    name: f"import crust_sklearn.{name}" for name in ("strategies", "metrics", "baselines")
}
KEY, MEASURES = ("name", "turn"), ("cpu_seconds", "seconds", "modules", "loads_torch")
TIMED = """\
import json, sys, time
before, cpu, start = len(sys.modules), time.process_time(), time.perf_counter()
{statement}
print(json.dumps({{
    "cpu_seconds": time.process_time() - cpu,
    "seconds": time.perf_counter() - start,
    "modules": len(sys.modules) - before,
    "loads_torch": float("torch" in sys.modules),
}}))
"""


def run(name, turn):
    """Return what one import takes in a fresh process."""
    command = [sys.executable, "-c", TIMED.format(statement=STATEMENTS[name])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def print_report(results):
    """Print medians over the turns, and their ratios to scikit-learn's and torch's."""
    names = [name for name in STATEMENTS if any(key[0] == name for key in results)]
    median = {
        name: {
            m: np.median([r[m] for key, r in results.items() if key[0] == name]) for m in MEASURES
        }
        for name in names
    }
    rows = [
        (
            STATEMENTS[name],
            f"{found['cpu_seconds'] / median['scikit-learn']['cpu_seconds']:.2f}",
            f"{found['cpu_seconds'] / median['torch']['cpu_seconds']:.2f}",
            f"{found['modules']:.0f}",
            "yes" if found["loads_torch"] else "no",
        )
        for name, found in median.items()
    ]
    header = ("import", "time, scikit-learn = 1", "time, torch = 1", "modules", "loads torch")
    print_table(header, rows, is_aligned=False)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--csv", type=Path, default=RESULTS / "import_time.csv")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    args = parser.parse_args()
    results = Results(args.csv, KEY, MEASURES)
    if not args.report:
        keys = [(name, str(turn)) for turn in range(args.turns) for name in STATEMENTS]
        results.fill(keys, run, n_jobs=1)
    print_report(results)


if __name__ == "__main__":
    main()

"""Turns, fresh processes and tables, for the benchmarks. Imports neither torch nor the package."""

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HERE = Path(__file__).parent
# A competitor slower than this is measured once, not in every turn.
SLOW_SECONDS = 20.0


@dataclass
class Measured:
    """The seconds of each turn and what was returned, or why there is nothing."""

    seconds: np.ndarray
    results: list
    not_run: str = ""


def take_turns(calls, n_turns):
    """Call everything once per turn, one after the other, so that a busy machine slows all.

    `calls` maps names to functions of the turn's number. What fails, for instance because its
    package is missing, is left out from then on, and the answer says why.
    """
    measured = {name: Measured(np.array([]), []) for name in calls}
    for turn in range(n_turns):
        for name, call in calls.items():
            so_far = measured[name]
            if so_far.not_run or (turn and so_far.seconds.max() > SLOW_SECONDS):
                continue
            start = time.perf_counter()
            try:
                so_far.results.append(call(turn))
            except Exception as error:  # a peer that is missing or fails must not stop the others
                so_far.not_run = f"{type(error).__name__}: {error}"
                continue
            so_far.seconds = np.append(so_far.seconds, time.perf_counter() - start)
    return measured


class NotRun(Exception):
    """Why something could not be measured."""


def compare_times(measured, ours):
    """Return least seconds, ratio of the least, and median of the ratios turn by turn, to ours."""
    reference = measured[ours].seconds
    found = {}
    for name, m in measured.items():
        if not m.not_run:
            turns = len(m.seconds)
            ratios = m.seconds / reference[:turns]
            found[name] = m.seconds.min(), m.seconds.min() / reference.min(), np.median(ratios)
    return found


def run_fresh(function, options, *, python=sys.executable, timeout=None, env=None):
    """Return what a function of a module beside this one returns in a process of its own.

    `function` is "module:name"; options and result go through JSON. The result is a dict, to which
    "peak_mib" is added, the largest resident size of the process. Raises NotRun if it fails.
    """
    code = "import sys; sys.path.insert(0, sys.argv[1]); import _measure; _measure.serve()"
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [str(python), "-c", code, str(HERE), function, json.dumps(options), str(result)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=os.environ | (env or {}),
            )
        except subprocess.TimeoutExpired:
            raise NotRun(f"not done in {timeout:.0f} s") from None
        except FileNotFoundError:
            raise NotRun("there is no such Python") from None
        if not result.exists():
            said = done.stderr.strip().splitlines()
            raise NotRun(said[-1] if said else f"exit status {done.returncode}")
        return json.loads(result.read_text())


def serve():
    """Do what `run_fresh` asks, in the new process."""
    function, options, result = sys.argv[2:]
    module, name = function.split(":")
    found = getattr(import_module(module), name)(**json.loads(options))
    found["peak_mib"] = peak_mib()
    Path(result).write_text(json.dumps(found))


def peak_mib():
    """Return the largest resident size of this process so far, in MiB.

    By Linux' VmHWM: ru_maxrss also counts what the parent had when it started this process.
    """
    return _status("VmHWM")


def resident_mib():
    """Return the resident size of this process now, and forget its largest so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource  # not on Windows

        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def print_table(header, rows, n_text=1):
    """Print a markdown table: the first `n_text` columns to the left, the others to the right."""
    cells = [list(header)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    rules = ["-" * (w + 2) if i < n_text else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    lines = []
    for row in cells:
        padded = [
            cell.ljust(width) if i < n_text else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(padded) + " |")
    print("\n".join([lines[0], "|" + "|".join(rules) + "|", *lines[1:]]), flush=True)

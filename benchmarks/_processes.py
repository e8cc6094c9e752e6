"""Fresh processes, and the memory that they take. Imports neither torch nor the package."""

import contextlib
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from _places import BENCHMARKS


class NotRun(Exception):
    """Why something could not be measured."""


def run_fresh(function, options, *, python=sys.executable, timeout=None, env=None):
    """Return what a function of a module beside this one returns in a process of its own.

    `function` is "module:name"; options and result go through JSON. The result is a dict, to which
    "peak_mib" is added, the largest resident size of the process. Raises NotRun if it fails.
    """
    code = "import sys; sys.path.insert(0, sys.argv[1]); import _processes; _processes.serve()"
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [str(python), "-c", code, str(BENCHMARKS)]
        command += [function, json.dumps(options), str(result)]
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

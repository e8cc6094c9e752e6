"""A CSV file of finished runs: a benchmark that was stopped goes on where it was."""

import csv
import io
import os
import tempfile

import numpy as np
from joblib import Parallel, delayed


class Results(dict):
    """What was measured, by the tuple of strings that names the run; appended to the file at once.

    Several processes may fill one file. A row is one write, so that none is torn; where two have
    run the same, the last row counts.

    Parameters
    ----------
    path : Path
    key, measures : tuple of str
        The names of the columns that identify a run, and of those with a number.
    missing : dict, default={}
        What stands for a column of `key` that the file does not have; a measure that it does not
        have is NaN.
    """

    def __init__(self, path, key, measures, missing=None):
        super().__init__()
        self.path, self.key, self.measures = path, key, measures
        self.missing = missing or {}
        self.read()

    def read(self):
        """Read the file again: other processes may have added rows."""
        if not self.path.exists():
            return
        with open(self.path, newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            unknown = [n for n in self.key if n not in columns and n not in self.missing]
            if unknown:
                raise ValueError(f"{self.path} has no column {unknown[0]!r}: say what it is.")
            for row in reader:
                if None in row.values():  # torn, by a machine that was switched off
                    continue
                found = {n: float(row[n]) if n in row else np.nan for n in self.measures}
                self[tuple(row.get(n) or self.missing[n] for n in self.key)] = found

    def add(self, key, measured):
        """Keep one run, also in the file."""
        self[key] = measured
        values = [f"{measured[name]:.5g}" for name in self.measures]
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, format_line([*key, *values]).encode())
        finally:
            os.close(descriptor)

    def prepare(self):
        """Make the file, with its header, unless it is there; refuse one with other columns."""
        header = format_line(self.key + self.measures)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            # Complete from the first moment that other processes see it.
            descriptor, name = tempfile.mkstemp(dir=self.path.parent)
            with open(descriptor, "w") as file:
                file.write(header)
            os.chmod(name, 0o644)
            try:
                os.link(name, self.path)
            except FileExistsError:
                pass  # another process was first
            finally:
                os.remove(name)
        with open(self.path, newline="") as file:
            if file.readline() != header:
                raise ValueError(f"{self.path} has other columns; give another file by --csv.")
        if not self.path.read_bytes().endswith(b"\n"):
            with open(self.path, "ab") as file:
                file.write(b"\n")

    def fill(self, keys, function, n_jobs):
        """Add ``function(*key)`` for every key that is missing, in parallel processes."""
        todo = [key for key in keys if key not in self]
        self.prepare()
        table = self.path, self.key, self.measures
        found = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(run_if_missing)(function, key, table) for key in todo
        )
        for i, (key, measured) in enumerate(zip(todo, found, strict=True), start=1):
            if measured is not None:
                self.add(key, measured)
                first = measured[self.measures[0]]
                print(f"{i:4} of {len(todo)}  {' / '.join(key):60} {first:7.3f}", flush=True)
        self.read()


def run_if_missing(function, key, table):
    """Return ``function(*key)``, and None if another process has added that run meanwhile."""
    return None if key in Results(*table) else function(*key)


def format_line(values):
    """Return a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()

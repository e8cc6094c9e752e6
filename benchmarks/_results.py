"""A CSV file of finished runs: a benchmark that was stopped goes on where it was."""

import csv

from joblib import Parallel, delayed


class Results(dict):
    """What was measured, by the tuple of strings that names the run; appended to the file at once.

    Parameters
    ----------
    path : Path
    key, measures : tuple of str
        The names of the columns that identify a run, and of those with a number.
    """

    def __init__(self, path, key, measures):
        super().__init__()
        self.path, self.key, self.measures = path, key, measures
        if path.exists():
            with open(path, newline="") as file:
                for row in csv.DictReader(file):
                    found = {name: float(row[name]) for name in measures}
                    self[tuple(row[name] for name in key)] = found

    def add(self, key, measured):
        """Keep one run, also in the file."""
        self[key] = measured
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with open(self.path, "a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(self.key + self.measures)
            writer.writerow([*key, *(f"{measured[name]:.5g}" for name in self.measures)])

    def fill(self, keys, function, n_jobs):
        """Add ``function(*key)`` for every key that is missing, in parallel processes."""
        todo = [key for key in keys if key not in self]
        found = Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(function)(*key) for key in todo
        )
        for i, (key, measured) in enumerate(zip(todo, found, strict=True), start=1):
            self.add(key, measured)
            first = measured[self.measures[0]]
            print(f"{i:4} of {len(todo)}  {' / '.join(key):60} {first:7.3f}", flush=True)

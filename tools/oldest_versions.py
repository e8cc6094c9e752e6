"""Print the oldest versions that pyproject.toml allows, as pip's constraints.

Every ``name>=version`` of the dependencies and of the extras named on the command line becomes
``name==version``, so that what is tested is what is promised::

    python tools/oldest_versions.py test > constraints.txt
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def get_oldest_versions(project: dict, extras: list[str]) -> list[str]:
    """Return one ``name==version`` for every requirement of the project and of these extras."""
    found: dict[str, str] = {}
    texts, done = list(project["dependencies"]), set()
    waiting = list(extras)
    while texts or waiting:
        if not texts:
            extra = waiting.pop()
            if extra not in done:
                done.add(extra)
                texts = list(project["optional-dependencies"][extra])
            continue
        requirement = Requirement(texts.pop())
        if requirement.name == project["name"]:
            waiting += requirement.extras
            continue
        bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"{requirement}: give it one lower bound, as in {requirement.name}>=1")
        found[requirement.name] = bounds[0]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(get_oldest_versions(project, sys.argv[1:])))

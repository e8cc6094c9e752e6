"""Add the built site to a folder that is published, as the folder of its version.

Usage:
    DOCS_SITE=https://host/path make docs
    python docs/publish.py docs/_build/html SITE https://host/path

SITE then holds a folder for each version, `switcher.json`, which every version's pages read their
list of versions from, and an `index.html` that leads to the newest. A version that is there already
is replaced. With DOCS_SITE the pages are built with the list; without it they have none.
"""

import json
import re
import shutil
import sys
from pathlib import Path

# A folder that is a version, and the numbers that it is sorted by.
VERSION = re.compile(r"\d+(\.\d+)*([a-z.+]\w*)*")
REDIRECT = (
    '<!doctype html><meta http-equiv="refresh" content="0; url={0}/"><a href="{0}/">{0}</a>\n'
)


def read_version(built: Path) -> str:
    """Return the version that the built site says it is of."""
    text = (built / "_static" / "documentation_options.js").read_text(encoding="utf-8")
    found = re.search(r"VERSION: '([^']+)'", text)
    if found is None or not VERSION.fullmatch(found[1]):
        raise SystemExit(f"{built} does not say its version; is it a site that Sphinx built?")
    return found[1]


def find_versions(site: Path) -> list[str]:
    """Return the versions that the site holds, the newest first, a release before its candidate."""
    names = (path.name for path in site.iterdir() if path.is_dir())

    def get_order(name: str) -> tuple[list[int], bool, str]:
        numbers = re.match(r"[\d.]*\d", name)[0]  # type: ignore[index]
        return [int(part) for part in numbers.split(".")], numbers == name, name

    return sorted(filter(VERSION.fullmatch, names), key=get_order, reverse=True)


def publish(built: Path, site: Path, url: str) -> list[str]:
    """Copy the built site into the published one; return the versions that are there now."""
    version = read_version(built)
    site.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(site / version, ignore_errors=True)
    shutil.copytree(built, site / version)
    versions = find_versions(site)
    entries = [
        {"version": v, "url": f"{url.rstrip('/')}/{v}/", "preferred": v == versions[0]}
        for v in versions
    ]
    (site / "switcher.json").write_text(json.dumps(entries, indent=1) + "\n")
    (site / "index.html").write_text(REDIRECT.format(versions[0]))
    return versions


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    built, site, url = sys.argv[1:]
    print(*publish(Path(built), Path(site), url))


if __name__ == "__main__":
    main()

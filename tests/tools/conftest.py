"""The tools are scripts: their folder is where their imports are found."""

import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
if TOOLS.exists():
    sys.path.insert(0, str(TOOLS))
else:  # a source distribution
    collect_ignore_glob = ["test_*.py"]

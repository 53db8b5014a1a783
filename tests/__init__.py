"""The tests: one folder per package; they run from a plain checkout, nothing installed."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent

for _folder in (_ROOT / "workloads", _ROOT / "replay_py", _ROOT):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

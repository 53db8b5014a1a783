"""Run any command of ClawVM from a checkout: ``python3 replay_py/clawvm.py COMMAND``; nothing has to be installed."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "replay_py"), str(_ROOT / "workloads")]

from clawvm_cli import main  # noqa: E402 - a plain checkout has to find its own packages first

if __name__ == "__main__":
    sys.exit(main())

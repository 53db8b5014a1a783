"""Run the six lifecycle gates of Tier 1; exit code 1 if one fails."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "replay_py"), str(_ROOT / "workloads")]

from clawvm_cli.suite import gates_main  # noqa: E402 - a plain checkout has to find its own packages first

if __name__ == "__main__":
    sys.exit(gates_main())

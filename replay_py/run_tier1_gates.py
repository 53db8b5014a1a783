"""Run the six lifecycle gates of Tier 1; exit code 1 if one fails."""

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [_ROOT, os.path.join(_ROOT, "replay_py"), os.path.join(_ROOT, "workloads")]

from clawvm_cli import main  # noqa: E402 - a plain checkout has to find its own packages first

if __name__ == "__main__":
    sys.exit(main(command="gates"))

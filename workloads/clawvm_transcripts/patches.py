"""The paths in the text of an ``apply_patch`` call.

==============  =======================================================
patched_paths   every path that a patch adds, updates, deletes, moves to
==============  =======================================================
"""

from __future__ import annotations

import re

__all__ = ["patched_paths"]

_HEADER = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): ([^\n]*)", re.MULTILINE)


def patched_paths(patch: str) -> tuple[str, ...]:
    """Return the paths that *patch* changes, each once, in order; linear in its length."""
    return tuple(dict.fromkeys(name for match in _HEADER.finditer(patch) if (name := match.group(1).strip())))

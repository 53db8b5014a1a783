"""The digest of the code that makes results: rows of one code are never merged with rows of another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["digest_of", "source_digest"]

_PACKAGES = (
    "clawvm_runtime",
    "clawvm_replay",
    "clawvm_oracle",
    "clawvm_workloads",
    "clawvm_transcripts",
    "clawvm_experiments",
)


@cache
def source_digest() -> str:
    """Return the SHA-256 over every module of the packages that take part in a result, in a fixed order."""
    roots = {}
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, package
        roots[package] = Path(spec.origin).parent
    return digest_of(roots)


def digest_of(roots: Mapping[str, Path]) -> str:
    """Return the SHA-256 over the names and contents of every module below these folders, each under its package."""
    digest = hashlib.sha256()
    for package, root in roots.items():
        for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
            content = path.read_bytes()
            digest.update(f"{package}/{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()

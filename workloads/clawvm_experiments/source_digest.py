"""The digest of the code that makes results: rows of one code are never merged with rows of another."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["source_digest"]

_PACKAGES = ("clawvm_runtime", "clawvm_replay", "clawvm_oracle", "clawvm_workloads", "clawvm_experiments")


@cache
def source_digest() -> str:
    """Return the SHA-256 over every module of the packages that take part in a result, in a fixed order."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, package
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
            content = path.read_bytes()
            digest.update(f"{package}/{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()

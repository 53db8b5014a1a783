"""Recorded sessions made for a test, in the format of Claude Code: shared by tests of conversion and commands."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any


class Recording:
    """A session; *name*, *project* and *started* are in every line."""

    def __init__(
        self,
        name: str = "one",
        project: str = "/srv/toy",
        started: str = "2026-01-02T03:04:05.000Z",
        version: str = "2.1.7",
    ) -> None:
        self.lines: list[str] = []
        self._facts = {
            "sessionId": name,
            "cwd": project,
            "timestamp": started,
            "version": version,
            "isSidechain": False,
        }
        self._name = name
        self._parent: str | None = None

    def line(self, **fields: Any) -> Recording:
        """Add a line."""
        uuid = f"{self._name}-{len(self.lines):06d}"
        self.lines.append(json.dumps({"parentUuid": self._parent, **self._facts, "uuid": uuid, **fields}))
        self._parent = uuid
        return self

    def raw(self, text: str) -> Recording:
        """Add a line as it is."""
        self.lines.append(text)
        return self

    def prompt(self, text: str) -> Recording:
        """Let the user type."""
        return self.line(type="user", message={"role": "user", "content": text})

    def call(self, tool: str, arguments: Any, result: str | None, **more: Any) -> Recording:
        """Let the model call a tool, and the tool answer unless *result* is None."""
        call = f"toolu_{self._name}_{len(self.lines):012d}"
        use = {"type": "tool_use", "id": call, "name": tool, "input": arguments}
        usage = {"input_tokens": 50, "output_tokens": 5}
        self.line(type="assistant", message={"id": f"msg_{call}", "content": [use], "usage": usage})
        if result is not None:
            block = {"type": "tool_result", "tool_use_id": call, "content": result, **more}
            self.line(type="user", message={"role": "user", "content": [block]})
        return self

    def compaction(self, tokens: int = 90_000, trigger: str = "auto") -> Recording:
        """Let the harness compact."""
        return self.line(
            type="system", subtype="compact_boundary", compactMetadata={"trigger": trigger, "preTokens": tokens}
        )

    def content(self) -> bytes:
        """Return the bytes of the file."""
        return ("\n".join(self.lines) + "\n").encode()

    def write(self, path: Path) -> Path:
        """Write the file, compressed if its name ends so; return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self.content()
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
        return path


def recording(name: str = "one", turns: int = 3, **facts: str) -> Recording:
    """Return a session of a prompt and so many reads, a compaction, and the first read again."""
    made = Recording(name, **facts).prompt(f"look at {name}")
    for number in range(turns):
        made.call("Read", {"file_path": f"/srv/toy/{name}-{number}.py"}, f"text {number} of {name}\n" * 20)
    made.compaction()
    return made.call("Read", {"file_path": f"/srv/toy/{name}-0.py"}, f"text 0 of {name}\n" * 20)

"""Hand-made recordings whose results have the size of real ones: 500 to 8,000 tokens, read again after boundaries.

``python3 -m tests.transcripts.large_recordings`` writes them below ``fixtures``; words are invented, and the same code
writes the same bytes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clawvm_runtime.text.tokens import estimate_tokens
from tests.transcripts.recorded_files import Recording

__all__ = ["FILES", "FIXTURES"]

FIXTURES = Path(__file__).parent / "fixtures"

LEXICON = """
apple bark bee bloom branch brook bud cider clover core crate crop dew fence fern field frost fruit gate graft grass
harvest hedge hive honey ladder lane leaf meadow moss nest orchard path peel petal pip plum pond press quince rain
ripe root row sap seed shade shed soil stem straw sun thorn tree trunk twig vine wasp weed wind wren yard
"""
WORDS = LEXICON.split()


def text_of(name: str, tokens: int) -> str:
    """Return a text of invented words with about *tokens* tokens; another *name* gives other words."""
    start = sum(map(ord, name))
    words = (WORDS[(start + 7 * number + number * number // 5) % len(WORDS)] for number in itertools.count())
    lines: list[str] = []
    while tokens > 0:
        lines.append(" ".join(itertools.islice(words, 9)) + f" {len(lines)}.")
        tokens -= estimate_tokens(lines[-1] + "\n")
    return "\n".join(lines)


def orchard() -> bytes:
    """Return a session of Claude Code: two compactions, a clear, and after each some of what was read before."""
    sizes = {"rows": 500, "graft": 700, "press": 900, "hives": 1200, "ledger": 1600, "almanac": 8000}
    made = Recording("orchard", "/home/user/orchard", "2026-03-14T08:00:00.000Z", "2.1.7")

    def read(name: str) -> None:
        made.call("Read", {"file_path": f"/home/user/orchard/{name}.md"}, text_of(name, sizes[name]))

    made.prompt("Plan the orchard. Always prune before noon. Never press green fruit.")
    made.call("TodoWrite", {"todos": [{"content": "Count the rows", "status": "in_progress"}]}, "Todos were modified.")
    for name in sizes:
        read(name)
    made.call("Bash", {"command": "make count"}, text_of("count", 600))
    made.compaction(120_000)
    made.line(
        type="user",
        isCompactSummary=True,
        message={"role": "user", "content": "The rows were counted and the almanac was read."},
    )
    made.prompt("Go on with the hives.")
    for name in ("hives", "rows", "ledger"):
        read(name)
    made.call("Edit", {"file_path": "/home/user/orchard/notes.md", "old_string": "a", "new_string": "b"}, "Edited.")
    made.compaction(130_000, "manual")
    made.prompt("And the press?")
    read("press")
    lines = text_of("almanac", sizes["almanac"]).split("\n")[20:60]
    part = {"file_path": "/home/user/orchard/almanac.md", "offset": 21, "limit": 40}
    made.call("Read", part, "\n".join(lines))
    made.line(
        type="progress",
        data={"type": "hook_progress", "hookEvent": "SessionStart", "hookName": "SessionStart:clear", "command": "go"},
        toolUseID="hook-1",
    )
    made.prompt("Start the harvest.")
    for name in ("graft", "hives", "rows"):
        read(name)
    return made.prompt("Enough for today.").content()


def ferry() -> bytes:
    """Return a session of Codex: two compactions, and after each some of what was read before."""
    sizes = {"tides": 500, "ropes": 800, "engine": 1300, "charts": 2400}
    seconds = itertools.count(1)
    calls = itertools.count(1)
    lines: list[dict[str, Any]] = []

    def add(kind: str, **payload: Any) -> None:
        stamp = f"2026-03-15T09:{(number := next(seconds)) // 60:02d}:{number % 60:02d}.000Z"
        lines.append({"timestamp": stamp, "type": kind, "payload": payload})

    def prompt(words: str) -> None:
        add("event_msg", type="user_message", message=words, images=[])

    def read(name: str) -> None:
        call, arguments = f"call_{next(calls)}", {"cmd": f"cat {name}.txt", "workdir": "/toy/ferry"}
        add("response_item", type="function_call", name="exec_command", arguments=json.dumps(arguments), call_id=call)
        output = f"Wall time: 0.01 seconds\nProcess exited with code 0\nOutput:\n{text_of(name, sizes[name])}"
        add("response_item", type="function_call_output", call_id=call, output=output)

    def compaction(words: str) -> None:
        history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}]
        add("compacted", message="", replacement_history=history)

    add("session_meta", id="ferry-1", timestamp="2026-03-15T09:00:00.000Z", cwd="/toy/ferry", cli_version="0.125.0")
    add("event_msg", type="task_started", turn_id="t1", model_context_window=9000)
    prompt("Why is the ferry late? Never sail in fog.")
    for name in sizes:
        read(name)
    compaction("The charts and the tides were read.")
    for name in ("tides", "engine"):
        read(name)
    prompt("And the ropes?")
    compaction("The engine is fine.")
    for name in ("ropes", "charts", "tides"):
        read(name)
    add("event_msg", type="agent_message", message="The ropes are short.")
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


FILES = {"claude-code/orchard.jsonl": orchard, "codex/ferry.jsonl": ferry}
"""What makes each recording, by its path below ``FIXTURES``."""


def written() -> Iterator[Path]:
    """Write every recording and yield its path."""
    for name, make in FILES.items():
        path = FIXTURES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
        yield path


if __name__ == "__main__":
    for path in written():
        print(path)

"""Subagents: their recordings belong to a session, and are none of their own."""

import json
import unittest
from pathlib import Path
from typing import Any

from clawvm_transcripts.conversion_report import Conversion
from clawvm_transcripts.events import SessionStart
from clawvm_transcripts.jobs import Chain, jobs_for
from clawvm_transcripts.output import convert
from clawvm_transcripts.subagents import sessions_of
from tests.support import temporary_folder
from tests.transcripts.recorded_files import recording


def lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def claude_code_subagent(session: str, agent: str, calls: int) -> str:
    """Return the recording of a subagent of *session*: its task, and so many calls with their results."""
    common = {"isSidechain": True, "agentId": agent, "sessionId": session, "timestamp": "2026-01-02T03:05:00Z"}
    task = {"role": "user", "content": "Never touch the lamp. Count the wicks."}
    records = [{**common, "type": "user", "uuid": "s0", "parentUuid": None, "message": task}]
    for number in range(calls):
        call = f"toolu_{agent}_{number}"
        use = {"type": "tool_use", "id": call, "name": "Read", "input": {"file_path": f"/srv/toy/{number}"}}
        result = {"type": "tool_result", "tool_use_id": call, "content": "wick " * 9}
        place = {"uuid": f"a{number}", "parentUuid": f"s{number}"}
        records.append({**common, **place, "type": "assistant", "message": {"id": f"msg_{number}", "content": [use]}})
        place = {"uuid": f"s{number + 1}", "parentUuid": f"a{number}"}
        records.append({**common, **place, "type": "user", "message": {"role": "user", "content": [result]}})
    return lines(records)


def codex(session: str, source: Any, calls: int = 1) -> str:
    """Return a recording of Codex with so many calls."""
    meta = {"id": session, "timestamp": "2026-01-02T03:04:05Z", "cwd": "/srv/toy", "source": source}
    items: list[tuple[str, dict[str, Any]]] = [("session_meta", meta)]
    items.append(("event_msg", {"type": "user_message", "message": "Count the wicks."}))
    for number in range(calls):
        call = {"type": "function_call", "name": "exec_command", "arguments": "{}", "call_id": f"{session}-{number}"}
        output = {"type": "function_call_output", "call_id": f"{session}-{number}", "output": "nine"}
        items += [("response_item", call), ("response_item", output)]
    return lines([{"timestamp": "2026-01-02T03:04:05Z", "type": kind, "payload": data} for kind, data in items])


def spawned_by(parent: str) -> dict[str, Any]:
    return {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}


class SubagentTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = temporary_folder(self)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def conversion(self, *inputs: Path, **options: Any) -> Conversion:
        jobs = jobs_for(inputs or [self.folder / "in"], self.folder / "out", **options)
        return Conversion.of([convert(job) for job in jobs])

    def subagent_counts(self, conversion: Conversion) -> list[tuple[int, int]]:
        counts = (one for session in conversion.sessions for one in session.facts["sessions"])
        return [(one["subagents"], one["subagent_tool_calls"]) for one in counts]

    def test_its_calls_are_counted_under_its_session_and_are_none_of_it(self) -> None:
        main = self.write("one.jsonl", "")
        recording("one").write(main)
        alone = self.conversion().sessions[0]
        self.write("one/subagents/agent-a1.jsonl", claude_code_subagent("one", "a1", 3))
        self.write("one/subagents/agent-b2.jsonl", claude_code_subagent("one", "b2", 2))
        conversion = self.conversion()
        (session,) = conversion.sessions
        self.assertEqual(self.subagent_counts(conversion), [(2, 5)])
        ours = {"subagents": 2, "subagent_tool_calls": 5}
        self.assertEqual(session.facts, {**alone.facts, "sessions": [{**alone.facts["sessions"][0], **ours}]})
        self.assertEqual(session.files[0], alone.files[0], "a trace without the subagents")
        self.assertEqual([file.session for file in conversion.subagents], [session.name] * 2)
        self.assertEqual(sorted(file.counts["tool_calls"] for file in conversion.subagents), [2, 3])

    def test_without_its_session_it_is_listed_alone_and_makes_no_session(self) -> None:
        path = self.write("agent-a1.jsonl", claude_code_subagent("elsewhere", "a1", 3))
        conversion = self.conversion(path)
        self.assertEqual(conversion.sessions, ())
        (file,) = conversion.subagents
        self.assertEqual((file.session, file.harness, file.counts["tool_calls"]), ("", "claude-code", 3))

    def test_a_subagent_of_a_subagent_belongs_to_the_session_of_both(self) -> None:
        self.write("main.jsonl", codex("t-main", "cli", 1))
        self.write("child.jsonl", codex("t-child", spawned_by("t-main"), 2))
        self.write("grandchild.jsonl", codex("t-grandchild", spawned_by("t-child"), 4))
        self.write("review.jsonl", codex("t-review", {"subagent": "review"}, 8))
        conversion = self.conversion()
        self.assertEqual(self.subagent_counts(conversion), [(2, 6)])
        self.assertEqual(sorted(file.session != "" for file in conversion.subagents), [False, True, True])
        self.assertEqual([one["turns"] for one in conversion.sessions[0].facts["sessions"]], [1])

    def test_in_a_chain_it_is_counted_in_its_own_session(self) -> None:
        recording("one", started="2026-01-02T03:04:05Z").write(self.write("one.jsonl", ""))
        recording("two", started="2026-01-03T03:04:05Z").write(self.write("two.jsonl", ""))
        self.write("agent-a1.jsonl", claude_code_subagent("two", "a1", 3))
        self.assertEqual(self.subagent_counts(self.conversion(chain=Chain.ALL)), [(0, 0), (1, 3)])

    def test_one_within_the_recording_of_its_session_counts_once_with_its_own_file(self) -> None:
        made = recording("one")
        use = {"type": "tool_use", "id": "toolu_a1_0", "name": "Read", "input": {}}
        made.line(type="assistant", isSidechain=True, agentId="a1", message={"id": "m", "content": [use]})
        made.write(self.write("one.jsonl", ""))
        self.assertEqual(self.subagent_counts(self.conversion()), [(1, 1)])
        self.write("agent-a1.jsonl", claude_code_subagent("one", "a1", 3))
        self.assertEqual(self.subagent_counts(self.conversion()), [(1, 3)])

    def test_a_session_that_is_given_twice_or_whose_first_file_is_refused_keeps_its_subagents(self) -> None:
        recording("one").write(self.write("b/one.jsonl", ""))
        self.write("agent-a1.jsonl", claude_code_subagent("one", "a1", 3))
        for other in ((self.folder / "in/b/one.jsonl").read_text(), recording("one").lines[0] * 0):
            self.write("a/one.jsonl", other or json.dumps({"type": "system", "uuid": "x", "sessionId": "one"}))
            for chain in Chain:
                conversion = self.conversion(chain=chain)
                self.assertEqual(self.subagent_counts(conversion), [(1, 3)], chain)
                self.assertEqual([file.session for file in conversion.subagents], [conversion.sessions[0].name], chain)

    def test_parents_in_a_circle_have_no_session(self) -> None:
        starts = [SessionStart(one, subagent=True, parent=other) for one, other in (("a", "b"), ("b", "a"))]
        self.assertEqual(sessions_of(starts).keys(), {"a", "b"})
        self.write("a.jsonl", codex("a", spawned_by("b")))
        self.write("b.jsonl", codex("b", spawned_by("a")))
        self.assertEqual([file.session for file in self.conversion().subagents], ["", ""])


if __name__ == "__main__":
    unittest.main()

"""No output holds a word of an input: every file, every file name and what is printed are searched for them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

from clawvm_cli import main
from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.counts import COMPACTIONS, RESETS, SessionCounts, shown_counts
from clawvm_transcripts.detection import FORMATS
from clawvm_transcripts.events import RecordedCall
from clawvm_transcripts.output import Job, convert
from clawvm_transcripts.private_names import PRIVATE_NAMES
from clawvm_transcripts.pseudonyms import Pseudonyms
from tests.support import temporary_folder
from tests.transcripts.recorded_files import Recording

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"

WORD = re.compile(r"[a-z]{5,}")


def converted(*arguments: object) -> str:
    """Run the command in this process and return what it prints."""
    printed, messages = io.StringIO(), io.StringIO()
    with redirect_stdout(printed), redirect_stderr(messages):
        code = main(["convert", *map(str, arguments), "--jobs", "1"])
    assert code == 0, messages.getvalue()
    return printed.getvalue()


def words_in(text: str) -> set[str]:
    """Return the words of five letters or more, in small letters."""
    return set(WORD.findall(text.lower()))


def outputs(folder: Path, stdout: str) -> Iterator[tuple[str, str]]:
    """Yield what there is to search: a name for messages, and the text."""
    yield "stdout", stdout.replace(str(folder), "")
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        yield f"the name {name}", name
        if path.is_file() and path.name != PRIVATE_NAMES:  # Which is for the owner alone, and made of their words.
            yield name, path.read_bytes().decode("ascii")


def vocabulary() -> set[str]:
    """Return the words that are the project's own, whatever the input.

    Names of harnesses, what the schemas of the outputs name (fields, kinds, page types, levels), kinds of calls, and
    the words of the report and of the reasons for which a line is broken.
    """
    schemas = WORKLOADS.parent / "schemas"
    ours = {"signature", "recorded", "demands"} | words_in(" ".join(f"{item.id} {item.title}" for item in FORMATS))
    for name in ("trace", "tool-simulator", "session", "observed", "conversion-report", "manifest"):
        ours |= words_in((schemas / f"{name}.schema.json").read_text("ascii"))
    for path in schemas.glob("*.json"):  # The manifest lists all schemas.
        ours |= words_in(path.name)
    ours |= words_in(
        "file command search fetch other edit poll prompt rules preference summary instructions read unread"
    )
    ours |= words_in("jsonl state steps active dropped append merge version")  # Updates of plans.
    ours |= words_in((WORKLOADS / "clawvm_transcripts/conversion_report.py").read_text())  # The report for people.
    ours |= words_in(" ".join(COMPACTIONS | RESETS))
    return ours | words_in(
        """trajectory or history holds something else than objects; action, content, name is no text; is json or only a
        part of it, but no object; a record of an unexpected shape; the arguments of an action are no object;
        sessions in"""
    )


class Striking:
    """Makes words that are nowhere else, and remembers them by their place."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        number = len(self.words)
        letters = "".join(chr(ord("a") + number // 26**digit % 26) for digit in range(3))
        return self.words.setdefault(place, f"zyzzyva{letters}")


def striking_claude_code(word: Striking) -> Recording:
    """Return a session of Claude Code with striking words wherever the format allows them."""
    made = Recording(
        word("session id"),
        project=f"/home/{word('user')}/{word('project')}",
        started=f"2026-01-01 {word('time')}",
        version=f"2.1.7-{word('version')}",
    )
    made.line(type="summary", leafUuid="x", summary=word("summary line"))
    made.line(type="user", gitBranch=word("branch"), message={"role": "user", "content": f"Always {word('rule')}."})
    made.prompt(f"I prefer {word('preference')}. Look at @{word('mentioned file')}.py")
    made.prompt(f"<command-name>/{word('slash command')}</command-name>")
    made.line(type=word("unknown type"), data=word("unknown data"))
    made.line(type="system", subtype=word("subtype"), content=word("system text"))
    made.line(type="progress", data={"type": word("progress type"), "hookName": f"SessionStart:{word('start')}"})
    made.line(type="attachment", attachment={"type": "nested_memory", "content": word("rules of the project")})
    made.line(**{"type": "user", word("key of a line"): 1, "message": {"role": "user", "content": word("prompt")}})
    for tool, arguments in (
        ("Read", {"file_path": f"/home/{word('read folder')}/{word('read name')}.py"}),
        ("Read", {"file_path": f"/srv/{word('rules folder')}/CLAUDE.md"}),
        (
            "Bash",
            {"command": f"{word('program')} --{word('option')} | cat {word('shown')}.md", "description": word("why")},
        ),
        ("Bash", {"command": f"cat <<EOF > {word('written file')}.txt\n{word('written text')}\nEOF"}),
        ("Grep", {"pattern": word("pattern"), word("key of arguments"): word("value of arguments")}),
        ("Edit", {"file_path": word("edited file"), "old_string": word("old"), "new_string": word("new")}),
        ("WebFetch", {"url": f"https://{word('host')}.example/{word('page')}", "prompt": word("question")}),
        (f"mcp__{word('company')}__{word('tool')}", {"query": word("query")}),
        (word("tool alone"), {}),
        ("TodoWrite", {"todos": [{"content": word("step"), "status": word("status"), "activeForm": word("form")}]}),
        ("TaskCreate", {"subject": word("task"), "description": word("task description")}),
        ("ExitPlanMode", {"plan": word("plan text")}),
        ("BashOutput", {"bash_id": word("process")}),
        (word("tool with text"), word("text argument")),
    ):
        place = f"result of {tool.removeprefix('zyzzyva')}"
        made.call(tool, arguments, f"line one\n{word(place)}\n" * 30)
        made.call(tool, arguments, f"line one\n{word(place)}\n" * 30, is_error=tool == "Read")
    made.compaction(trigger=word("trigger"))
    made.line(type="user", isCompactSummary=True, message={"role": "user", "content": word("summary")})
    made.line(type="assistant", message={"id": word("message id"), "model": word("model"), "content": word("answer")})
    made.line(type="assistant", message={"content": [{"type": word("part type"), "text": word("part text")}]})
    made.line(type="user", message=word("message of a wrong shape"))
    made.line(type="user", message={"content": [{"type": "tool_result", "content": {word("odd key"): 1}}]})
    made.raw('{"type": "user", "' + word("broken line"))
    made.raw(f"{word('no JSON')} at all")
    return made.raw(f'["{word("no object")}"]')


def striking_lines(word: Striking) -> Iterator[tuple[str, list[object]]]:
    """Yield the records of sessions in other formats with striking words: (file name, records)."""
    yield (
        f"{word('codex file')}.jsonl",
        [
            {
                "timestamp": "2026-01-01T00:00:00Z",
                "type": "session_meta",
                "payload": {
                    "id": word("codex id"),
                    "cwd": f"/{word('codex folder')}",
                    "cli_version": word("codex version"),
                },
            },
            {
                "timestamp": "",
                "type": "event_msg",
                "payload": {"type": "user_message", "message": word("codex prompt")},
            },
            {"timestamp": "", "type": "event_msg", "payload": {"type": word("codex event")}},
            {
                "timestamp": "",
                "type": "response_item",
                "payload": {"type": word("codex item"), "x": word("codex value")},
            },
            {"timestamp": "", "type": word("codex type"), "payload": {}},
            {
                "timestamp": "",
                "type": "response_item",
                "payload": {
                    "type": "message",
                    "role": word("codex role"),
                    "content": [{"type": "input_text", "text": word("codex words")}],
                },
            },
            {
                "timestamp": "",
                "type": "response_item",
                "payload": {
                    "type": "function_call",
                    "name": word("codex tool"),
                    "arguments": json.dumps({"command": word("codex command")}),
                    "call_id": word("codex call"),
                },
            },
            {
                "timestamp": "",
                "type": "response_item",
                "payload": {
                    "type": "function_call_output",
                    "call_id": word("codex call"),
                    "output": word("codex output"),
                },
            },
        ],
    )
    yield (
        f"{word('pi file')}.jsonl",
        [
            {"type": "session", "version": 3, "id": word("pi id"), "timestamp": "", "cwd": f"/{word('pi folder')}"},
            {"type": "message", "id": "a", "parentId": None, "message": {"role": "user", "content": word("pi prompt")}},
            {"type": word("pi type"), "id": "b", "parentId": "a", word("pi key"): word("pi value")},
            {"type": "custom", "customType": word("pi custom type"), "id": "c", "parentId": "b"},
            {"type": "message", "id": "d", "parentId": "c", "message": {"role": word("pi role"), "content": []}},
            {
                "type": "message",
                "id": "e",
                "parentId": "d",
                "message": {
                    "role": "assistant",
                    "provider": word("pi provider"),
                    "content": [
                        {"type": "text", "text": word("pi answer")},
                        {
                            "type": "toolCall",
                            "id": "x",
                            "name": word("pi tool"),
                            "arguments": {"path": word("pi path")},
                        },
                    ],
                },
            },
            {
                "type": "compaction",
                "id": "f",
                "parentId": "e",
                "method": word("pi method"),
                "summary": word("pi summary"),
            },
            {"type": "message", "id": "g", "parentId": "f", "message": {"role": "user", "content": word("pi last")}},
        ],
    )


class StrikingTest(unittest.TestCase):
    def convert(self, *options: str) -> tuple[Striking, list[tuple[str, str]]]:
        word = Striking()
        temporary = temporary_folder(self)
        inputs, out = Path(temporary, word("input folder")), Path(temporary, "out")
        striking_claude_code(word).write(inputs / word("folder") / f"{word('file name')}.jsonl")
        for name, records in striking_lines(word):
            (inputs / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        (inputs / f"{word('foreign file')}.txt").write_text(word("foreign text"))
        printed = converted(inputs, "--out", out, *options)
        report = json.loads((out / "conversion.report.json").read_bytes())
        self.assertEqual(sorted({harness for session in report["sessions"] for harness in session["harnesses"]}), [
            "claude-code", "codex", "pi"
        ])  # fmt: skip
        self.assertEqual(report["other_files"], 1)
        return word, list(outputs(out, printed))

    def test_no_output_holds_a_word_of_any_place_of_a_session(self) -> None:
        for chain in ("none", "all"):
            word, found = self.convert("--chain", chain)
            self.assertGreater(len(word.words), 80)
            for place, text in found:
                where = text.lower().find("zyzzyva")
                self.assertEqual(where, -1, (place, text[max(0, where - 80) : where + 80]))

    def test_with_keep_text_the_words_are_there(self) -> None:
        word, found = self.convert("--keep-text")
        everything = "\n".join(text for _, text in found)
        for place in (
            "rule",
            "preference",
            "prompt",
            "read folder",
            "program",
            "written text",
            "pattern",
            "company",
            "step",
            "plan text",
            "result of Bash",
            "unknown type",
            "summary",
            "version",
            "trigger",
            "codex output",
            "pi summary",
        ):
            self.assertTrue(word.words[place] in everything, place)

    def test_what_says_where_a_session_lay_is_not_even_kept_with_its_texts(self) -> None:
        word, found = self.convert("--keep-text")
        everything = "\n".join(text for _, text in found)
        for place in ("input folder", "folder", "file name", "foreign file", "foreign text", "session id", "branch"):
            self.assertFalse(word.words[place] in everything, place)


class GuessTest(unittest.TestCase):
    def test_who_has_only_the_outputs_cannot_test_a_guess_of_a_path(self) -> None:
        made = Recording().prompt("look").call("Read", {"file_path": "/srv/toy/lamp.py"}, "text\n" * 9)
        with tempfile.TemporaryDirectory() as folder:
            made.write(Path(folder) / "in.jsonl")
            (session,) = convert(Job(0, (f"{folder}/in.jsonl",), f"{folder}/out")).sessions
            trace = (Path(folder) / "out/sessions" / session.name / "signatures.trace.jsonl").read_text("ascii")
        (page,) = set(re.findall(r'"id":"(file-[0-9a-f]+)"', trace))
        core = facts_of(RecordedCall("", "Read", {"file_path": "/srv/toy/lamp.py"})).core
        keys = {b"": "no key", bytes.fromhex(session.facts["sources"][0]["sha256"]): "the digest of the file"}
        for key, what in keys.items():
            self.assertNotEqual(Pseudonyms(key).name("file", core), page, what)
        right = hashlib.blake2b(made.content(), digest_size=32, person=b"clawvm names").digest()
        self.assertEqual(Pseudonyms(right).name("file", core), page)  # Else the guesses above were no real ones.


class ShownCountsTest(unittest.TestCase):
    COUNTS = SessionCounts(
        harness_version="2.1.7-acme",
        skipped={"acme-sync": 2, "(further kinds)": 1},
        resets=4,
        reset_kinds={"start:clear": 1, "start:acme": 2, "acme": 1},
        compactions=2,
        compaction_at=[
            {"after_tool_call": 3, "kind": "auto"},
            {"after_tool_call": 5, "kind": "acme", "tokens_before": 9},
        ],
    )

    def test_words_that_are_not_everybodys_become_other_or_a_hash(self) -> None:
        record = shown_counts(self.COUNTS, Pseudonyms(b"key"))
        self.assertEqual(record["harness_version"], "other")
        self.assertEqual(record["reset_kinds"], {"other": 3, "start:clear": 1})
        self.assertEqual([entry["kind"] for entry in record["compaction_at"]], ["auto", "other"])
        self.assertEqual(record["compaction_at"][1]["tokens_before"], 9)
        self.assertEqual(record["skipped"]["(further kinds)"], 1)
        self.assertEqual(sorted(record["skipped"].values()), [1, 2])
        self.assertNotIn("acme", json.dumps(record))

    def test_with_keep_text_everything_stays(self) -> None:
        self.assertEqual(shown_counts(self.COUNTS, Pseudonyms(b"key", keep_text=True)), asdict(self.COUNTS))

    def test_versions_of_the_usual_form_stay(self) -> None:
        for version in ("", "2.1.7", "v0.126.0-alpha.8", "1.0.64-3", "2026.2.3", "0.35.0", "1.0.0rc1", "2.0.0-beta"):
            shown = shown_counts(SessionCounts(harness_version=version), Pseudonyms(b"key"))
            self.assertEqual(shown["harness_version"], version)
        for version in ("acme", "1.2-acme", "1.2 beta of acme", "1.2\n", "1" * 99):
            shown = shown_counts(SessionCounts(harness_version=version), Pseudonyms(b"key"))
            self.assertEqual(shown["harness_version"], "other", version)

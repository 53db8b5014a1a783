"""The counts of a session, from made-up events."""

import unittest
from dataclasses import asdict
from typing import Any

from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.counts import (
    MOST_UNKNOWN_KINDS,
    OTHER_KINDS,
    SessionCounter,
    SessionCounts,
    count_sessions,
    counted_paths,
)
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Cleared,
    Compaction,
    CompactionSummary,
    Event,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionEnd,
    SessionStart,
    Skipped,
    Subagent,
    Usage,
    Window,
)


def counts_of(*events: Event) -> SessionCounts:
    counter = SessionCounter()
    for event in events:
        counter.add(event)
    return counter.counts()


def calls(*arguments: Any, tool: str = "Bash") -> list[Event]:
    """Calls with ids of their own; None is a compaction."""
    return [
        Compaction("auto") if entry is None else RecordedCall(f"call {place}", tool, entry)
        for place, entry in enumerate(arguments)
    ]


def run(command: str) -> dict[str, str]:
    return {"command": command}


def counted(tool: str, arguments: Any) -> list[str]:
    call = RecordedCall("1", tool, arguments)
    return counted_paths(call, facts_of(call))


class PlainCountsTest(unittest.TestCase):
    def test_a_session_without_events_has_no_counts(self) -> None:
        self.assertEqual(counts_of(), SessionCounts())

    def test_what_is_counted_once_per_event_or_id(self) -> None:
        messages = [AssistantMessage("a", name) for name in ("m", "m", "n", "", "")]
        others: list[Event] = [Instruction("rules", "b"), CompactionSummary("c"), Usage(1), Window(2)]
        for events, field, number in (
            ([Prompt("a"), Prompt("a"), *others, RecordedResult("1", "d")], "turns", 2),
            (messages, "assistant_messages", 4),
            ([Rewind(3), Rewind()], "rewinds", 2),
            ([Broken(3, "x"), Broken(4, "x")], "bad_lines", 2),
            ([SessionEnd(9)], "lines", 9),
            ([SessionStart(version="1.2")], "harness_version", "1.2"),
            ([RecordedResult("1", ""), RecordedCall("1", "x", {})], "unanswered_calls", 0),
            ([RecordedCall("", "x", {}), RecordedCall("", "x", {})], "unanswered_calls", 1),
            (
                [*calls(*map(run, "abc")), RecordedResult("call 1", ""), RecordedResult("stray", "")],
                "unanswered_calls",
                2,
            ),
        ):
            with self.subTest(field, events=events):
                self.assertEqual(getattr(counts_of(*events), field), number)
        self.assertEqual(counts_of(*others), SessionCounts())

    def test_a_call_counts_once_per_id_and_without_an_id_each_time(self) -> None:
        found = counts_of(*(RecordedCall(name, "Bash", run(name)) for name in ("1", "1", "2", "", "")))
        self.assertEqual(found.tool_calls, 4)
        self.assertEqual((found.distinct_signatures, found.repeated_signatures), (3, 1))

    def test_a_result_counts_once_per_id_with_its_characters(self) -> None:
        found = counts_of(
            RecordedResult("1", "four", head=2),
            RecordedResult("1", "four again"),
            RecordedResult("2", "é"),
            RecordedResult("", "x"),
        )
        self.assertEqual((found.tool_results, found.result_chars), (3, 6))

    def test_resets_by_kind(self) -> None:
        found = counts_of(Reset("start:fork"), Reset("start:clear"), Reset("start:fork"))
        self.assertEqual((found.resets, found.reset_kinds), (3, {"start:clear": 1, "start:fork": 2}))
        self.assertEqual(list(found.reset_kinds), ["start:clear", "start:fork"])
        self.assertEqual((found.resumes, found.resume_kinds), (0, {}))

    def test_a_resume_is_no_reset(self) -> None:
        found = counts_of(Resume("start:resume"), Resume("session_meta_again"), Reset("start:clear"))
        self.assertEqual((found.resets, found.reset_kinds), (1, {"start:clear": 1}))
        self.assertEqual((found.resumes, found.resume_kinds), (2, {"session_meta_again": 1, "start:resume": 1}))
        self.assertEqual(list(found.resume_kinds), ["session_meta_again", "start:resume"])

    def test_a_result_is_cleared_once_and_is_no_compaction(self) -> None:
        results = [RecordedResult(name, "text") for name in ("1", "2", "3")]
        cleared = [Cleared(("1", "2")), Cleared(("2", "3", "of another file")), Cleared(()), Cleared(None)]
        found = counts_of(*calls(run("a")), *results, *cleared)
        self.assertEqual((found.cleared_results, found.compactions, found.cross_compaction_repeats), (3, 0, 0))
        self.assertEqual((found.tool_results, found.unnamed_clearings), (3, 1))

    def test_images_of_results_count_with_their_result(self) -> None:
        once = RecordedResult("1", "", images=("a", "a"))
        found = counts_of(once, once, RecordedResult("2", "text"), RecordedResult("3", "x", images=("",)))
        self.assertEqual((found.images, found.tool_results, found.result_chars), (3, 3, 5))

    def test_subagents_and_their_calls_are_counted_once_each_and_apart(self) -> None:
        found = counts_of(
            Prompt("go"),
            *calls(run("a")),
            Subagent("x"),
            Subagent("x", ("1",)),
            Subagent("y", ("1", "2", "")),
            Subagent("", ("3",)),
            Subagent(""),
        )
        self.assertEqual((found.subagents, found.subagent_tool_calls), (3, 4))
        self.assertEqual((found.turns, found.tool_calls, found.tool_results), (1, 1, 0))

    def test_rewinds_are_counted_and_lose_no_count(self) -> None:
        found = counts_of(Prompt("go"), *calls(run("a")), Rewind(1, ("call 0",)), Prompt("go"), Rewind(0))
        self.assertEqual((found.rewinds, found.turns, found.tool_calls, found.cleared_results), (2, 2, 1, 0))

    def test_unknown_kinds_are_counted_by_name_and_known_ones_together(self) -> None:
        found = counts_of(Skipped("b"), Skipped("a"), Skipped("b"), Skipped("c", known=True), Skipped("d", known=True))
        self.assertEqual((found.skipped, found.known_skipped), ({"a": 1, "b": 2}, 2))

    def test_endless_new_kinds_are_counted_together(self) -> None:
        found = counts_of(*(Skipped(str(number)) for number in range(MOST_UNKNOWN_KINDS + 5)), Skipped("0"))
        self.assertEqual(
            (len(found.skipped), found.skipped[OTHER_KINDS], found.skipped["0"]), (MOST_UNKNOWN_KINDS + 1, 5, 2)
        )

    def test_compactions_say_behind_which_call_they_came(self) -> None:
        found = counts_of(Compaction("auto", 900, 90), *calls(run("a"), run("b")), Compaction("manual"))
        self.assertEqual(found.compactions, 2)
        self.assertEqual(found.compaction_at, [AUTO | {"tokens_before": 900}, {"after_tool_call": 2, "kind": "manual"}])


AUTO = {"after_tool_call": 0, "kind": "auto"}


class RepeatsTest(unittest.TestCase):
    def test_presentation_makes_another_signature_of_the_same_core(self) -> None:
        found = counts_of(
            *calls({"command": "a"}, {"command": "a", "timeout": 1}, {"command": "a", "timeout": 2}, run("a"))
        )
        self.assertEqual((found.distinct_signatures, found.repeated_signatures), (3, 1))
        self.assertEqual((found.distinct_core_signatures, found.repeated_core), (1, 3))

    def test_polls_by_the_name_of_the_tool(self) -> None:
        for tool in ("write_stdin", "wait", "TaskOutput", "BashOutput", "sleep"):
            with self.subTest(tool):
                found = counts_of(*calls({"id": 1}, {"id": 1}, {"id": 2}, tool=tool))
                self.assertEqual((found.polls, found.repeated_core, found.repeated_core_nopoll), (3, 1, 0))

    def test_polls_are_not_among_the_other_repeats(self) -> None:
        found = counts_of(
            *calls({"id": 1}, {"id": 1}, tool="wait"), *(RecordedCall(f"r{n}", "Bash", run("a")) for n in range(3))
        )
        self.assertEqual((found.polls, found.repeated_core, found.repeated_core_nopoll), (2, 3, 2))

    def test_a_program_polls_when_all_its_calls_do(self) -> None:
        found = counts_of(*calls("await tools.wait({})", 'await tools.exec_command({cmd: "ls"})', tool="exec"))
        self.assertEqual(found.polls, 1)

    def test_sleeping_in_a_shell_is_a_call_like_any_other(self) -> None:
        self.assertEqual(counts_of(*calls(run("sleep 5"))).polls, 0)
        self.assertEqual(counts_of(*calls({"action": "list"}, tool="process")).polls, 0)

    def test_a_repeat_is_forced_when_the_last_time_was_before_the_newest_compaction(self) -> None:
        for arguments, expected in (
            ("aa", 0),
            ("a-a", 1),
            ("a--a", 1),
            ("a-aa", 1),
            ("aa-a", 1),
            ("a-a-a", 2),
            ("a-b", 0),
            ("-aa", 0),
            ("ab-ba", 2),
        ):
            with self.subTest(arguments):
                found = counts_of(*calls(*(None if letter == "-" else run(letter) for letter in arguments)))
                self.assertEqual(found.cross_compaction_repeats, expected)

    def test_presentation_hides_no_forced_repeat_and_a_poll_is_none(self) -> None:
        self.assertEqual(counts_of(*calls(run("a"), None, {"command": "a", "timeout": 1})).cross_compaction_repeats, 1)
        self.assertEqual(counts_of(*calls({"id": 1}, None, {"id": 1}, tool="wait")).cross_compaction_repeats, 0)

    def test_a_reset_forces_nothing(self) -> None:
        first, second = calls(run("cat a"), run("cat a"))
        found = counts_of(first, Reset("start:clear"), second)
        self.assertEqual((found.cross_compaction_repeats, found.cross_compaction_path_rereads), (0, 0))


class PathsTest(unittest.TestCase):
    def test_any_lines_of_a_path_are_the_path(self) -> None:
        found = counts_of(
            *calls(run("sed -n '1,5p' a; head -3 b"), run("cat a"), None, run("cat ./a"), run("nl a")),
            RecordedCall("read", "Read", {"file_path": "a", "offset": 7}),
        )
        self.assertEqual((found.path_reads, found.distinct_paths, found.path_rereads), (6, 2, 4))
        self.assertEqual(found.cross_compaction_path_rereads, 1)

    def test_a_path_twice_in_one_call_is_read_again(self) -> None:
        self.assertEqual(counts_of(*calls(run("head -1 a && tail -1 a"))).path_rereads, 1)

    def test_what_counts_as_a_read(self) -> None:
        for command, paths in {
            "cat a b": ["a", "b"],
            "cd x && cat a": ["a"],
            "ls; cat a | grep b": ["a"],
            "  cat ./a 2>/dev/null": ["a"],
            "head -n 5 a": ["a"],
            "head -5 a": ["a"],
            "tail -c 5 a": ["a"],
            "nl -b a a | sed -n '5p;7p'": ["a"],
            "sed -n 5,9p a": ["a"],
            "cat 'a b'": ["a b"],
            "cat < a b": ["b"],
            "cat a 2> b": ["a"],
            "cat - -- a": ["a"],
        }.items():
            with self.subTest(command):
                self.assertEqual(counted("Bash", run(command)), paths)

    def test_what_does_not(self) -> None:
        for command in (
            *(
                "sed 's/a/b/' a",
                "sed -i s/a/b/ a",
                "sed -n '1,5p;9p' a",
                "git show a",
                "concat a",
                "echo cat a",
                "cat",
                "",
            ),
            *("cat > a", "cat a > b", "cat >> a", "cat <<EOF", "cat <<'EOF' > a", "make | head -5"),
            *("cat *.md", 'cat "$f"', "cat $(ls)"),
        ):
            with self.subTest(command):
                self.assertEqual(counted("Bash", run(command)), [])

    def test_commands_are_cut_without_regard_to_here_documents(self) -> None:
        self.assertEqual(counted("Bash", run("cat > a <<'EOF'\ncat b\nEOF")), ["b"])

    def test_pieces_of_absurd_length_or_number_are_skipped(self) -> None:
        self.assertEqual(counted("Bash", run("cat " + "a" * 5000)), [])
        self.assertEqual(len(counted("Bash", run("cat a;" * 5000))), 1000)

    def test_shells_and_read_tools_of_all_harnesses(self) -> None:
        for tool, arguments, paths in (
            ("exec_command", {"cmd": "cat a"}, ["a"]),
            ("shell", {"command": ["bash", "-lc", "cat a"]}, ["a"]),
            ("shell", {"command": ["cat", "a b"]}, ["a b"]),
            ("shell", {"command": []}, []),
            ("exec", {"command": "cat a"}, ["a"]),
            ("exec", 'await tools.exec_command({cmd: "cat a"})', ["a"]),
            ("read", {"path": "a"}, ["a"]),
            ("view", {"path": "a"}, ["a"]),
            ("Read", {"file_path": "./a"}, ["a"]),
            ("Edit", {"file_path": "a"}, []),
            ("Grep", {"path": "a"}, []),
            # OpenHands and SWE-agent are not counted.
            ("read", {"path": "a", "start": 0, "end": -1}, []),
            ("run", run("cat a"), []),
            ("action", "cat a", []),
        ):
            with self.subTest(tool, arguments=arguments):
                self.assertEqual(counted(tool, arguments), paths)


class SessionsTest(unittest.TestCase):
    def test_each_session_counts_for_itself(self) -> None:
        session: list[Event] = [SessionStart(), Prompt("a"), *calls(run("cat a")), SessionEnd(3)]
        first, second = count_sessions([*session, *session])
        self.assertEqual(first, second)
        self.assertEqual((first.turns, first.path_reads, first.path_rereads, first.lines), (1, 1, 0, 3))

    def test_counts_come_as_soon_as_it_ends(self) -> None:
        def events() -> Any:
            yield from (SessionStart(), SessionEnd(1))
            raise AssertionError("read on")

        self.assertEqual(next(count_sessions(events())).lines, 1)

    def test_facts_that_the_caller_has_are_taken(self) -> None:
        counter = SessionCounter()
        for name in "12":
            counter.add(RecordedCall(name, "x", {name: 1}), facts_of(RecordedCall("", "Read", {"path": "a"})))
        self.assertEqual(counter.counts().repeated_signatures, 1)

    def test_the_record_is_plain_data_with_every_count(self) -> None:
        record = asdict(counts_of(Compaction("auto", 9), Compaction("manual"), Reset("start:clear"), Skipped("x")))
        self.assertEqual(record["compaction_at"], [AUTO | {"tokens_before": 9}, AUTO | {"kind": "manual"}])
        self.assertEqual((record["reset_kinds"], record["skipped"]), ({"start:clear": 1}, {"x": 1}))
        self.assertEqual(len(record), 34)

    def test_texts_are_not_kept(self) -> None:
        counter = SessionCounter()
        for name in "abc":
            counter.add(RecordedCall(name, "Bash", run(f"cat {name} #{'x' * 100_000}")))
            counter.add(RecordedResult(name, "y" * 100_000))
        kept = [value for table in _tables(counter) for value in table]
        self.assertGreater(len(kept), 9)
        self.assertTrue(all(isinstance(value, int) and value < 2**64 for value in kept))


def _tables(thing: Any) -> list[Any]:
    """All sets and dictionaries inside *thing*."""
    found: list[Any] = []
    for value in vars(thing).values():
        if isinstance(value, (set, dict)):
            found.append(value)
        elif hasattr(value, "__dict__"):
            found.extend(_tables(value))
    return found

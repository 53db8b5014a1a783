"""Claude Code: what waits in the queue, and what the main thread still holds, in all the shapes that files have."""

import io
import itertools
import json
import unittest
from unittest import mock

from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Cleared,
    Compaction,
    Prompt,
    Resume,
    Rewind,
    SessionStart,
    Subagent,
)
from clawvm_transcripts.formats import claude_code
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from tests.transcripts.hand_made import reading_of

_NUMBERS = itertools.count()


def events_of(*records):
    return list(CLAUDE_CODE.read(io.BytesIO("\n".join(map(json.dumps, records)).encode())))


def line(kind, content, **more):
    return {"type": kind, "uuid": f"u{next(_NUMBERS)}", "sessionId": "s", "message": {"content": content}, **more}


def queue(operation, *content):
    record = {"type": "queue-operation", "sessionId": "s", "operation": operation}
    return record | {"content": content[0]} if content else record


def attached(prompt, mode="prompt", origin="human"):
    facts = {"type": "queued_command", "prompt": prompt, "commandMode": mode, "origin": origin and {"kind": origin}}
    return {"type": "attachment", "uuid": f"q{next(_NUMBERS)}", "sessionId": "s", "attachment": facts}


def blocks(*texts):
    return [{"type": "text", "text": text} for text in texts]


REPLY = {"type": "assistant", "uuid": "r", "sessionId": "s", "message": {"id": "m", "content": "Done."}}
NOTE = "<task-notification>\n<status>completed</status>"


class QueueTest(unittest.TestCase):
    def typed(self, *records):
        """Return the prompts and, as None, the replies in order."""
        events = events_of(line("user", "Begin."), *records)
        self.assertEqual([event for event in events if isinstance(event, Broken)], [])
        found = [event for event in events if isinstance(event, (Prompt, AssistantMessage))]
        return [event.text if isinstance(event, Prompt) else None for event in found[1:]]

    def test_an_attachment_may_come_before_its_line_of_the_queue(self):
        for removed in (queue("remove"), queue("remove", "a")):
            records = [queue("enqueue", "a"), queue("enqueue", "b"), attached("a"), removed, REPLY]
            self.assertEqual(self.typed(*records), ["a", None], "b still waits")
            self.assertEqual(self.typed(*records, queue("dequeue"), line("user", "b")), ["a", None, "b"])
            self.assertEqual(self.typed(*records, queue("remove")), ["a", None, "b"])
        twice = [queue("enqueue", "a"), queue("enqueue", "a"), attached("a"), queue("remove", "a"), REPLY]
        self.assertEqual(self.typed(*twice), ["a", None], "the other one still waits")

    def test_an_attachment_with_other_words_or_behind_the_next_reply_is_the_same_prompt(self):
        for records in (
            [
                queue("enqueue", "a"),
                attached([*blocks("a"), {"type": "image"}, *blocks(" long")]),
                queue("remove"),
                REPLY,
            ],
            [queue("enqueue", "a  "), attached("a"), queue("remove", "a  "), REPLY],
            [queue("enqueue", "a"), queue("remove"), REPLY, attached("a"), line("assistant", "More.")],
        ):
            self.assertEqual(len([words for words in self.typed(*records) if words is not None]), 1, records)
        compaction = {"type": "system", "subtype": "compact_boundary", "uuid": "z", "sessionId": "s"}
        self.assertEqual(
            self.typed(queue("enqueue", "a"), queue("remove"), compaction, attached("a"), REPLY), ["a", None]
        )

    def test_the_words_of_another_agent_are_no_prompt(self):
        message = '<teammate-message from="reviewer">Fine.</teammate-message>'
        self.assertEqual(self.typed(queue("enqueue", message), queue("remove"), REPLY), [None])
        self.assertEqual(self.typed(line("user", message), REPLY), [None])
        self.assertEqual(self.typed(line("user", "Fine.", origin={"kind": "peer"}), REPLY), [None])
        self.assertEqual(self.typed(line("user", "Fine.", origin={"kind": "human"}), REPLY), ["Fine.", None])

    def test_resumes_with_nothing_said_between_them_are_one(self):
        def resumed(number):
            facts = {"hookName": "SessionStart:resume", "toolUseID": number}
            return {"type": "attachment", "uuid": f"x{number}", "sessionId": "s", "attachment": facts}

        for between, resumes in (([], 1), ([line("user", "a")], 2), ([REPLY], 2)):
            events = events_of(line("user", "Begin."), resumed("1"), *between, resumed("2"))
            self.assertEqual(len([event for event in events if isinstance(event, Resume)]), resumes)

    def test_a_line_that_comes_twice_counts_once(self):
        again = line("user", "a")
        self.assertEqual(self.typed(again, again, REPLY, REPLY), ["a", None])

    def test_the_same_words_twice_are_two_prompts(self):
        twice = [queue("enqueue", "a")] * 2
        for records in (
            [*twice, queue("remove"), queue("remove"), attached("a"), REPLY],
            [*twice, queue("remove"), attached("a"), queue("remove"), REPLY],
            [*twice, attached("a"), queue("remove", "a"), queue("remove", "a"), REPLY],
            [*twice, attached("a"), attached("a"), queue("remove"), queue("remove"), REPLY],
            [*twice, queue("remove"), queue("remove"), attached("a"), attached("a"), REPLY],
        ):
            self.assertEqual(self.typed(*records), ["a", "a", None])

    def test_a_line_of_the_queue_names_what_it_takes_or_means_the_oldest(self):
        waiting = [queue("enqueue", "a"), queue("enqueue", "b")]
        self.assertEqual(self.typed(*waiting, queue("remove", "b"), REPLY), ["b", None])
        self.assertEqual(self.typed(*waiting, queue("remove"), REPLY), ["a", None])
        self.assertEqual(self.typed(*waiting, queue("dequeue", "b"), queue("remove"), REPLY), ["a", None])
        self.assertEqual(self.typed(*waiting, *[queue("remove")] * 2, attached("b"), REPLY), ["b", "a", None])

    def test_words_may_be_parts(self):
        for removed in (queue("remove"), queue("remove", blocks("a", "b")), queue("remove", "ab")):
            self.assertEqual(self.typed(queue("enqueue", blocks("a", "b")), removed, REPLY), ["ab", None])
            parts = attached(blocks("a", "b"))
            self.assertEqual(self.typed(queue("enqueue", "ab"), removed, parts, REPLY), ["ab", None])

    def test_an_attachment_whose_words_are_others_is_of_the_oldest_that_was_taken(self):
        taken = [queue("enqueue", "[Image #1] look"), queue("remove")]
        self.assertEqual(self.typed(*taken, attached(blocks("look")), REPLY), ["look", None])
        for other in (attached(NOTE, "task-notification", None), attached("Fine.", origin="peer")):
            self.assertEqual(self.typed(*taken, other, REPLY), ["[Image #1] look", None])

    def test_what_was_handed_over_stands_before_what_came_next(self):
        taken = [queue("enqueue", "a"), queue("remove")]
        boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "z", "sessionId": "s"}
        self.assertEqual(self.typed(*taken, line("user", "b"), REPLY), ["a", "b", None])
        events = events_of(*taken, boundary, REPLY)
        self.assertLess(events.index(Prompt("a")), events.index(Compaction("unknown")))
        self.assertEqual(self.typed(*taken), ["a"], "the session ends with it")

    def test_what_nobody_typed_or_the_model_never_got_is_no_prompt(self):
        for words in ("/help", NOTE, " \n", ""):
            self.assertEqual(self.typed(queue("enqueue", words), queue("remove"), REPLY), [None], words)
        both = [queue("enqueue", "a"), queue("enqueue", "b")]
        self.assertEqual(self.typed(*both, queue("popAll", "a\nb"), queue("remove"), REPLY), [None])
        self.assertEqual(self.typed(queue("enqueue", "a"), queue("dequeue"), REPLY), [None])
        self.assertEqual(self.typed(queue("enqueue", "a"), REPLY), [None])
        for mode, origin in (("task-notification", None), ("prompt", "peer"), ("bash", "human"), (None, "human")):
            self.assertEqual(self.typed(attached("a", mode, origin), REPLY), [None])
        self.assertEqual(self.typed(attached(NOTE, origin=None), REPLY), [None])
        self.assertEqual(self.typed(attached("a", origin=None), REPLY), ["a", None])
        self.assertEqual(self.typed(attached("a") | {"isSidechain": True}, REPLY), [None])

    def test_lines_of_another_shape_are_no_prompts(self):
        for operation in ("enqueue", "remove", "dequeue", "popAll", "shuffle", None, 7, ["remove"]):
            for content in (None, 7, {}, [None, 7, {"text": 7}]):
                self.assertEqual(self.typed(queue(operation, content), REPLY), [None])
        for facts in ({}, {"type": "queued_command"}, {"type": "queued_command", "prompt": 7, "origin": "human"}):
            self.assertEqual(self.typed({"type": "attachment", "uuid": "q", "attachment": facts}, REPLY), [None])

    def test_only_so_many_wait(self):
        waiting = [queue("enqueue", str(number)) for number in range(5)]
        with mock.patch.object(claude_code, "MOST_QUEUED", 3):
            self.assertEqual(self.typed(*waiting, queue("remove"), REPLY), ["2", None])
            taken = [record for item in waiting for record in (item, queue("remove"))]
            self.assertEqual(self.typed(*taken, REPLY), ["2", "3", "4", None])


def reads(number, parent, file, message=""):
    """Return the lines of a read and its result: rN and sN."""
    use = {"type": "tool_use", "id": f"t{number}", "name": "Read", "input": {"file_path": f"/{file}"}}
    result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": f"text of {file}"}
    asked = {"id": message or f"m{number}", "content": [use]}
    return [
        line("assistant", [], uuid=f"r{number}", parentUuid=parent) | {"message": asked},
        line("user", [result], uuid=f"s{number}", parentUuid=f"r{number}"),
    ]


def typed(name, parent):
    return line("user", name, uuid=name, parentUuid=parent)


def compaction(name, parent, **facts):
    record = {"type": "system", "subtype": "compact_boundary", "uuid": name, "sessionId": "s", "parentUuid": None}
    return record | {"logicalParentUuid": parent, "compactMetadata": facts}


def cleared(name, parent, *calls):
    facts = {"compactedToolIds": list(calls)}
    record = {"type": "system", "subtype": "microcompact_boundary", "uuid": name, "sessionId": "s"}
    return record | {"parentUuid": parent, "microcompactMetadata": facts}


class ThreadTest(unittest.TestCase):
    def read(self, *records):
        return reading_of(events_of(*records))

    def kept(self, *records):
        """Return whether each read of what was read before found it kept."""
        return [had for _, had in self.read(*records).kept]

    def compactions(self, *records):
        return [event.kept for event in self.read(*records).of(Compaction)]

    def test_a_line_that_hangs_on_one_that_never_came_goes_on_where_the_newest_is(self):
        for parent in ("nowhere", "", 7, ["p"], {}):
            reading = self.read(
                typed("p", None), *reads(1, "p", "jib"), typed("q", parent), *reads(2, parent, "jib"), typed("x", "s2")
            )
            counts = reading.counts
            self.assertEqual((counts.turns, counts.rewinds, counts.bad_lines), (3, 0, 0), parent)
            self.assertEqual([had for _, had in reading.kept], [True])

    def test_a_prompt_that_hangs_on_nothing_is_the_first_one_written_anew(self):
        before = [typed("p", None), *reads(1, "p", "jib")]
        reading = self.read(*before, typed("q", None), *reads(2, "q", "jib"))
        self.assertEqual((reading.of(Rewind), reading.kept), ([Rewind(1, ("t1",))], [("file /jib", False)]))
        clear = {"type": "attachment", "uuid": "c", "attachment": {"hookName": "SessionStart:clear"}}
        reading = self.read(*before, clear, typed("q", None), *reads(2, "q", "jib"))
        self.assertEqual((reading.of(Rewind), reading.kept), ([], [("file /jib", False)]))

    def test_of_a_line_that_comes_twice_the_first_place_counts(self):
        first = [typed("p", None), *reads(1, "p", "jib"), typed("q", "s1"), *reads(2, "q", "boom")]
        again = [*reads(1, "s2", "jib"), typed("x", "s1"), *reads(3, "x", "jib"), *reads(4, "s3", "boom")]
        reading = self.read(*first, *again)
        self.assertEqual(reading.of(Rewind), [Rewind(1, ("t2",))])
        self.assertEqual([had for _, had in reading.kept][-2:], [True, False])

    def test_a_prompt_in_the_middle_of_a_reply_whose_lines_are_one_place_leaves_nothing(self):
        both = [*reads(1, "p", "jib", "m"), *reads(2, "r1", "boom", "m")]
        reading = self.read(typed("p", None), *both, typed("q", "s1"), *reads(3, "q", "boom"))
        self.assertEqual((reading.counts.rewinds, [had for _, had in reading.kept]), (0, [True]))

    def test_going_back_behind_the_newest_reply_is_a_rewind_and_going_on_from_anything_of_it_is_none(self):
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "s1", "boom")]
        for parent, lost in (("s1", [("t2",)]), ("r1", [("t2",)]), ("p", [("t2", "t1")]), ("r2", []), ("s2", [])):
            reading = self.read(*before, typed("q", parent))
            self.assertEqual([event.lost for event in reading.of(Rewind)], lost, parent)

    def test_a_reply_that_hangs_beside_another_one_takes_nothing_from_it(self):
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "p", "boom")]
        self.assertEqual(
            self.kept(*before, typed("q", "s2"), *reads(3, "q", "jib"), *reads(4, "s3", "boom")), [True, True]
        )
        reading = self.read(*before, typed("q", "p"), *reads(3, "q", "jib"), *reads(4, "s3", "boom"))
        self.assertEqual([had for _, had in reading.kept], [False, False])

    def test_what_is_said_behind_a_prompt_or_a_compaction_is_a_reply_of_its_own_whatever_its_name(self):
        first = [typed("p", None), *reads(1, "p", "jib", "m")]
        for middle in (typed("z", "s1"), compaction("z", "s1")):
            reading = self.read(*first, middle, *reads(2, "z", "boom", "m"), typed("x", "z"))
            self.assertEqual(reading.of(Rewind), [Rewind(1, ("t2",))])

    def test_a_name_of_a_line_that_is_no_text_is_none(self):
        for name in (7, None, ["p"], {}):
            reading = self.read(typed("p", None), typed("q", "p") | {"uuid": name}, typed("x", "p"))
            self.assertEqual((reading.counts.bad_lines, reading.of(Rewind)), (0, [Rewind(1)]))

    def test_a_prompt_written_anew_takes_along_what_was_left_before_it(self):
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "s1", "boom"), typed("q", "s2")]
        self.assertEqual(self.kept(*before, typed("x", "s1"), *reads(3, "x", "boom")), [False])
        self.assertEqual(self.kept(*before, typed("x", "s2"), *reads(3, "x", "boom")), [True])

    def test_a_compaction_keeps_the_lines_that_it_names_whatever_shape_the_rest_has(self):
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "s1", "boom"), *reads(3, "s2", "mast")]
        for facts, kept in (
            ({"preservedMessages": {"uuids": ["r2", "s2"]}}, ("t2",)),
            ({"preservedMessages": {"uuids": ["s3"], "allUuids": ["s1", "s3"]}}, ("t1", "t3")),
            ({"preservedMessages": {"uuids": ["s3", "s3", "s1", "nowhere", None, 7, {}]}}, ("t1", "t3")),
            ({"preservedMessages": {"uuids": []}}, ()),
            ({"preservedMessages": 7, "preservedSegment": {"headUuid": "r2", "tailUuid": "s3"}}, ("t2", "t3")),
            ({"preservedMessages": {"uuids": ["s1"]}, "preservedSegment": {"headUuid": "r1"}}, ("t1",)),
            ({"preservedSegment": {"headUuid": "r1", "tailUuid": "r2"}}, ("t1",)),
            ({"preservedSegment": {"headUuid": "s3", "tailUuid": "r1"}}, ()),
            ({"preservedSegment": {"headUuid": "r2", "tailUuid": "behind"}}, ("t2", "t3")),
            ({"preservedSegment": {"headUuid": "r1"}}, ()),
            ({"preservedSegment": {"tailUuid": "s3"}}, ()),
            ({"preservedSegment": {"headUuid": "nowhere", "tailUuid": "s3"}}, ()),
            ({"preservedSegment": ["r1", "s3"]}, ()),
            ({"preservedSegment": {"headUuid": 7, "tailUuid": None}}, ()),
            ({}, ()),
        ):
            with self.subTest(facts=facts):
                self.assertEqual(self.compactions(*before, compaction("z", "s3", **facts)), [kept])

    def test_a_range_of_lines_does_not_bring_back_what_was_left_behind(self):
        before = [typed("p", None), *reads(1, "p", "jib"), typed("q", "s1"), *reads(2, "q", "boom"), typed("x", "s1")]
        named = {"preservedSegment": {"headUuid": "r1", "tailUuid": "s3"}}
        self.assertEqual(
            self.compactions(*before, *reads(3, "x", "mast"), compaction("z", "s3", **named)), [("t1", "t3")]
        )

    def test_what_one_compaction_took_the_next_one_cannot_keep_unless_it_came_back(self):
        before = [typed("p", None), *reads(1, "p", "jib"), compaction("y", "s1")]
        last = compaction("z", "s2", preservedMessages={"uuids": ["s1", "s2"]})
        self.assertEqual(self.compactions(*before, *reads(2, "y", "boom"), last), [(), ("t2",)])
        back = [typed("q", "y"), typed("x", "s1"), *reads(2, "x", "boom")]
        self.assertEqual(self.compactions(*before, *back, last), [(), ("t1", "t2")])

    def test_a_kept_line_goes_on_behind_the_summary(self):
        named = {"preservedMessages": {"uuids": ["r2", "s2"]}}
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "s1", "boom"), compaction("z", "s2", **named)]
        reading = self.read(*before, typed("q", "s2"), *reads(3, "q", "boom"), *reads(4, "s3", "jib"))
        self.assertEqual((reading.counts.rewinds, [had for _, had in reading.kept]), (0, [True, False]))
        earlier = compaction("z", "s2", preservedMessages={"uuids": ["r1", "s1"]})
        self.assertEqual(self.read(*before[:-1], earlier, typed("q", "s1")).counts.rewinds, 0)
        reading = self.read(*before, typed("q", "s2"), typed("x", "s2"), *reads(3, "x", "boom"))
        self.assertEqual((reading.of(Rewind), [had for _, had in reading.kept]), ([Rewind(1)], [True]))

    def test_what_was_cleared_does_not_come_back_with_what_a_compaction_took(self):
        before = [typed("p", None), *reads(1, "p", "jib"), *reads(2, "s1", "boom"), cleared("c", "s2", "t1")]
        back = [compaction("z", "c"), typed("q", "z"), typed("x", "c"), *reads(3, "x", "jib"), *reads(4, "s3", "boom")]
        self.assertEqual(self.kept(*before, *back), [False, True])

    def test_what_was_read_before_a_clear_does_not_come_back_with_what_a_compaction_took(self):
        clear = {"type": "attachment", "uuid": "c", "attachment": {"hookName": "SessionStart:clear"}}
        before = [typed("p", None), *reads(1, "p", "jib"), clear, typed("q", None), *reads(2, "q", "boom")]
        back = [typed("x", "z"), typed("y", "s2"), *reads(3, "y", "jib"), *reads(4, "s3", "boom")]
        reading = self.read(*before, compaction("z", "s2"), *back)
        self.assertEqual([had for _, had in reading.kept], [False, True])
        self.assertEqual((reading.counts.resets, reading.counts.rewinds), (1, 1))

    def test_results_are_cleared_only_where_a_list_names_them_and_else_the_clearing_has_no_names(self):
        for facts, expected in (
            ({"compactedToolIds": ["a", "b"]}, [Cleared(("a", "b"))]),
            ({"compactedToolIds": ["a", "", None, 7, ["b"]]}, [Cleared(("a",))]),
            ({"compactedToolIds": "a"}, [Cleared(None)]),
            ({"compactedToolIds": {"a": 1}}, [Cleared(None)]),
            ({}, [Cleared(None)]),
            (["a"], [Cleared(None)]),
            (None, [Cleared(None)]),
        ):
            with self.subTest(facts=facts):
                record = {"type": "system", "subtype": "microcompact_boundary", "microcompactMetadata": facts}
                reading = self.read(typed("p", None), record)
                self.assertEqual((reading.of(Cleared), reading.counts.bad_lines), (expected, 0))
                self.assertEqual(reading.counts.unnamed_clearings, expected.count(Cleared(None)))
        record = {"type": "system", "subtype": "hologram", "microcompactMetadata": {"compactedToolIds": ["a"]}}
        self.assertEqual(self.read(typed("p", None), record).of(Cleared), [])


class SubagentTest(unittest.TestCase):
    def test_the_first_line_with_a_name_decides_whose_file_it_is(self):
        side = {"isSidechain": True, "agentId": "a"}
        own = SessionStart("a", subagent=True, parent="s")
        for records, start in (
            ([line("user", "Go.", **side)], own),
            ([{"type": "summary", "leafUuid": "z"}, line("user", "Go.", **side)], own),
            ([line("user", "Go.", **side), line("user", "Go.")], own),
            ([line("user", "Go."), line("user", "Go.", **side)], SessionStart("s")),
            ([line("user", "Go.", isSidechain=True)], SessionStart("s")),
            ([line("user", "Go.", isSidechain=True, agentId=7)], SessionStart("s")),
            ([line("user", "Go.", isSidechain="yes", agentId="a")], SessionStart("s")),
        ):
            self.assertEqual(events_of(*records)[0], start)

    def test_what_its_parent_gave_it_to_do_is_no_prompt_typed_or_queued(self):
        side = {"isSidechain": True, "agentId": "a"}
        queued = [queue("enqueue", "More."), queue("remove"), attached("More.") | side]
        queued += [queue("enqueue", "a"), queue("remove")]
        events = events_of(line("user", "Go.", **side), *queued, REPLY | side, *queued)
        self.assertEqual([event for event in events if isinstance(event, Prompt)], [])
        self.assertIn(AssistantMessage("Done.", "m"), events)

    def test_a_side_line_of_any_shape_is_one_of_a_subagent(self):
        use = {"type": "tool_use", "id": "t"}
        for kind, message, calls in (
            ("assistant", {"content": [use, 7, {"type": "text"}, {"type": "tool_use"}]}, ("t", "")),
            ("assistant", {"content": "Words."}, ()),
            ("assistant", None, ()),
            ("user", {"content": [use]}, ()),
            ("attachment", 7, ()),
        ):
            side = {"type": kind, "uuid": "x", "isSidechain": True, "agentId": "a", "message": message}
            self.assertEqual(events_of(line("user", "Go."), side)[2:-1], [Subagent("a", calls)])

"""Sessions written by hand become the turns of both views, exactly, and replay as they happened."""

import unittest
from typing import Any

from clawvm_runtime.policy import PAPER_POLICIES
from clawvm_runtime.vocabulary import Level, PageType, PinClass
from clawvm_transcripts.events import RecordedCall, RecordedResult
from clawvm_transcripts.views import View
from tests.transcripts.hand_made import (
    RESOURCES,
    SIGNATURES,
    Done,
    Hand,
    converted,
    edit,
    fetch,
    plan,
    poll,
    read,
    replayed,
    run,
    search,
)

PAGES_OF_TEXT = "a line of text that is long enough to be of use\n" * 40


class DemandsTest(unittest.TestCase):
    def test_a_result_is_declared_and_called_in_its_turn_and_called_alone_when_it_comes_again(self) -> None:
        found = converted(Hand().reply(run("env", "a b")).reply(run("env", "a b")))
        self.assertEqual(found.events_before(), [["tool command env"], []])
        self.assertEqual(found.calls(), [["command env"], ["command env"]])
        self.assertEqual(found.observed(), [(2, "command env", "repeated", True)])
        metrics = replayed(found, "clawvm")
        self.assertEqual((metrics.cold_accesses, metrics.hits, metrics.alerts), (1, 1, 1))

    def test_another_result_takes_the_place_of_the_first_and_is_cold(self) -> None:
        found = converted(Hand().reply(run("env", "a b")).reply(run("env", "a b c")).reply(run("env", "a b c")))
        self.assertEqual(found.events_before()[1:], [["replace command env", "tool command env"], []])
        metrics = replayed(found, "clawvm")
        self.assertEqual((metrics.cold_accesses, metrics.hits), (2, 1))

    def test_an_edit_never_gives_a_false_hit(self) -> None:
        session = Hand().reply(read("a.py"), run("pytest", "1 failed")).reply(edit("a.py"))
        session.reply(read("a.py", "text of a.py, edited"), run("pytest", "1 failed"), run("pytest -x", "1 failed"))
        found = converted(session)
        for view in View:
            self.assertEqual(found.events_before(view)[2][0], "replace file a.py", "stale from the turn after the edit")
            self.assertIn("replace command pytest", found.events_before(view)[2])
            for policy in PAPER_POLICIES:
                metrics = replayed(found, policy, view)
                self.assertEqual((metrics.hits, metrics.explicit_faults), (0, 0), (view, policy))
                self.assertEqual(metrics.cold_accesses, 6)
        self.assertEqual(found.observed(), [(3, "file a.py", "edited", True)])

    def test_an_edit_that_failed_changes_nothing(self) -> None:
        session = Hand().reply(read("a.py"), run("pytest", "ok"))
        found = converted(session.reply(edit("a.py", "no match", failed=True)).reply(read("a.py"), run("pytest", "ok")))
        self.assertEqual([kind for _, _, kind, _ in found.observed()], ["repeated", "repeated"])

    def test_a_command_that_writes_a_file_is_an_edit_of_it(self) -> None:
        session = Hand().reply(read("a.py"), read("b.py")).reply(run("make x > a.py; echo done", "done"))
        found = converted(session.reply(read("a.py", "new"), read("b.py")))
        self.assertEqual(found.observed(), [(3, "file a.py", "edited", True), (3, "file b.py", "repeated", True)])

    def test_a_silent_edit_counts_though_it_gives_no_page(self) -> None:
        found = converted(Hand().reply(read("a.py")).reply(edit("a.py", "")).reply(read("a.py", "new")))
        self.assertEqual(found.calls()[1], [])
        self.assertEqual(found.observed(), [(3, "file a.py", "edited", True)])

    def test_edits_are_pages_and_no_demands(self) -> None:
        found = converted(Hand().reply(edit("a.py", "done")).reply(edit("a.py", "done")))
        self.assertEqual(found.observed(), [])
        self.assertEqual(found.events_before()[1], ["replace edit a.py", "tool edit a.py"])
        self.assertEqual(replayed(found, "clawvm").hits, 0)

    def test_polls_are_no_demands(self) -> None:
        found = converted(Hand().reply(poll("1 %")).reply(poll("1 %")).reply(poll("2 %"), poll("3 %")).reply())
        self.assertEqual(found.calls(), [[]] * 4)
        self.assertEqual(found.demands(), [[]] * 4)
        self.assertEqual(
            found.events_before(), [["page poll 1"], ["replace poll 1"], ["replace poll 1", "replace poll 1"], []]
        )
        self.assertEqual(found.observed(), [])
        for policy in PAPER_POLICIES:
            self.assertEqual(replayed(found, policy).accesses, 0)

    def test_a_late_result_is_declared_where_it_arrived(self) -> None:
        session = Hand().reply(run("slow", None))
        (call,) = (event.call for event in session.events if isinstance(event, RecordedCall))
        session.reply(text="meanwhile").add(RecordedResult(call, "at last")).reply().reply(run("slow", "at last"))
        found = converted(session)
        self.assertEqual(found.events_before(), [[], ["tool command slow"], [], []])
        self.assertEqual(found.calls(), [[], ["command slow"], [], ["command slow"]])


class EventsBeforeTest(unittest.TestCase):
    def test_what_comes_before_each_turn(self) -> None:
        rule = "page rules Never push."
        for what, session, expected in (
            ("a result without words is nothing", Hand().reply(run("true", ""), run("true", " \n")), [[]]),
            (
                "words without words are nothing",
                Hand().prompt(" ").instruction("system", "").summary("\n").reply(),
                [[]],
            ),
            (
                "a summary is a page",
                Hand().reply().compaction().summary("so far").reply(),
                [["flush"], ["compaction", "page summary 1 so far"]],
            ),
            (
                "a rule is one page, however often it comes",
                Hand().prompt("Never push.").reply().prompt("Never push.").reply(),
                [["page prompt 1 Never push.", rule], ["page prompt 2 Never push."]],
            ),
            (
                "a clear keeps the instructions of its session",
                Hand().instruction("rules", "a").reply().reset("start:clear").instruction("rules", "a").reply(),
                [["page instructions 1"], ["reset session-2"]],
            ),
            (
                "a reset before the first turn is none",
                Hand().reset("start:clear").prompt("a").reply(),
                [["page prompt 1 a"]],
            ),
            ("a boundary after the last turn is none", Hand().reply().compaction(), [[]]),
            (
                "an edit makes a file stale in the next turn",
                Hand().reply(read("a"), edit("a")).reply().reply(),
                [["tool file a", "tool edit a"], ["replace file a"], []],
            ),
        ):
            with self.subTest(what):
                self.assertEqual(converted(session).events_before(), expected)

    def test_a_session_without_turns_in_a_chain_is_none(self) -> None:
        found = converted(Hand(), Hand(prefix="d").reply(), Hand(prefix="e"), Hand(prefix="f").reply())
        self.assertEqual(found.events_before(), [[], ["reset session-2"]])


class SameTurnTest(unittest.TestCase):
    def test_asking_twice_at_once_is_one_demand(self) -> None:
        found = converted(Hand().reply(run("env", "a")).reply(run("env", "a"), run("env", "a")))
        self.assertEqual(found.calls(), [["command env"], ["command env"]])
        self.assertEqual(len(found.observed()), 1)
        found = converted(Hand().reply(run("env", "a"), run("env", "a")))
        self.assertEqual(found.calls(), [["command env"]])
        self.assertEqual(found.observed(), [], "nobody could have had it earlier")

    def test_of_two_new_results_at_once_the_second_counts(self) -> None:
        found = converted(Hand().reply(run("date", "1"), run("date", "2 2 2 2")).reply(run("date", "2 2 2 2")))
        self.assertEqual(found.events_before(), [["tool command date"], []])
        self.assertGreater(found.pages()["command date"].costs[Level.FULL], 1)
        self.assertEqual(found.calls(), [["command date"], ["command date"]])

    def test_a_page_that_changes_after_it_was_asked_for_is_new_in_the_next_turn(self) -> None:
        session = Hand().reply(run("date", "1")).reply(run("date", "1"), run("date", "2")).reply()
        found = converted(session.reply(run("date", "2")))
        self.assertEqual(found.calls(), [["command date"]] * 4)
        self.assertEqual(found.events_before()[2], ["replace command date", "tool command date"])
        metrics = replayed(found, "clawvm")
        self.assertEqual((metrics.cold_accesses, metrics.hits), (2, 2))

    def test_a_read_after_an_edit_in_one_turn_is_the_content_from_then_on(self) -> None:
        session = Hand().reply(read("a"), edit("a"), read("a", "edited")).reply().reply(read("a", "edited"))
        found = converted(session)
        self.assertEqual(found.events_before(), [["tool file a", "tool edit a"], [], []])
        self.assertEqual(found.calls()[2], ["file a"])
        session = Hand().reply(read("a")).reply(read("a"), edit("a"), read("a", "edited")).reply()
        found = converted(session)
        self.assertEqual(found.events_before()[2], ["replace file a", "tool file a"])
        self.assertEqual(found.calls()[1:], [["file a", "edit a"], ["file a"]])

    def test_an_edit_before_a_read_in_one_turn_leaves_the_read_current(self) -> None:
        found = converted(
            Hand().reply(read("a")).reply(edit("a"), read("a", "edited")).reply().reply(read("a", "edited"))
        )
        self.assertEqual(found.events_before()[1:], [["tool edit a", "replace file a", "tool file a"], [], []])
        self.assertEqual(replayed(found, "clawvm").hits, 1)


class ViewsTest(unittest.TestCase):
    def test_a_read_of_known_lines_is_a_demand_in_the_view_of_resources_only(self) -> None:
        found = converted(
            Hand().reply(read("a", "more\nlines")).reply(read("a", "lines", 3, 9)).reply(read("a", "lines", 3, 9))
        )
        self.assertEqual(found.demands(RESOURCES), [[], ["file a"], ["file a"]])
        self.assertEqual(found.calls(RESOURCES), [["file a"], [], []])
        self.assertEqual(found.demands(SIGNATURES), [[], [], []])
        self.assertEqual(found.calls(SIGNATURES), [["file a"], ["file a [3, 9]"], ["file a [3, 9]"]])
        self.assertEqual(found.observed(RESOURCES), [(2, "file a", "covered", True), (3, "file a", "repeated", True)])
        self.assertEqual(found.observed(SIGNATURES), [(3, "file a [3, 9]", "repeated", True)])
        self.assertEqual(set(found.pages(RESOURCES)), {"file a"})

    def test_lines_that_a_newer_read_covers_are_a_demand_on_that_also_after_an_edit(self) -> None:
        session = Hand().reply(read("a", "x", 1, 5)).reply(edit("a")).reply(read("a", "x\nwhole, edited"))
        session.reply(read("a", "x", 1, 5)).reply(read("a", "x", 1, 5))
        found = converted(session)
        self.assertEqual(found.demands(RESOURCES)[3:], [["file a"], ["file a"]])
        self.assertEqual([item[2] for item in found.observed(RESOURCES)], ["covered", "repeated"])
        self.assertEqual(found.calls(SIGNATURES)[3:], [["file a [1, 5]"], ["file a [1, 5]"]])

    def test_what_is_stale_already_is_not_replaced_again(self) -> None:
        session = Hand().reply(read("a", "x", 1, 5)).reply(edit("a")).reply(read("a", "x\nwhole, edited"))
        session.reply(read("a", "x", 1, 5)).reply(edit("a")).reply()
        found = converted(session)
        self.assertEqual(found.events_before(RESOURCES)[2], ["replace file a [1, 5]", "tool file a"])
        self.assertEqual(found.events_before(RESOURCES)[5], ["replace file a"])
        self.assertEqual(found.events_before(SIGNATURES)[5], ["replace file a", "replace file a [1, 5]"])

    def test_a_policy_that_loses_lines_has_to_fetch_them_again(self) -> None:
        part = PAGES_OF_TEXT.splitlines()[2]
        session = Hand().reply(read("a", PAGES_OF_TEXT)).compaction().reply(read("a", part, 3, 9))
        found = converted(session)
        self.assertEqual(replayed(found, "retrieval", RESOURCES).refetch, 1)
        self.assertEqual(replayed(found, "retrieval", SIGNATURES).refetch, 0)
        self.assertEqual(replayed(found, "clawvm", RESOURCES).explicit_faults, 0)
        self.assertEqual(replayed(found, "clawvm", RESOURCES).page_ins, 1)

    def test_the_working_set_is_every_page_once_at_its_largest(self) -> None:
        found = converted(Hand().reply(run("date", "word " * 50)).reply(run("date", "word")).reply(run("env", "word")))
        pages = found.pages()
        expected = sum(page.costs[Level.FULL] for page in pages.values())
        self.assertEqual(found.converter.working_set, {"signatures": expected, "resources": expected})


class PagesTest(unittest.TestCase):
    def test_a_tool_result_is_evidence_as_published(self) -> None:
        session = Hand().reply(read("a"), run("env", "x"), edit("a"), search("x", "y"), fetch("u", "v"))
        found = converted(session.reply(Done("mystery", {}, "z")))
        prices = {}
        for name, page in found.pages().items():
            self.assertIs(page.type, PageType.EVIDENCE)
            self.assertEqual((page.pin, page.minimum, page.base_utility), (PinClass.SOFT, Level.POINTER, 5.0))
            self.assertEqual((page.provenance.kind, page.texts), ("tool_call", {}))
            prices[name.split()[0]] = page.recompute_cost
        self.assertEqual(prices, {"file": 8.0, "command": 8.0, "edit": 12.0, "search": 6.0, "fetch": 6.0, "other": 6.0})

    def test_rule_files_are_bootstrap_and_requirement_documents_constraints(self) -> None:
        found = converted(
            Hand().reply(
                read("docs/AGENTS.md", PAGES_OF_TEXT),
                read("product-spec.md", PAGES_OF_TEXT),
                read("CLAUDE.md", "no such file", failed=True),
                run("cat CLAUDE.md; make", "text"),
            )
        )
        types = {name: page.type.value for name, page in found.pages().items()}
        self.assertEqual(
            types,
            {
                "file docs/AGENTS.md": "bootstrap_policy",
                "file product-spec.md": "constraint",
                "unread CLAUDE.md": "evidence",
                "command cat CLAUDE.md; make": "evidence",
            },
        )
        requirements = found.pages()["file product-spec.md"]
        self.assertEqual((requirements.pin, requirements.minimum), (PinClass.HARD, Level.STRUCTURED))
        self.assertEqual((requirements.base_utility, requirements.provenance.kind), (7.0, "file"))

    def test_a_rule_file_that_is_edited_is_stale_as_a_rule_file(self) -> None:
        session = Hand().reply(read("AGENTS.md", PAGES_OF_TEXT), read("spec.md", PAGES_OF_TEXT), read("a", "x" * 99))
        session.reply(edit("AGENTS.md"), edit("spec.md"), edit("a")).reply()
        found = converted(session)
        pages = found.pages()
        replaced = [item.page for item in found.turns[SIGNATURES][2].events_before]  # type: ignore[union-attr]
        self.assertEqual(replaced, [pages[f"file {name}"] for name in ("AGENTS.md", "spec.md", "a")])

    def test_instructions_are_bootstrap_pages_declared_once_and_memory_is_a_preference(self) -> None:
        session = (
            Hand()
            .instruction("system", "be brief")
            .instruction("rules", "use tabs")
            .instruction("memory", "likes tea")
            .reply()
        )
        session.instruction("system", "be brief").reply()
        found = converted(session)
        self.assertEqual(
            found.events_before(), [["page instructions 1", "page instructions 2", "page preference likes tea"], []]
        )
        types = [page.type.value for page in found.pages().values()]
        self.assertEqual(types, ["bootstrap_policy", "bootstrap_policy", "preference"])
        self.assertEqual([page.provenance.kind for page in found.pages().values()], ["harness", "harness", "user"])

    def test_the_instructions_of_a_new_session_take_the_place_of_those_before(self) -> None:
        one = Hand().instruction("system", PAGES_OF_TEXT).instruction("rules", "use tabs").reply()
        found = converted(one, Hand(prefix="d").instruction("system", "be brief").reply())
        before, after = (turn.events_before for turn in found.turns[SIGNATURES])
        self.assertEqual(found.events_before()[0], ["page instructions 1", "page instructions 2"])
        ended = ["replace instructions 1", "replace instructions 2"]
        self.assertEqual(found.events_before()[1], ["reset session-2", *ended, "replace instructions 1"])
        costs = [item.page.costs[Level.FULL] for item in after[1:]]  # type: ignore[union-attr]
        self.assertEqual(costs[:2], [1, 1])  # What no instruction of the new session replaces holds nothing.
        self.assertGreater(costs[2], 1)
        self.assertEqual(len(before), 2)

    def test_a_prompt_is_a_conversation_segment_needed_in_its_turn_and_never_the_same_again(self) -> None:
        found = converted(Hand().prompt("go on").reply().prompt("go on").reply())
        self.assertEqual(found.events_before(), [["page prompt 1 go on"], ["page prompt 2 go on"]])
        (first,) = found.turns[SIGNATURES][0].demands
        self.assertEqual(first, ("prompt 1 go on", Level.FULL))
        self.assertIs(found.pages()["prompt 1 go on"].type, PageType.CONVERSATION_SEGMENT)

    def test_rules_and_preferences_of_a_prompt_are_pages_beside_it(self) -> None:
        found = converted(Hand().prompt("Fix it. Never touch the lock. I prefer tabs.").reply())
        self.assertEqual(
            found.events_before()[0][1:], ["page rules Never touch the lock.", "page preference I prefer tabs."]
        )
        types = [page.type.value for page in found.pages().values()]
        self.assertEqual(types, ["conversation_segment", "constraint", "preference"])

    def test_pages_are_counted_by_type_once(self) -> None:
        session = (
            Hand()
            .instruction("system", "x")
            .prompt("Always a.")
            .reply(read("a"), read("a", "y", 1, 2), plan(("s", "")))
        )
        session.reply(edit("a"), plan(("s", ""))).reply(read("a", "z"), read("a", "y", 1, 2), read("a", "new", 3, 4))
        self.assertEqual(
            dict(converted(session).converter.pages),
            {"bootstrap_policy": 1, "conversation_segment": 1, "constraint": 1, "plan": 1, "evidence": 4},
        )

    def test_texts_go_out_only_when_they_are_asked_for(self) -> None:
        found = converted(Hand().prompt("hello").reply(run("env", "a"), run("env", "a"), plan(("step", "pending"))))
        self.assertEqual(
            [(page, text) for page, _, text in found.texts],
            [("prompt 1 hello", "hello"), ("command env", "a"), ("plan 1", "- [open] step")],
        )


class BoundariesTest(unittest.TestCase):
    def test_which_boundaries_lose_the_context_of_the_harness(self) -> None:
        for between, before, kept in (
            ([("compaction", "auto")], ["compaction"], False),
            ([("reset", "start:clear")], ["reset session-2"], False),
            ([("reset", "reset")], ["reset session-2"], False),
            ([("reset", "other_session")], ["reset session-2"], False),
            ([("reset", "start:fork")], ["reset session-2"], True),
            ([("reset", "handoff")], ["reset session-2"], True),
            ([("resume",)], [], True),
            ([("resume",), ("resume",)], [], True),
            ([("compaction", "auto"), ("resume",)], ["compaction"], False),
            ([("compaction", "auto", None, [1])], ["compaction"], True),
            ([("compaction", "auto", None, [1]), ("compaction", "auto")], ["compaction", "compaction"], False),
            ([("forgetting",)], ["compaction"], True),
            ([("forgetting", 1)], ["compaction"], False),
            ([("cleared", 1)], [], False),
            ([("cleared",)], [], True),
            ([("rewind",)], ["compaction"], True),
            ([("rewind", 1)], ["compaction"], False),
            ([("compaction", "auto"), ("rewind", 1)], ["compaction", "compaction"], False),
            (
                [("reset", "start:clear"), ("compaction", "auto"), ("reset", "start:fork")],
                ["reset session-2", "compaction", "reset session-3"],
                False,
            ),
        ):
            with self.subTest(between=between):
                session = Hand().reply(run("env", "a"))
                for name, *arguments in between:
                    getattr(session, name)(*arguments)
                found = converted(session.reply(run("env", "a")))
                self.assertEqual(found.events_before()[1:], [before])
                self.assertEqual([item[3] for item in found.observed()], [kept])

    def test_of_two_results_only_that_which_left_the_context_is_lost(self) -> None:
        for how in ("cleared", "forgetting", "rewind"):
            session = Hand().reply(run("env", "a"), run("date", "b")).reply()
            getattr(session, how)(2)
            found = converted(session.reply(run("env", "a"), run("date", "b")))
            self.assertEqual(
                [item[1:] for item in found.observed()],
                [
                    ("command env", "repeated", True),
                    ("command date", "repeated", False),
                ],
                how,
            )

    def test_what_a_rewind_restores_is_kept_again(self) -> None:
        session = Hand().reply(run("env", "a"), run("date", "b")).compaction().reply()
        found = converted(session.rewind(restored=[1]).reply(run("env", "a"), run("date", "b")))
        self.assertEqual([item[3] for item in found.observed()], [True, False])

    def test_only_a_compaction_is_one_of_the_recorded_harness(self) -> None:
        for how, number in (("compaction", 1), ("forgetting", 1), ("cleared", 0), ("rewind", 0), ("resume", 0)):
            session = Hand().reply(run("env", "a"))
            getattr(session, how)()
            self.assertEqual(len(converted(session.reply()).converter.transcripts_at_compaction), number, how)

    def test_a_resume_leaves_the_turns_of_a_cycle_together(self) -> None:
        session = Hand().reply(run("env", "a")).resume().reply().compaction().reply()
        self.assertEqual(converted(session).events_before(), [["flush", "tool command env"], [], ["compaction"]])

    def test_a_prompt_that_was_written_anew_before_anybody_replied_is_no_boundary(self) -> None:
        session = Hand().prompt("one").reply().prompt("two").rewind().prompt("three").reply()
        self.assertNotIn("compaction", converted(session).events_before()[1])
        session = Hand().prompt("one").reply().prompt("two").reply().rewind().prompt("three").reply()
        self.assertIn("compaction", converted(session).events_before()[2])
        for left in ({"dropped": 2}, {"restored": [1]}):
            session = Hand().prompt("one").reply(run("env", "a")).prompt("two").rewind(**left).prompt("three").reply()
            self.assertIn("compaction", converted(session).events_before()[1], left)

    def test_a_prompt_that_was_written_anew_further_up_loses_what_was_read_before_it(self) -> None:
        session = Hand().prompt("one").reply(run("env", "a")).prompt("two").rewind(1).prompt("three")
        self.assertEqual([item[3] for item in converted(session.reply(run("env", "a"))).observed()], [False])

    def test_whatever_came_between_the_same_lines_are_a_demand_and_other_lines_are_new(self) -> None:
        between = (
            ("resume", ()),
            ("rewind", ()),
            ("reset", ("start:clear",)),
            ("reset", ("start:fork",)),
            ("compaction", ()),
        )
        for name, arguments in between:
            for text, demands in (("x", ["file a"]), ("z", [])):
                session = Hand().reply(read("a", "x\ny"))
                getattr(session, name)(*arguments)
                self.assertEqual(
                    converted(session.reply(read("a", text, 1, 2))).demands(RESOURCES), [[], demands], name
                )

    def test_what_a_reset_destroyed_has_to_be_fetched_again_unless_it_was_written(self) -> None:
        session = Hand().reply(run("env", PAGES_OF_TEXT)).reset("start:clear").reply(run("env", PAGES_OF_TEXT))
        found = converted(session)
        self.assertEqual(replayed(found, "retrieval").duplicate_tool, 1)
        self.assertEqual(replayed(found, "clawvm").explicit_faults, 0)

    def test_the_transcript_at_a_compaction_is_what_grew_since_the_last_boundary(self) -> None:
        session = Hand().reply(run("a", "word " * 100)).compaction().reply(run("b", "word " * 10)).compaction()
        session.reply(run("c", "word " * 100)).reset("start:clear").reply(run("d", "word " * 20)).compaction().reply()
        session.reply(run("e", "word " * 100)).rewind().compaction().reply()
        first, second, third, fourth = converted(session).converter.transcripts_at_compaction
        self.assertGreater(first, 100)
        self.assertLess(second, 40)
        self.assertLess(third, 60)
        self.assertEqual(fourth, 0)


class ChainTest(unittest.TestCase):
    def test_between_two_sessions_is_a_reset(self) -> None:
        found = converted(
            Hand().reply(run("env", "a")), Hand(prefix="d").reply(run("env", "a")), Hand(prefix="e").reply()
        )
        self.assertEqual(found.events_before(), [["tool command env"], ["reset session-2"], ["reset session-3"]])
        self.assertEqual(found.observed(), [(2, "command env", "repeated", False)])

    def test_between_two_sessions_files_may_have_changed(self) -> None:
        found = converted(Hand().reply(read("a")), Hand(prefix="d").reply(read("a", "x", 1, 2)).reply(read("a")))
        self.assertEqual(found.demands(RESOURCES), [[], [], []])
        self.assertEqual(found.observed(RESOURCES), [(3, "file a", "repeated", False)])

    def test_what_a_resumed_session_copied_of_an_earlier_one_did_not_happen_again(self) -> None:
        first = Hand().prompt("look").reply(run("env", "a"))
        second = Hand().prompt("look").reply(run("env", "a"))  # The same ids.
        second.prefix = "d"
        found = converted(first, second.prompt("again").reply(run("env", "a")))
        self.assertEqual(found.events_before()[1:], [["page prompt 2 again"]], "a resume is no boundary")
        self.assertEqual(found.observed(), [(2, "command env", "repeated", True)], "a resume loads the conversation")

    def test_a_session_may_be_forked_from_any_earlier_one(self) -> None:
        def session(prefix: str) -> Hand:
            return Hand(prefix=prefix).reply(run(f"env {prefix}", "a"))

        self.assertEqual(converted(session("c"), session("d"), session("c")).converter.turns, 2)

    def test_harnesses_that_only_number_copy_nothing(self) -> None:
        def session() -> Hand:
            hand = Hand(messages=False)
            for number in (1, 2):
                hand.reply(run(f"env {number}", "a"))
            for place, event in enumerate(hand.events):
                if hasattr(event, "call"):
                    changed: Any = type(event)
                    fields = {name: getattr(event, name) for name in event.__slots__}
                    hand.events[place] = changed(**{**fields, "call": fields["call"][-3:]})
            return hand

        self.assertEqual(len(converted(session(), session()).turns[SIGNATURES]), 4)

    def test_the_plan_lives_on(self) -> None:
        found = converted(Hand().reply(plan(("a", "pending"))), Hand(prefix="d").reply(plan(("a", "in_progress"))))
        self.assertEqual(found.events_before()[1], ["reset session-2"])
        self.assertEqual(found.demands()[1], ["plan 1"])
        self.assertEqual(replayed(found, "clawvm").explicit_faults, 0)


class PlansInTracesTest(unittest.TestCase):
    def test_every_call_stages_an_update_and_needs_the_plan(self) -> None:
        session = Hand().reply(plan(("a", "pending"), ("b", "pending"))).reply(plan(("a", "completed"), ("b", "x")))
        found = converted(session)
        self.assertEqual(found.events_before(), [["page plan 1"], []])
        self.assertEqual(found.demands(), [["plan 1"], ["plan 1"]])
        self.assertEqual(found.turns[SIGNATURES][1].demands, (("plan 1", Level.STRUCTURED),))
        self.assertEqual(
            found.updates(),
            [[("steps", {"step a": "open", "step b": "open"})], [("steps", {"step a": "done", "step b": "other"})]],
        )

    def test_two_plans_at_once_are_one_demand_and_the_second_comes_with_the_next_turn(self) -> None:
        found = converted(Hand().reply(plan(("a", "pending")), plan(("b", "pending"))).reply())
        self.assertEqual(found.events_before(), [["page plan 1"], ["replace plan 1"]])
        self.assertEqual(found.demands(), [["plan 1"], []])
        self.assertEqual(len(found.updates()[0]), 2)

    def test_an_update_is_dirty_until_it_is_committed(self) -> None:
        session = Hand().reply(plan(("a", "pending"))).reply().compaction().reply()
        found = converted(session)
        lost = {policy: replayed(found, policy).lost_updates for policy in PAPER_POLICIES}
        self.assertEqual(lost["retrieval"], 1)
        self.assertEqual(lost["clawvm"], 0)
        self.assertEqual(replayed(found, "retrieval").flush_miss, 1)
        self.assertEqual(replayed(found, "clawvm").committed_updates, 1)

    def test_a_flush_in_time_saves_an_update_and_a_jump_past_it_loses_it(self) -> None:
        session = Hand().reply(plan(("a", "pending"))).reply(run("x", "word " * 3000)).reply(run("y", "word " * 3000))
        saved = replayed(converted(session.compaction().reply()), "compaction_hybrid")
        self.assertEqual((saved.flushes, saved.flush_miss, saved.committed_updates), (1, 0, 1))
        session = Hand().reply(run("x", "word " * 5000), plan(("a", "pending"))).compaction().reply()
        session.reply(run("y", "word " * 100), plan(("a", "completed"), ("b", "pending"))).compaction().reply()
        jumped = replayed(converted(session), "compaction_hybrid")
        self.assertEqual((jumped.flushes, jumped.flush_miss), (2, 2))

    def test_no_update_of_a_plan_is_rejected(self) -> None:
        session = Hand().reply(plan(("a", "pending"))).compaction().reply(plan(("a", "completed")))
        session.reset("start:clear").reply(plan(("b", "pending"))).reply(plan(("c", "done"))).compaction().reply()
        session.reply(Done("exit_plan_mode", {"plan": "first this"}, "ok")).compaction()
        session.reply(Done("exit_plan_mode", {"plan": "then that"}, "ok")).reset("reset").reply()
        for policy in PAPER_POLICIES:
            self.assertEqual(replayed(converted(session), policy).rejected_updates, 0, policy)


class LargeBudgetTest(unittest.TestCase):
    def test_a_session_of_everything_is_a_trace_without_faults_under_clawvm(self) -> None:
        session = Hand().prompt("Never push.").instruction("rules", "a").reply(read("a"), run("env", "1"), poll("x"))
        session.reply(edit("a"), plan(("s", "pending"))).compaction().summary("so far").reply(read("a", "b"))
        session.reset("start:resume").reply(search("x", "1"), read("a", "b", 1, 2)).rewind().reply(run("env", "1"))
        for view in View:
            metrics = replayed(converted(session), "clawvm", view)
            self.assertEqual((metrics.explicit_faults, metrics.pressure_turns), (0, 0), view)

"""Behaviour of the forms that keep rules, preferences and plans word for word."""

import random
import unittest

from clawvm_runtime.text.kinds import ContentKind
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import PageType, Scope
from tests.runtime.text.samples import (
    AGENTS_MD,
    GAP,
    GIT_DIFF,
    PACKAGE_JSON,
    PYTEST_LOG,
    PYTHON_MODULE,
    TODO_PLAN,
    structured,
)

SEED = 20263


class RuleTests(unittest.TestCase):
    """Instructions survive word for word."""

    RULES = (
        *("- Never commit directly to `main`.", "- Run `make lint` before every commit,"),
        *("  and fix every warning it reports.", "1. Migrations must be reversible."),
        "You must ask before you delete a table.",
        "All amounts are integers of cents. Do not use floats for money.",
    )
    PROSE = ("This repository holds", "The service uses Python", "The ledger and the invoices")

    def test_every_rule_stays_and_explaining_prose_goes(self) -> None:
        for page_type in (PageType.BOOTSTRAP_POLICY, PageType.CONSTRAINT):
            kept = structured(AGENTS_MD, page_type, ContentKind.PROSE)
            with self.subTest(page_type):
                for rule in self.RULES:
                    self.assertIn(rule, kept.split("\n"))
                for prose in self.PROSE:
                    self.assertNotIn(prose, kept)
                self.assertLess(estimate_tokens(kept), estimate_tokens(AGENTS_MD))

    def test_rules_stay_under_their_headings_and_empty_headings_go(self) -> None:
        lines = structured(AGENTS_MD, PageType.BOOTSTRAP_POLICY, ContentKind.PROSE).split("\n")
        self.assertLess(lines.index("## Rules"), lines.index("- Never commit directly to `main`."))
        self.assertEqual(lines[lines.index("### Money") + 1], self.RULES[-1])
        self.assertEqual(lines[0], "# Acme billing service")
        self.assertNotIn("## Style", lines)

    def test_commands_in_fences_stay_verbatim_with_their_blank_lines(self) -> None:
        text = AGENTS_MD.replace("make setup\n", "make setup\n\n# the heading of a script, no heading\n")
        kept = structured(text, PageType.BOOTSTRAP_POLICY, ContentKind.PROSE)
        self.assertIn("```bash\nmake setup\n\n# the heading of a script, no heading\nmake test\n```", kept)

    def test_a_fence_that_never_closes_keeps_everything_after_it(self) -> None:
        text = "The history and the plan.\n\n- rule\n\n~~~\nthe text\n\nand this"
        kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
        self.assertTrue(kept.startswith("- rule\n~~~\nthe text\n\nand this"))

    def test_what_is_left_out_is_counted(self) -> None:
        kept = structured(AGENTS_MD, PageType.BOOTSTRAP_POLICY, ContentKind.PROSE).split("\n")
        missing = GAP.fullmatch(kept[-1])
        assert missing is not None
        fenced_blanks = 0
        content = sum(bool(line.strip()) for line in AGENTS_MD.split("\n"))
        self.assertEqual(len(kept) - 1 - fenced_blanks + int(missing.group(1)), content)

    def test_without_any_rule_everything_stays(self) -> None:
        text = "# The service\n\nThe service was written by the team.\n\nIt is used with the portal.\n"
        self.assertEqual(structured(text, PageType.BOOTSTRAP_POLICY, ContentKind.PROSE), text)

    def test_a_text_of_rules_only_stays_as_it_is(self) -> None:
        text = "# Rules\n\n- a\n- b\n"
        self.assertEqual(structured(text, PageType.CONSTRAINT, ContentKind.PROSE), text)

    def test_prose_under_a_heading_of_rules_stays(self) -> None:
        text = (
            "# Guide\n\nThe history and the team.\n\n## Forbidden\n\n### Git\n\nPushing to the main branch.\n"
            "\n## More\n\nThe end and the rest.\n"
        )
        kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
        self.assertEqual(
            kept, "# Guide\n## Forbidden\n### Git\nPushing to the main branch.\n[... 3 lines left out ...]"
        )

    def test_the_title_of_a_document_makes_no_rules_of_all_of_it(self) -> None:
        text = "# Instructions\n\nThe history and the team.\n\n## Work\n\n- a rule\n"
        self.assertNotIn("history", structured(text, PageType.CONSTRAINT, ContentKind.PROSE))

    def test_a_single_heading_of_rules_binds_all_of_it(self) -> None:
        text = "# Rules\n\nThe owner and the team decide.\n\n- a rule\n"
        self.assertEqual(structured(text, PageType.CONSTRAINT, ContentKind.PROSE), text)

    def test_a_heading_that_is_a_rule_stays_without_anything_under_it(self) -> None:
        text = "## Avoid global state\n\nThe history and the team.\n"
        kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
        self.assertEqual(kept, "## Avoid global state\n[... 1 line left out ...]")

    def test_what_cannot_be_judged_stays(self) -> None:
        for paragraph in (
            *("Geheimnisse bleiben im Tresor und nirgends sonst.", "秘密は金庫に保管してください。"),
            *("These are the commands that run the build:", "| the file | and its owner |"),
            *("language: Python\nbuild: the makefile", "**The order and the place**"),
            *("The order and the place\n=======================", "  and this belongs to the item above"),
            "<policy>the words and the tags</policy>",
            *("The deploy key is with the operators and with nobody else.", "Run the linter and the tests."),
        ):
            text = f"- rule\n\n{paragraph}\n\nThe history and the team.\n"
            with self.subTest(paragraph):
                kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
                self.assertIn(paragraph, kept)
                self.assertNotIn("history", kept)

    def test_an_item_keeps_what_continues_it(self) -> None:
        text = "The history and the team.\n\n- a rule\nthat goes on\n\n  and the rest\n\nThis is the end.\n"
        kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
        self.assertEqual(kept, "- a rule\nthat goes on\n  and the rest\n[... 2 lines left out ...]")

    def test_an_item_keeps_what_follows_its_fence(self) -> None:
        text = "- Run this:\n\n  ```\n  make\n  ```\n\n  and the log of it\n\nThe history and the team.\n"
        kept = structured(text, PageType.CONSTRAINT, ContentKind.PROSE)
        self.assertIn("  ```\n  and the log of it\n[... 1 line", kept)

    def test_texts_that_are_not_sentences_stay(self) -> None:
        for text in (PYTHON_MODULE, PACKAGE_JSON, PYTEST_LOG, GIT_DIFF):
            self.assertEqual(structured(text, PageType.CONSTRAINT), text)

    def test_no_rule_line_is_lost_from_any_document(self) -> None:
        rng = random.Random(SEED)
        prose = [
            "The history and the team.",
            "It was built with the tools that they had.",
            "These are from the old days.",
        ]
        rules = [
            *(
                *("Never do {}.", "You must keep {}.", "Only {} may do it.", "- item {}", "  - nested {}"),
                "{}. numbered item",
            ),
            *(
                *("Do not touch {}.", "It is forbidden to use {}.", "Access is required for {}.", "ALWAYS ask {}."),
                "You can't {}.",
            ),
        ]
        for case in range(150):
            lines: list[str] = []
            wanted: list[str] = []
            for number in range(rng.randrange(1, 40)):
                choice = rng.randrange(5)
                if choice == 0:
                    lines.append("#" * rng.randrange(1, 5) + f" Part {number}")
                elif choice == 1:
                    lines.append(rng.choice(prose))
                elif choice == 2:
                    lines.append("")
                else:
                    wanted.append(rng.choice(rules).format(number))
                    lines.append(wanted[-1])
            text = rng.choice(["\n", "\r\n"]).join(lines)
            with self.subTest(seed=SEED, case=case, text=text):
                kept = [
                    line.rstrip("\r")
                    for line in structured(text, PageType.BOOTSTRAP_POLICY, ContentKind.PROSE).split("\n")
                ]
                source = iter([line.rstrip("\r") for line in text.split("\n")])
                self.assertTrue(all(any(line == other for other in source) for line in kept if not GAP.fullmatch(line)))
                self.assertEqual([line for line in kept if line in wanted], wanted)


class PreferenceTests(unittest.TestCase):
    def test_a_preference_keeps_its_scope_and_its_values(self) -> None:
        text = "The user and the team like it this way.\n\neditor: vim\nindent: 2\n\nPrefer short answers.\n"
        kept = structured(text, PageType.PREFERENCE, ContentKind.PROSE, scope=Scope.PROJECT)
        self.assertEqual(
            kept, "scope: project\neditor: vim\nindent: 2\nPrefer short answers.\n[... 1 line left out ...]"
        )

    def test_a_preference_in_json_gives_its_keys(self) -> None:
        kept = structured('{"editor": "vim", "tabs": {"width": 2}}', PageType.PREFERENCE)
        self.assertEqual(kept.split("\n")[0], "scope: project")
        self.assertIn('editor: "vim"\ntabs: object of 1: width', kept)


class PlanTests(unittest.TestCase):
    def plan(self, text: str) -> str:
        return structured(text, PageType.PLAN)

    def test_goal_current_step_and_open_steps_stay_word_for_word(self) -> None:
        self.assertEqual(
            self.plan(TODO_PLAN),
            "goal:\n"
            "Goal: every tool reads config.toml and nothing reads config.json any more.\n"
            "current step:\n"
            "- [ ] Switch the command line over\n"
            "  - keep the old flag for one release\n"
            "open steps:\n"
            "- [ ] Delete the JSON reader\n"
            "- [ ] Update the documentation\n"
            "2 of 5 steps done",
        )

    def test_the_step_that_the_plan_marks_is_the_current_one(self) -> None:
        for mark in ("- [>] two", "- [~] two", "2. → two", "- two (in progress)", "- ▶ two", "- two <- current"):
            with self.subTest(mark):
                self.assertIn(f"current step:\n{mark}\n", self.plan(f"# P\n\n- [ ] one\n{mark}\n- [x] three\n"))

    def test_the_step_that_the_plan_names_is_the_current_one(self) -> None:
        for named in ("Current step: two", "**Now:** two", "## Current step\n\ntwo", "Next:\n\ntwo"):
            with self.subTest(named):
                current = self.plan(f"# P\n\n- [ ] one\n\n{named}\n").split("current step:\n")[1].split("\n")[0]
                self.assertEqual(current, named.rpartition("\n")[2])

    def test_done_steps_are_counted_however_they_are_marked(self) -> None:
        for mark in ("- [x] a", "- [X] a", "✅ a", "- ~~a~~", "1. a (done)", "- a — done", "- a ✔"):
            with self.subTest(mark):
                kept = self.plan(f"# P\n\n{mark}\n- [ ] b\n")
                self.assertIn("1 of 2 steps done", kept)
                self.assertNotIn(mark, kept)

    def test_steps_under_a_heading_of_done_ones_are_done(self) -> None:
        kept = self.plan("# P\n\n## Done\n\n- a\n- b\n\n## Open\n\n- [ ] c\n")
        self.assertEqual(kept, "goal:\n# P\ncurrent step:\n- [ ] c\n2 of 3 steps done")

    def test_a_numbered_list_without_marks_is_all_open(self) -> None:
        kept = self.plan("Ship it soon.\n\n1. one\n   - detail\n2. two\n\nThe rest.\n")
        self.assertEqual(kept, "goal:\nShip it soon.\nopen steps:\n1. one\n2. two")

    def test_a_goal_under_its_heading_is_found(self) -> None:
        kept = self.plan("# Notes\n\n## Goal\n\nOne file.\n\n## Steps\n\n- [ ] a\n- [ ] b\n")
        self.assertTrue(kept.startswith("goal:\nOne file.\ncurrent step:\n- [ ] a\n"))

    def test_a_finished_plan_has_no_current_step(self) -> None:
        self.assertEqual(self.plan("# P\n\n- [x] a\n- [x] b\n"), "goal:\n# P\n2 of 2 steps done")

    def test_the_plan_of_a_tool_call_is_read(self) -> None:
        text = (
            '{"explanation": "Ship", "todos": [{"content": "one", "status": "completed"},'
            ' {"content": "two", "status": "in_progress"}, {"content": "three", "status": "pending"}]}'
        )
        self.assertEqual(
            self.plan(text), "goal:\nShip\ncurrent step:\n[>] two\nopen steps:\n[ ] three\n1 of 3 steps done"
        )
        self.assertEqual(
            self.plan('[{"step": "a", "state": "active"}, {"step": "b", "state": 3}]'),
            "current step:\n[>] a\nopen steps:\n[ ] b",
        )

    def test_what_holds_no_plan_stays(self) -> None:
        deep = '{"a":' * 100_000
        nameless = '[{"step": "a", "status": "done"}, {"status": "open", "unknown": "b"}]'
        for text in (
            "Just words.",
            nameless,
            *("", '{"a": 1}', '{"todos": []}', '[{"status": "done"}, 3]', "[1, 2]", '{"a": tru'),
            deep,
        ):
            with self.subTest(text[:40]):
                self.assertEqual(self.plan(text), text)

"""Behaviour of the levels below full: what each keeps, what it never loses, what it never lets through."""

import doctest
import os
import random
import re
import subprocess
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

from clawvm_runtime.pages import Provenance
from clawvm_runtime.text import kinds as text_lines
from clawvm_runtime.text import pointers
from clawvm_runtime.text.extract import PATHS_MOST, compressed, parse_pointer, pointer, structured
from clawvm_runtime.text.kinds import ContentKind, detect_kind
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import PageType, Scope
from tests.runtime.test_content_kinds import (
    AGENTS_MD,
    CSV,
    GIT_DIFF,
    GREP_LISTING,
    LISTING,
    PACKAGE_JSON,
    PYTEST_LOG,
    PYTHON_MODULE,
    SAMPLES,
    TODO_PLAN,
    TOML,
    TRANSCRIPT,
    numbered,
)

SEED = 20263
LARGE = 60_000  # Characters: anything quadratic in them takes half a minute.
GAP = re.compile(r"\[\.\.\. (\d+) lines? left out \.\.\.\]")
CUT = re.compile(r" \[\.\.\. (\d+) characters left out \.\.\.\] ")
EVIDENCE = PageType.EVIDENCE
FILLER = [
    *(
        "plain words without weight",
        "",
        "    indented words",
        "x" * 900,
        "a, b, c",
        "the end of it",
        "\ttabs",
        "1234 5678",
    ),
    *(
        "# Heading",
        "## Second",
        "- item",
        "1. first",
        "Never do this.",
        "ValueError: bad",
        "def run(self):",
        "key: value",
    ),
    *(
        "src/app.py:12:text",
        "@@ -1,2 +1,2 @@ def run",
        "+added",
        "-removed",
        '  "a": 1,',
        "{",
        "}",
        "[section]",
        "| a | b |",
    ),
    *(
        "```",
        "~~~",
        "- [ ] open",
        "- [x] done",
        "Goal: win",
        "\x00\x1b[31m",
        "\ud800",
        "漢字かな",
        "user: hello",
        "🦀 " * 40,
    ),
]


def fields(text: str, page_type: PageType = EVIDENCE, kind: ContentKind | None = None) -> dict[str, list[str]]:
    """Return the fields of the structured form: label -> items; the first line under the label ''."""
    result: dict[str, list[str]] = {}
    label = ""
    for line in structured(text, detect_kind(text) if kind is None else kind, page_type).split("\n"):
        if re.fullmatch(r"[a-z][a-z ]*:", line):
            label = line[:-1]
        else:
            result.setdefault(label, []).append(line)
    return result


def random_text(chance: random.Random, most: int = 120) -> str:
    """Return lines of every kind in any order, with any line end."""
    lines = chance.choices(FILLER, k=chance.randrange(most))
    return chance.choice(["\n", "\r\n"]).join(lines) + chance.choice(["", "\n"])


def lines_of(text: str) -> list[str]:
    lines = text.split("\n")
    if len(lines) > 1 and lines[-1] == "":
        lines.pop()
    return [line.rstrip("\r") for line in lines]


class CompressedTests(unittest.TestCase):
    def test_a_long_text_shrinks_to_about_a_third(self) -> None:
        for name, (text, kind) in SAMPLES.items():
            long_text = "\n".join(f"{line} {number}" for number, line in enumerate((text * 20).split("\n")))
            with self.subTest(name):
                share = estimate_tokens(compressed(long_text, kind)) / estimate_tokens(long_text)
                self.assertTrue(0.2 < share < 0.45, share)

    def test_a_short_text_stays_as_it_is(self) -> None:
        for text in ("", "one line", "a\nb\n", CSV):
            self.assertEqual(compressed(text, ContentKind.PROSE), text)

    def test_head_and_tail_stay(self) -> None:
        lines = [f"line number {number} of the report" for number in range(300)]
        kept = compressed("\n".join(lines), ContentKind.PROSE).split("\n")
        self.assertEqual((kept[0], kept[-1]), (lines[0], lines[-1]))

    def test_failures_and_the_summary_of_a_test_run_stay(self) -> None:
        log = PYTEST_LOG.replace("loading defaults\n", "loading defaults\n" * 200)
        kept = compressed(log, detect_kind(log))
        for line in (
            "E       FileNotFoundError: [Errno 2] No such file or directory: 'absent.toml'",
            "FAILED tests/test_config.py::test_missing_file_is_reported - FileNotFoundError",
            "========================= 1 failed, 13 passed in 0.31s =========================",
        ):
            self.assertIn(line, kept.split("\n"))

    def test_the_summary_of_a_run_without_failures_stays(self) -> None:
        lines = [f"step {number} passed quietly" for number in range(900)]
        lines[447] = "============== 40 passed, 2 skipped in 3.10s =============="
        self.assertIn(lines[447], compressed("\n".join(lines), ContentKind.LOG).split("\n"))

    def test_a_failure_deep_inside_a_long_log_stays(self) -> None:
        lines = [f"step {number} passed quietly" for number in range(900)]
        lines[447] = "OSError: [Errno 28] No space left on device"
        self.assertIn(lines[447], compressed("\n".join(lines), ContentKind.LOG).split("\n"))

    def test_a_failure_that_repeats_takes_its_room_once(self) -> None:
        lines = [f"step {number} passed quietly" for number in range(600)]
        for number in range(200, 400, 2):
            lines[number] = "ConnectionError: the database at 10.0.0.1 did not answer in the time that was allowed"
        lines[399] = "OSError: [Errno 28] No space left on device"
        kept = compressed("\n".join(lines), ContentKind.LOG).split("\n")
        self.assertEqual(kept.count(lines[200]), 1)
        self.assertIn(lines[399], kept)

    def test_definitions_of_a_module_stay(self) -> None:
        module = "\n".join(PYTHON_MODULE.replace("retry", f"retry_{number}") for number in range(4))
        kept = compressed(module, ContentKind.SOURCE_CODE).split("\n")
        for number in range(4):
            self.assertIn(f"async def retry_{number}(call, attempts: int = 3):", kept)

    def test_headings_of_a_document_stay(self) -> None:
        prose = "It was written in a long night by people who had time.\n" * 12
        kept = compressed("\n".join(f"## Part {number}\n\n{prose}" for number in range(9)), ContentKind.PROSE)
        self.assertEqual(re.findall(r"## Part \d", kept), [f"## Part {number}" for number in range(9)])

    def test_each_file_of_a_diff_and_of_a_listing_stays(self) -> None:
        diff = "".join(GIT_DIFF.replace("app.py", f"app{number}.py") + " context\n" * 60 for number in range(3))
        listing = "".join(f"src/file{number % 7}.py:{number}: match\n" for number in range(400))
        for number in range(3):
            self.assertIn(f"diff --git a/src/app{number}.py", compressed(diff, ContentKind.DIFF))
        for number in range(7):
            self.assertIn(f"src/file{number}.py", compressed(listing, ContentKind.SEARCH_LISTING))

    def test_the_outline_of_json_and_the_sections_of_a_table_stay(self) -> None:
        table = "\n".join(f"[part{number}]\n" + "    value = 1\n" * 30 for number in range(5))
        for number in range(5):
            self.assertIn(f"[part{number}]", compressed(table, ContentKind.TABLE))
        inner = ",\n".join(f'      "inner{number}": {number}' for number in range(60))
        json_text = "{\n" + ",\n".join(f'  "outer{n}": {{\n{inner}\n  }}' for n in range(4)) + "\n}\n"
        for number in range(4):
            self.assertIn(f'"outer{number}"', compressed(json_text, ContentKind.JSON))

    def test_one_giant_line_keeps_its_two_ends_and_says_how_much_is_missing(self) -> None:
        text = "start " + "middle " * 3000 + "end"
        kept = compressed(text, ContentKind.PROSE)
        head, missing, tail = CUT.split(kept)
        self.assertTrue(text.startswith(head) and text.endswith(tail))
        self.assertEqual(len(head) + int(missing) + len(tail), len(text))
        self.assertLess(len(kept), len(text) / 2)

    def test_a_gap_of_few_characters_is_not_marked_but_shown(self) -> None:
        lines = [f"## Part {number}\n\nx\n" for number in range(4)] + ["filler words of no weight"] * 60
        kept = compressed("\n".join(lines), ContentKind.PROSE)
        self.assertTrue(kept.startswith("## Part 0\n\nx\n\n## Part 1"))

    def test_one_line_left_out_is_spelled_in_the_singular(self) -> None:
        self.assertEqual(text_lines.left_out(1), "[... 1 line left out ...]")
        self.assertEqual(text_lines.left_out(2), "[... 2 lines left out ...]")

    def test_a_huge_text_is_looked_at_in_head_and_tail_and_every_line_is_accounted_for(self) -> None:
        lines = [f"{number}: {'words ' * 9}" for number in range(40_000)]
        lines[3] = "ValueError: near the head"
        lines[-3] = "ValueError: near the tail"
        kept = compressed("\n".join(lines), ContentKind.LOG)
        self.assertIn(lines[3], kept)
        self.assertIn(lines[-3], kept)
        missing = sum(int(found) for found in GAP.findall(kept))
        self.assertEqual(missing + sum(not GAP.fullmatch(line) for line in kept.split("\n")), len(lines))
        self.assertLessEqual(len(kept), text_lines.COMPRESSED_MOST * 1.1)

    def test_whatever_is_kept_stands_in_the_text_in_its_order_and_nothing_is_lost_silently(self) -> None:
        self.check_accounts(600)

    def test_the_account_holds_for_a_text_whose_middle_is_never_seen(self) -> None:
        with (
            mock.patch.object(text_lines, "ANALYSED_HEAD", 200),
            mock.patch.object(text_lines, "ANALYSED_TAIL", 150),
            mock.patch.object(text_lines, "ANALYSED_CHARACTERS", 350),
        ):
            self.check_accounts(600)

    def check_accounts(self, cases: int) -> None:
        chance = random.Random(SEED)
        for case in range(cases):
            text = random_text(chance)
            kind = chance.choice(list(ContentKind))
            with self.subTest(seed=SEED, case=case, kind=kind):
                result = compressed(text, kind)
                if result == text:
                    continue
                self.assertLess(len(result), len(text))
                position, source = 0, lines_of(text)
                for line in result.split("\n"):
                    gap = GAP.fullmatch(line)
                    if gap:
                        position += int(gap.group(1))
                        continue
                    parts = CUT.split(line)
                    if len(parts) == 3:
                        self.assertTrue(source[position].startswith(parts[0]) and source[position].endswith(parts[2]))
                        self.assertEqual(len(parts[0]) + int(parts[1]) + len(parts[2]), len(source[position]))
                    else:
                        self.assertEqual(line, source[position])
                    position += 1
                self.assertEqual(position, len(source))


class StructuredTests(unittest.TestCase):
    def test_a_module_gives_its_definitions_with_line_numbers(self) -> None:
        found = fields(PYTHON_MODULE)
        source = PYTHON_MODULE.split("\n")
        for item in found["definitions"]:
            if item.startswith("[..."):
                continue
            number, line = re.fullmatch(r"(\d+): (.*)", item).groups()  # type: ignore[union-attr]
            self.assertEqual(source[int(number) - 1], line)
        self.assertTrue(any(item.endswith("class TokenBucket:") for item in found["definitions"]))
        self.assertEqual(found["opening"], ['"""Token buckets that limit how often a caller may ask."""'])

    def test_a_numbered_view_keeps_the_numbers_it_came_with(self) -> None:
        found = fields(numbered(PYTHON_MODULE, "→"))
        self.assertIn("    11→class RateLimitError(Exception):", found["definitions"])

    def test_line_numbers_stay_right_behind_the_unseen_middle_of_a_huge_text(self) -> None:
        lines = ["x = 1  # " + "words " * 9] * 20_000
        lines[19_990] = "def last():"
        self.assertIn("19991: def last():", fields("\n".join(lines), kind=ContentKind.SOURCE_CODE)["definitions"])

    def test_a_test_run_gives_failures_summary_command_and_paths(self) -> None:
        found = fields(PYTEST_LOG)
        self.assertIn(
            "FAILED tests/test_config.py::test_missing_file_is_reported - FileNotFoundError",
            found["failures"],
        )
        self.assertEqual(found["commands"], ["$ python -m pytest tests/test_config.py"])
        self.assertIn("1 failed, 13 passed in 0.31s", found["summary"][-1])
        self.assertRegex(found[""][0], r"^log, 25 lines, \d+ failure lines$")

    def test_likely_failures_are_given_where_none_is_sure(self) -> None:
        log = "2026-01-02 start\n2026-01-02 the connection was refused\n2026-01-02 warning: slow\n"
        self.assertEqual(fields(log)["failures"], ["2026-01-02 the connection was refused"])
        self.assertEqual(fields(log)[""], ["log, 3 lines, 1 failure line, 1 warning"])

    def test_a_package_file_gives_its_keys_with_short_values_and_sizes(self) -> None:
        self.assertEqual(
            fields(PACKAGE_JSON)["keys"],
            [
                'name: "billing-dashboard"',
                'version: "2.4.1"',
                "private: true",
                "scripts: object of 3: build, test, lint",
                "dependencies: object of 2: react, zod",
                "files: array of 2",
                "engines: object of 1: node",
            ],
        )

    def test_an_array_gives_its_length_and_what_its_first_item_is(self) -> None:
        found = fields('[{"id": 1, "name": "a"}, {"id": 2}, {"id": 3}]')
        self.assertEqual(found, {"": ["json, 1 lines, array of 3"], "first item": ["object of 2: id, name"]})
        self.assertEqual(fields("[]"), {"": ["json, 1 lines, array of 0"]})

    def test_json_lines_are_counted_and_the_first_is_outlined(self) -> None:
        found = fields('{"a": 1, "b": [1, 2]}\n{"a": 2}\n{"a": 3, "c": {}}\n')
        self.assertEqual(found, {"": ["json, 3 lines, 3 records"], "keys": ["a: 1", "b: array of 2"]})

    def test_broken_cut_off_and_deeply_nested_json_is_outlined_as_far_as_it_goes(self) -> None:
        self.assertEqual(fields('{"a": 1, "b": {"c": "uncl')["keys"], ["a: 1", "b: object of 1: c"])
        self.assertEqual(fields("}]", kind=ContentKind.JSON), {"": ["json, 1 lines"]})
        self.assertEqual(fields('{"a":' * 100_000)["keys"], ["a: object of 1+: a"])
        self.assertEqual(fields("[" * 100_000, kind=ContentKind.JSON)["first item"], ["array of 1"])
        long_text = '{"rows": [' + "1, " * 50_000 + '0], "after": 1}'
        self.assertRegex(fields(long_text)["keys"][0], r"^rows: array of \d+\+$")
        many = ", ".join(f'"k{number}": 1' for number in range(20))
        self.assertRegex(fields(f'{{"a": {{{many}}}}}')["keys"][0], r"^a: object of 20: k0, k1, .*k11, \.\.\.$")

    def test_json_after_the_head_of_a_command_is_found(self) -> None:
        text = 'Wall time: 0.1 seconds\nOutput:\n{"a": 1}\n'
        self.assertEqual(fields(text)["keys"], ["a: 1"])

    def test_a_diff_gives_its_files_with_counts(self) -> None:
        found = fields(GIT_DIFF)
        self.assertEqual(found["files"], ["src/app.py +3 -2", "old.txt +0 -2"])
        self.assertEqual(found["hunks"], ["@@ -10,7 +10,7 @@ def parse_config(path):", "@@ -40,3 +41,4 @@ def main():"])

    def test_a_diff_without_git_headers_gives_its_files_too(self) -> None:
        diff = "--- a/x.c\t2026-01-02\n+++ b/x.c\t2026-01-03\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end\n"
        self.assertEqual(fields(diff)["files"], ["x.c +1 -1"])

    def test_a_search_gives_its_files_with_the_number_of_matches(self) -> None:
        found = fields(GREP_LISTING)
        self.assertEqual(found["files"], ["src/app.py: 3", "src/cli/main.py: 1", "tests/test_config.py: 2"])
        self.assertEqual(found[""], ["search_listing, 6 lines, 6 matches, 3 files"])

    def test_a_listing_gives_its_entries_and_folders(self) -> None:
        self.assertIn("pyproject.toml", fields(LISTING)["entries"])
        found = fields("src/a.py\nsrc/b.py\nsrc/deep/c.py\ntests/d.py\ntop.py\n")
        self.assertEqual(found["folders"], ["src: 2", "src/deep: 1", "tests: 1", ".: 1"])
        self.assertEqual(found["entries"][0], "src/a.py")

    def test_a_table_gives_keys_or_columns(self) -> None:
        self.assertEqual(fields(TOML)["values"], [line for line in TOML.split("\n") if line])
        found = fields(CSV)
        self.assertEqual((found["columns"], found["last row"]), (["name,team,role"], ["Linus,kernel,lead"]))
        self.assertEqual(found[""], ["table, 4 lines, 3 rows"])
        self.assertEqual(
            fields("  a: 1\n  b: 2\n  c: 3\n", kind=ContentKind.TABLE)["values"],
            ["  a: 1", "  b: 2", "  c: 3"],
        )

    def test_prose_gives_opening_headings_key_points_and_paths(self) -> None:
        text = AGENTS_MD + "\nSee docs/guide.md and https://example.org/a/b. It broke: ValueError: no such ledger\n"
        found = fields(text * 8)
        self.assertIn("## Rules", found["headings"])
        self.assertIn("- Never commit directly to `main`.", found["key points"])
        self.assertTrue(found["opening"][0].startswith("This repository holds"))
        self.assertEqual(found["paths"], ["docs/guide.md", "https://example.org/a/b"])
        self.assertTrue(found["failures"][0].endswith("no such ledger"))

    def test_a_text_that_names_many_paths_gives_the_first_of_them(self) -> None:
        text = "".join(f"This part is in src/part{number}.py and more.\n" for number in range(200))
        paths = fields(text * 3, kind=ContentKind.PROSE)["paths"]
        self.assertEqual(paths, [f"src/part{number}.py" for number in range(PATHS_MOST)])

    def test_a_conversation_gives_the_beginning_of_every_turn(self) -> None:
        found = fields(TRANSCRIPT, PageType.CONVERSATION_SEGMENT)
        self.assertEqual([turn.split(":")[0] for turn in found["turns"]], ["user", "assistant", "user"])

    def test_a_field_says_how_many_items_it_leaves_out(self) -> None:
        listing = "".join(f"src/file{number}.py:1: x\n" for number in range(2000))
        items = fields(listing)["entries"] if "entries" in fields(listing) else fields(listing)["files"]
        missing = re.fullmatch(r"\[\.\.\. (\d+) more \.\.\.\]", items[-1])
        assert missing is not None
        self.assertEqual(len(items) - 1 + int(missing.group(1)), 2000)

    def test_an_item_is_cut_where_a_line_is_long(self) -> None:
        item = fields("x" * 5000 + "\n" + "words " * 3000)["opening"][0]
        self.assertEqual(item, "x" * text_lines.ITEM_LENGTH + "…")

    def test_structured_stays_well_below_the_text(self) -> None:
        for name, (text, kind) in SAMPLES.items():
            text = "\n".join(f"{line} {number}" for number, line in enumerate((text * 30).split("\n")))
            with self.subTest(name):
                self.assertLess(len(structured(text, kind, EVIDENCE)), len(text) * 0.3)

    def test_every_item_stands_in_the_text(self) -> None:
        chance = random.Random(SEED)
        ours = re.compile(r"\[\.\.\. \d+ more \.\.\.\]|\d+: |: \d+$| \+\d+ -\d+$|…$|object of .*|array of .*|^\.$")
        for case in range(600):
            text = random_text(chance)
            kind = chance.choice(list(ContentKind))
            page_type = chance.choice([EVIDENCE, PageType.CONVERSATION_SEGMENT])
            with self.subTest(seed=SEED, case=case, kind=kind):
                for label, items in fields(text, page_type, kind).items():
                    for item in items if label else []:
                        if item in text:
                            continue
                        self.assertTrue(
                            all(piece in text for piece in re.split(r": ", ours.sub("", item), maxsplit=1)),
                            item,
                        )


class RuleTests(unittest.TestCase):
    """Instructions survive word for word."""

    RULES = (
        "- Never commit directly to `main`.",
        "- Run `make lint` before every commit,",
        "  and fix every warning it reports.",
        "1. Migrations must be reversible.",
        "You must ask before you delete a table.",
        "All amounts are integers of cents. Do not use floats for money.",
    )
    PROSE = ("This repository holds", "The service uses Python", "The ledger and the invoices")

    def test_every_rule_stays_and_explaining_prose_goes(self) -> None:
        for page_type in (PageType.BOOTSTRAP_POLICY, PageType.CONSTRAINT):
            kept = structured(AGENTS_MD, ContentKind.PROSE, page_type)
            with self.subTest(page_type):
                for rule in self.RULES:
                    self.assertIn(rule, kept.split("\n"))
                for prose in self.PROSE:
                    self.assertNotIn(prose, kept)
                self.assertLess(estimate_tokens(kept), estimate_tokens(AGENTS_MD))

    def test_rules_stay_under_their_headings_and_empty_headings_go(self) -> None:
        lines = structured(AGENTS_MD, ContentKind.PROSE, PageType.BOOTSTRAP_POLICY).split("\n")
        self.assertLess(lines.index("## Rules"), lines.index("- Never commit directly to `main`."))
        self.assertEqual(lines[lines.index("### Money") + 1], self.RULES[-1])
        self.assertEqual(lines[0], "# Acme billing service")
        self.assertNotIn("## Style", lines)

    def test_commands_in_fences_stay_verbatim_with_their_blank_lines(self) -> None:
        text = AGENTS_MD.replace("make setup\n", "make setup\n\n# the heading of a script, no heading\n")
        kept = structured(text, ContentKind.PROSE, PageType.BOOTSTRAP_POLICY)
        self.assertIn("```bash\nmake setup\n\n# the heading of a script, no heading\nmake test\n```", kept)

    def test_a_fence_that_never_closes_keeps_everything_after_it(self) -> None:
        kept = structured(
            "The history and the plan.\n\n- rule\n\n~~~\nthe text\n\nand this",
            ContentKind.PROSE,
            PageType.CONSTRAINT,
        )
        self.assertTrue(kept.startswith("- rule\n~~~\nthe text\n\nand this"))

    def test_what_is_left_out_is_counted(self) -> None:
        kept = structured(AGENTS_MD, ContentKind.PROSE, PageType.BOOTSTRAP_POLICY).split("\n")
        missing = GAP.fullmatch(kept[-1])
        assert missing is not None
        fenced_blanks = 0
        content = sum(bool(line.strip()) for line in AGENTS_MD.split("\n"))
        self.assertEqual(len(kept) - 1 - fenced_blanks + int(missing.group(1)), content)

    def test_without_any_rule_everything_stays(self) -> None:
        text = "# The service\n\nThe service was written by the team.\n\nIt is used with the portal.\n"
        self.assertEqual(structured(text, ContentKind.PROSE, PageType.BOOTSTRAP_POLICY), text)

    def test_a_text_of_rules_only_stays_as_it_is(self) -> None:
        text = "# Rules\n\n- a\n- b\n"
        self.assertEqual(structured(text, ContentKind.PROSE, PageType.CONSTRAINT), text)

    def test_prose_under_a_heading_of_rules_stays(self) -> None:
        text = (
            "# Guide\n\nThe history and the team.\n\n## Forbidden\n\n### Git\n\nPushing to the main branch.\n"
            "\n## More\n\nThe end and the rest.\n"
        )
        kept = structured(text, ContentKind.PROSE, PageType.CONSTRAINT)
        self.assertEqual(
            kept, "# Guide\n## Forbidden\n### Git\nPushing to the main branch.\n[... 3 lines left out ...]"
        )

    def test_the_title_of_a_document_makes_no_rules_of_all_of_it(self) -> None:
        text = "# Instructions\n\nThe history and the team.\n\n## Work\n\n- a rule\n"
        self.assertNotIn("history", structured(text, ContentKind.PROSE, PageType.CONSTRAINT))

    def test_a_single_heading_of_rules_binds_all_of_it(self) -> None:
        text = "# Rules\n\nThe owner and the team decide.\n\n- a rule\n"
        self.assertEqual(structured(text, ContentKind.PROSE, PageType.CONSTRAINT), text)

    def test_a_heading_that_is_a_rule_stays_without_anything_under_it(self) -> None:
        text = "## Avoid global state\n\nThe history and the team.\n"
        kept = structured(text, ContentKind.PROSE, PageType.CONSTRAINT)
        self.assertEqual(kept, "## Avoid global state\n[... 1 line left out ...]")

    def test_what_cannot_be_judged_stays(self) -> None:
        for paragraph in (
            "Geheimnisse bleiben im Tresor und nirgends sonst.",
            "秘密は金庫に保管してください。",
            "These are the commands that run the build:",
            "| the file | and its owner |",
            "language: Python\nbuild: the makefile",
            "**The order and the place**",
            "The order and the place\n=======================",
            "  and this belongs to the item above",
            "<policy>the words and the tags</policy>",
            "The deploy key is with the operators and with nobody else.",
            "Run the linter and the tests.",
        ):
            text = f"- rule\n\n{paragraph}\n\nThe history and the team.\n"
            with self.subTest(paragraph):
                kept = structured(text, ContentKind.PROSE, PageType.CONSTRAINT)
                self.assertIn(paragraph, kept)
                self.assertNotIn("history", kept)

    def test_an_item_keeps_what_continues_it(self) -> None:
        text = "The history and the team.\n\n- a rule\nthat goes on\n\n  and the rest\n\nThis is the end.\n"
        kept = structured(text, ContentKind.PROSE, PageType.CONSTRAINT)
        self.assertEqual(kept, "- a rule\nthat goes on\n  and the rest\n[... 2 lines left out ...]")

    def test_an_item_keeps_what_follows_its_fence(self) -> None:
        text = "- Run this:\n\n  ```\n  make\n  ```\n\n  and the log of it\n\nThe history and the team.\n"
        kept = structured(text, ContentKind.PROSE, PageType.CONSTRAINT)
        self.assertIn("  ```\n  and the log of it\n[... 1 line", kept)

    def test_texts_that_are_not_sentences_stay(self) -> None:
        for text in (PYTHON_MODULE, PACKAGE_JSON, PYTEST_LOG, GIT_DIFF):
            self.assertEqual(structured(text, detect_kind(text), PageType.CONSTRAINT), text)

    def test_no_rule_line_is_lost_from_any_document(self) -> None:
        chance = random.Random(SEED)
        prose = [
            "The history and the team.",
            "It was built with the tools that they had.",
            "These are from the old days.",
        ]
        rules = [
            *(
                "Never do {}.",
                "You must keep {}.",
                "Only {} may do it.",
                "- item {}",
                "  - nested {}",
                "{}. numbered item",
            ),
            *(
                "Do not touch {}.",
                "It is forbidden to use {}.",
                "Access is required for {}.",
                "ALWAYS ask {}.",
                "You can't {}.",
            ),
        ]
        for case in range(400):
            lines: list[str] = []
            wanted: list[str] = []
            for number in range(chance.randrange(1, 40)):
                choice = chance.randrange(5)
                if choice == 0:
                    lines.append("#" * chance.randrange(1, 5) + f" Part {number}")
                elif choice == 1:
                    lines.append(chance.choice(prose))
                elif choice == 2:
                    lines.append("")
                else:
                    wanted.append(chance.choice(rules).format(number))
                    lines.append(wanted[-1])
            text = chance.choice(["\n", "\r\n"]).join(lines)
            with self.subTest(seed=SEED, case=case, text=text):
                kept = [
                    line.rstrip("\r")
                    for line in structured(text, ContentKind.PROSE, PageType.BOOTSTRAP_POLICY).split("\n")
                ]
                source = iter([line.rstrip("\r") for line in text.split("\n")])
                self.assertTrue(all(any(line == other for other in source) for line in kept if not GAP.fullmatch(line)))
                self.assertEqual([line for line in kept if line in wanted], wanted)


class PreferenceTests(unittest.TestCase):
    def test_a_preference_keeps_its_scope_and_its_values(self) -> None:
        text = "The user and the team like it this way.\n\neditor: vim\nindent: 2\n\nPrefer short answers.\n"
        kept = structured(text, ContentKind.PROSE, PageType.PREFERENCE, scope=Scope.PROJECT)
        self.assertEqual(
            kept, "scope: project\neditor: vim\nindent: 2\nPrefer short answers.\n[... 1 line left out ...]"
        )

    def test_a_preference_in_json_gives_its_keys(self) -> None:
        kept = structured('{"editor": "vim", "tabs": {"width": 2}}', ContentKind.JSON, PageType.PREFERENCE)
        self.assertEqual(kept.split("\n")[0], "scope: project")
        self.assertIn('editor: "vim"\ntabs: object of 1: width', kept)


class PlanTests(unittest.TestCase):
    def plan(self, text: str) -> str:
        return structured(text, detect_kind(text), PageType.PLAN)

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
        for mark in (
            "- [>] two",
            "- [~] two",
            "2. → two",
            "- two (in progress)",
            "- ▶ two",
            "- two <- current",
        ):
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
            "",
            '{"a": 1}',
            '{"todos": []}',
            '[{"status": "done"}, 3]',
            "[1, 2]",
            '{"a": tru',
            deep,
        ):
            with self.subTest(text[:40]):
                self.assertEqual(self.plan(text), text)


class PointerTests(unittest.TestCase):
    TOOL_CALL = Provenance("tool_call", 'read({"path":"src/app.py"})')

    def point(self, text: str, reference: str = "x", page_id: str = "ev-1", page_type: PageType = EVIDENCE) -> str:
        return pointer(
            text,
            page_id=page_id,
            page_type=page_type,
            provenance=Provenance("tool_call", reference),
            tokens=812,
        )

    def test_it_names_handle_type_origin_words_and_size(self) -> None:
        line = self.point(PYTHON_MODULE, 'read({"path":"src/limits.py"})')
        self.assertRegex(
            line, r"^\[page ev-1 evidence \| read src/limits\.py \| [^|]*TokenBucket[^|]* \| 812 tokens\]$"
        )
        self.assertIn("RateLimitError", line)

    def test_the_telling_words_are_names_not_stop_words(self) -> None:
        words = self.point("the retry of the parse_config is the retry that was " * 9).split(" | ")[2].split(", ")
        self.assertEqual(words, ["parse_config", "retry"])

    def test_hashes_numbers_and_words_of_the_origin_tell_nothing(self) -> None:
        line = self.point("3f2a1bc9d8e7 1234567890 app_config app_config abc1d2e3f4 word", "cat app_config")
        self.assertEqual(line, "[page ev-1 evidence | cat app_config | word | 812 tokens]")

    def test_words_that_contain_each_other_are_not_both_shown(self) -> None:
        self.assertEqual(self.point("parse_config " * 5 + "parse config").split(" | ")[2], "parse_config")

    def test_scripts_without_spaces_have_words_too(self) -> None:
        self.assertIn("支払いの期限", self.point("支払いの期限は月末です。" * 3))

    def test_at_most_six_words_are_shown(self) -> None:
        words = self.point(" ".join(f"{letter * 5}word" for letter in "abcdefghij")).split(" | ")[2].split(", ")
        self.assertEqual(len(words), 6)

    def test_a_text_without_words_still_has_a_pointer(self) -> None:
        for text in ("", "123 456", "!!!", "\0", "\ud800"):
            self.assertEqual(self.point(text), "[page ev-1 evidence | x | 812 tokens]")

    def test_a_tool_call_shows_its_telling_arguments(self) -> None:
        expected = {
            'bash({"command":"git status","timeout":5})': "bash git status",
            'grep({"path":"src","pattern":"TODO"})': "grep TODO src",
            'shell({"command":["bash","-lc","ls"]})': "shell bash -lc ls",
            'fetch({"url":"https://example.org"})': "fetch https://example.org",
            'tool({"other":1})': 'tool({"other":1})',
            "tool({broken})": "tool({broken})",
            'tool({"command":3})': 'tool({"command":3})',
            "tool(" + '{"path":' * 4000 + "})": None,
        }
        for reference, origin in expected.items():
            with self.subTest(reference[:60]):
                shown = self.point("", reference).split(" | ")[1]
                self.assertEqual(shown, origin) if origin else self.assertTrue(shown.endswith("…"))

    def test_a_long_origin_is_cut(self) -> None:
        shown = self.point("", "cat " + "x" * 5000).split(" | ")[1]
        self.assertEqual(len(shown), pointers.ORIGIN_LENGTH + 1)

    def test_a_preference_keeps_scope_and_provenance(self) -> None:
        line = pointer(
            "editor: vim",
            page_id="pref-1",
            page_type=PageType.PREFERENCE,
            provenance=Provenance("user", "turn 3 of " + "s" * 200),
            tokens=4,
            scope=Scope.PROJECT,
        )
        self.assertTrue(line.startswith("[page pref-1 preference project | user turn 3 of " + "s" * 200 + " | "))
        self.assertEqual(parse_pointer(line), "pref-1")

    def test_a_conversation_segment_keeps_span_and_timestamps(self) -> None:
        span = "span 3f-17..3f-42 2026-01-02T10:00:00Z..2026-01-02T10:31:07Z " + "s" * 100
        line = pointer(
            TRANSCRIPT,
            page_id="c-1",
            page_type=PageType.CONVERSATION_SEGMENT,
            provenance=Provenance("transcript_span", span),
            tokens=90,
        )
        self.assertEqual(line.split(" | ")[1], span)

    def test_every_pointer_resolves_to_its_own_page_whatever_it_was_made_of(self) -> None:
        chance = random.Random(SEED)
        pieces = [
            *(
                "[page other evidence | x | 1 tokens]",
                "]\n[page other evidence | x | 1 tokens]",
                " | 1 tokens]",
                "|",
                "]",
                "[",
            ),
            *(
                "%",
                "%20;",
                "%5B;",
                " ",
                "evidence",
                "\n",
                "\r",
                "\x85",
                "\u2028",
                "\u202e",
                "\0",
                "\ud800",
                "漢字",
                "word",
                "é",
            ),
        ]
        for case in range(2000):
            page_id = "".join(piece for piece in chance.choices(pieces, k=4) if piece.isprintable()) or "p"
            text, reference = ("".join(chance.choices(pieces, k=chance.randrange(1, 12))) for _ in range(2))
            page_type = chance.choice(list(PageType))
            scope = chance.choice(list(Scope))
            with self.subTest(seed=SEED, case=case, page_id=page_id, text=text, reference=reference):
                line = pointer(
                    text,
                    page_id=page_id,
                    page_type=page_type,
                    provenance=Provenance("tool_call", reference),
                    tokens=7,
                    scope=scope,
                )
                self.assertTrue(line.isprintable())
                self.assertEqual((line.count("["), line.count("]")), (1, 1))
                self.assertEqual(parse_pointer(line), page_id)
                self.assertEqual(parse_pointer(f"  {line}\n"), page_id)

    def test_two_pages_never_share_a_handle(self) -> None:
        ids = [
            "a",
            "a ",
            " a",
            "a%20;",
            "a%",
            "a|",
            "a]",
            "[a",
            "a%7C;",
            "A",
            "à",
            "a\u0300",
            "a evidence",
            "\ud800",
            "\n",
        ]
        lines = [self.point("", page_id=page_id) for page_id in ids]
        self.assertEqual([parse_pointer(line) for line in lines], ids)
        self.assertEqual(len(set(lines)), len(ids))

    def test_no_other_line_is_a_pointer(self) -> None:
        good = self.point("word")
        self.assertEqual(parse_pointer(good), "ev-1")
        for line in (
            "",
            "ev-1",
            good[1:],
            good[:-1],
            f"see {good}",
            f"{good} {good}",
            f"{good}\n{good}",
            "[page ev-1 evidence | 812 tokens]",
            "[page ev-1 secret | x | 812 tokens]",
            "[page  evidence | x | 812 tokens]",
            "[page ev 1 evidence | x | 812 tokens]",
            "[page ev-1 evidence | x | many tokens]",
            "[page ev-1 evidence | x\ny | 812 tokens]",
            "[page %41; evidence | x | 812 tokens]",
            "[page %110000; evidence | x | 812 tokens]",
            "[page ev-1 evidence session | x | 812 tokens]",
        ):
            with self.subTest(line):
                self.assertIsNone(parse_pointer(line))

    def test_the_examples_in_the_documentation_hold(self) -> None:
        results = doctest.testmod(pointers)
        self.assertGreater(results.attempted, 0)
        self.assertEqual(results.failed, 0)


class DeterminismTests(unittest.TestCase):
    SCRIPT = """
import hashlib
from clawvm_runtime.text.kinds import detect_kind
from clawvm_runtime.pages import Provenance
from clawvm_runtime.text.extract import compressed, pointer, structured
from clawvm_runtime.vocabulary import PageType
from tests.runtime.test_content_kinds import SAMPLES

SOURCE = Provenance("file", "a.py")
digest = hashlib.sha256()
for text, _ in SAMPLES.values():
    text = text * 9
    kind = detect_kind(text)
    words = [kind.value, compressed(text, kind)]
    for page_type in PageType:
        words.append(structured(text, kind, page_type))
        words.append(pointer(text, page_id="p", page_type=page_type, provenance=SOURCE, tokens=1))
    digest.update("\\0".join(words).encode())
print(digest.hexdigest())
"""

    def test_the_result_does_not_depend_on_the_hash_seed(self) -> None:
        root = Path(__file__).resolve().parents[2]
        results = set()
        for seed in ("0", "1", "4242"):
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
            done = subprocess.run(
                [sys.executable, "-c", self.SCRIPT],
                capture_output=True,
                text=True,
                env=environment,
                cwd=root,
                check=True,
            )
            results.add(done.stdout)
        self.assertEqual(len(results), 1, results)


class RobustnessTests(unittest.TestCase):
    UNITS = (
        *(
            "x",
            "word ",
            "\n",
            " ",
            "[",
            '{"a":',
            '"',
            '\\"',
            "a line\r\n",
            "\ud800",
            "\0",
            "a/",
            "public ",
            "**a",
            "a (",
            "- ",
        ),
        *(
            "# ",
            "```\n",
            "_",
            "=",
            "漢",
            "\t",
            "] ",
            "| ",
            "- [ ] a\n",
            "✓ ",
            "(done ",
            "Use ",
            "a:\n",
            "@@ -1,9 +1,9 @@\n",
        ),
        *(
            "--- a\n",
            "a (" * 80 + "\n",
            "a/" * 100 + "\n",
            " " * 300 + "\n",
            "def " * 60 + "\n",
            "const a = (" * 20 + "\n",
        ),
        *(
            "error: " * 30 + "\n",
            "Error (" * 30 + "\n",
            "<div " * 40 + "\n",
            "**" * 100 + "\n",
            "not ok " * 30 + "\n",
        ),
    )

    def test_megabytes_of_anything_take_seconds_at_every_level(self) -> None:
        for unit in self.UNITS:
            text = (unit * (LARGE // len(unit) + 1))[:LARGE]
            for kind in ContentKind:
                with self.subTest(unit=unit[:20], kind=kind):
                    start = time.perf_counter()
                    compressed(text, kind)
                    structured(text, kind, EVIDENCE)
                    self.assertLess(time.perf_counter() - start, 5)
            for page_type in (PageType.BOOTSTRAP_POLICY, PageType.PLAN, PageType.PREFERENCE):
                with self.subTest(unit=unit[:20], page_type=page_type):
                    start = time.perf_counter()
                    structured(text, detect_kind(text), page_type)
                    structured(text, ContentKind.PROSE, page_type)
                    self.assertLess(time.perf_counter() - start, 5)


if __name__ == "__main__":
    unittest.main()

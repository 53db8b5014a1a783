"""Behaviour of the compressed and the structured form: what each keeps, what it never loses, what it costs."""

import random
import re
import time
import unittest
from unittest import mock

from clawvm_runtime.text import extract, kinds
from clawvm_runtime.text.kinds import ContentKind, detect_kind, lines_of
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import PageType
from tests.runtime.text.samples import (
    AGENTS_MD,
    CSV,
    GAP,
    GIT_DIFF,
    GREP_LISTING,
    LISTING,
    PACKAGE_JSON,
    PYTEST_LOG,
    PYTHON_MODULE,
    SAMPLES,
    TOML,
    TRANSCRIPT,
    compressed,
    numbered,
    random_text,
    structured,
)

SEED = 20263
CUT = re.compile(r" \[\.\.\. (\d+) characters left out \.\.\.\] ")
EVIDENCE = PageType.EVIDENCE


def fields(text: str, page_type: PageType = EVIDENCE, kind: ContentKind | None = None) -> dict[str, list[str]]:
    """Return the fields of the structured form: label -> items; the first line under the label ''."""
    result: dict[str, list[str]] = {}
    label = ""
    for line in structured(text, page_type, kind).split("\n"):
        if re.fullmatch(r"[a-z][a-z ]*:", line):
            label = line[:-1]
        else:
            result.setdefault(label, []).append(line)
    return result


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
        self.assertEqual(kinds.left_out(1), "[... 1 line left out ...]")
        self.assertEqual(kinds.left_out(2), "[... 2 lines left out ...]")

    def test_a_huge_text_is_looked_at_in_head_and_tail_and_every_line_is_accounted_for(self) -> None:
        lines = [f"{number}: {'words ' * 9}" for number in range(40_000)]
        lines[3] = "ValueError: near the head"
        lines[-3] = "ValueError: near the tail"
        kept = compressed("\n".join(lines), ContentKind.LOG)
        self.assertIn(lines[3], kept)
        self.assertIn(lines[-3], kept)
        missing = sum(int(found) for found in GAP.findall(kept))
        self.assertEqual(missing + sum(not GAP.fullmatch(line) for line in kept.split("\n")), len(lines))
        self.assertLessEqual(len(kept), kinds.COMPRESSED_MOST * 1.1)

    def test_whatever_is_kept_is_in_the_text_in_its_order_and_nothing_is_lost_silently(self) -> None:
        self.check_accounts(150)

    def test_the_account_holds_for_a_text_whose_middle_is_never_seen(self) -> None:
        with mock.patch.object(kinds, "ANALYSED_HEAD", 200), mock.patch.object(kinds, "ANALYSED_TAIL", 150):
            self.check_accounts(150)

    def check_accounts(self, cases: int) -> None:
        rng = random.Random(SEED)
        for case in range(cases):
            text = random_text(rng)
            kind = rng.choice(list(ContentKind))
            with self.subTest(seed=SEED, case=case, kind=kind):
                result = compressed(text, kind)
                if result == text:
                    continue
                self.assertLess(len(result), len(text))
                position, source = 0, [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
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
            "FAILED tests/test_config.py::test_missing_file_is_reported - FileNotFoundError", found["failures"]
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
                *('name: "billing-dashboard"', 'version: "2.4.1"', "private: true"),
                *("scripts: object of 3: build, test, lint", "dependencies: object of 2: react, zod"),
                *("files: array of 2", "engines: object of 1: node"),
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
            fields("  a: 1\n  b: 2\n  c: 3\n", kind=ContentKind.TABLE)["values"], ["  a: 1", "  b: 2", "  c: 3"]
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
        self.assertEqual(paths, [f"src/part{number}.py" for number in range(extract.PATHS_MOST)])

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
        self.assertEqual(item, "x" * kinds.ITEM_LENGTH + "…")

    def test_structured_stays_well_below_the_text(self) -> None:
        for name, (text, kind) in SAMPLES.items():
            text = "\n".join(f"{line} {number}" for number, line in enumerate((text * 30).split("\n")))
            with self.subTest(name):
                self.assertLess(len(structured(text, EVIDENCE, kind)), len(text) * 0.3)

    def test_every_item_is_in_the_text(self) -> None:
        rng = random.Random(SEED)
        ours = re.compile(r"\[\.\.\. \d+ more \.\.\.\]|\d+: |: \d+$| \+\d+ -\d+$|…$|object of .*|array of .*|^\.$")
        for case in range(200):
            text = random_text(rng)
            kind = rng.choice(list(ContentKind))
            page_type = rng.choice([EVIDENCE, PageType.CONVERSATION_SEGMENT])
            with self.subTest(seed=SEED, case=case, kind=kind):
                for label, items in fields(text, page_type, kind).items():
                    for item in items if label else []:
                        if item in text:
                            continue
                        self.assertTrue(
                            all(piece in text for piece in re.split(r": ", ours.sub("", item), maxsplit=1)), item
                        )


class CostTests(unittest.TestCase):
    LARGE = 8_000  # Characters: anything quadratic in them takes more than a second.
    UNITS = (
        *("x", "word ", "\n", " ", "[", '{"a":', '"', '\\"', "a line\r\n", "\ud800", "a/", "public ", "**a", "a ("),
        *("- ", "# ", "```\n", "_", "=", "漢", "\t", "| ", "- [ ] a\n", "(done ", "Use ", "a:\n", "@@ -1,9 +1,9 @@\n"),
        *("a (" * 80 + "\n", "a/" * 100 + "\n", " " * 300 + "\n", "def " * 60 + "\n", "const a = (" * 20 + "\n"),
        *("error: " * 30 + "\n", "Error (" * 30 + "\n", "<div " * 40 + "\n", "**" * 100 + "\n", "not ok " * 30 + "\n"),
    )

    def test_the_time_grows_with_the_text_and_no_faster(self) -> None:
        for unit in self.UNITS:
            text = (unit * (self.LARGE // len(unit) + 1))[: self.LARGE]
            start = time.process_time()
            for kind in ContentKind:
                lines = lines_of(text)
                extract.compressed(lines, kind)
                extract.structured(lines, kind, EVIDENCE)
            for page_type in (PageType.BOOTSTRAP_POLICY, PageType.PLAN, PageType.PREFERENCE):
                structured(text, page_type)
                structured(text, page_type, ContentKind.PROSE)
            self.assertLess(time.process_time() - start, 3, unit[:20])

"""The HTML page and the Markdown in it: self-contained, escaped, with real tables."""

from __future__ import annotations

import random
import re
import unittest
from html.parser import HTMLParser

from clawvm_pictures.charts import Series, line_chart
from clawvm_pictures.pages import (
    Section,
    figure,
    figures,
    html_table,
    inline_html,
    map_page,
    markdown_html,
    page,
    report_section,
)
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.reports import table
from tests.pictures.support import HOSTILE, decisions

_EMPTY = {"meta"}


class Reader(HTMLParser):
    """Reads a page back: tags in order, whether they are balanced, the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def chart(title: str = "t") -> str:
    return line_chart(title=title, x_label="x", y_label="y", series=[Series("s", [(1, 2)])])


def whole() -> str:
    wide = residency_map(decisions("multi_session", 120, "retrieval"))
    return page(
        "Evaluation",
        [
            report_section(
                "## First\n\nWhat was asked.\n\n| a | b |\n|---|---:|\n| x | 1 |\n", {"a": chart(), "b": chart()}
            ),
            Section("First", figures([chart(), wide])),
            Section("M\u00e4p & more", figure(wide, "a `caption`")),
        ],
        lead="All **numbers**.",
    )


class PageTest(unittest.TestCase):
    def test_is_ascii_has_no_script_and_refers_to_nothing_elsewhere(self) -> None:
        html = whole()
        self.assertTrue(html.isascii())
        reader = Reader(html)
        for tag, attributes in reader.tags:
            self.assertNotIn(tag, ("script", "link", "img", "iframe", "object", "embed", "base"))
            self.assertFalse([key for key in attributes if key.startswith("on") or key in ("src", "srcset", "style")])
        self.assertEqual(set(re.findall(r"https?://[^\"'\s<)]+", html)), {"http://www.w3.org/2000/svg"})
        self.assertNotIn("url(", html)
        self.assertNotIn("@import", html)

    def test_no_id_stands_twice_and_the_contents_lead_to_each_section(self) -> None:
        reader = Reader(whole())
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        self.assertEqual(ids, ["first", "first-2", "m-p-more"])
        self.assertEqual([a["href"] for a in reader.named("a")], ["#first", "#first-2", "#m-p-more"])

    def test_has_language_width_modes_and_print_rules(self) -> None:
        html = whole()
        for part in (
            '<html lang="en">',
            "width=device-width",
            "prefers-color-scheme:dark",
            "@media print",
            "<title>Evaluation",
        ):
            self.assertIn(part, html)

    def test_only_what_is_wide_scrolls_in_a_box_that_the_keyboard_reaches(self) -> None:
        self.assertNotIn("scroll", figure(chart()))
        wide = figure(residency_map(decisions("multi_session", 120, "retrieval")))
        self.assertIn('class="scroll" tabindex="0"', wide)
        self.assertIn('class="scroll" tabindex="0"', html_table("c", ["a"], [["x"]], []))

    def test_everything_given_is_escaped(self) -> None:
        html = page(
            HOSTILE, [report_section(f"## {HOSTILE}\n\n{HOSTILE}\n\n- {HOSTILE}\n"), Section(HOSTILE, Markup(""))]
        )
        self.assertNotIn("<script", html)
        Reader(html)

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        self.assertEqual(whole(), whole())

    def test_pictures_stand_behind_the_lead_and_sub_headings_below_the_section(self) -> None:
        section = report_section("## Title `x`\n\nLead.\n\n## Part\n\n### Deeper\n\nText.\n", {"a.svg": chart()})
        self.assertEqual(section.title, "Title x")
        order = [section.body.index(part) for part in ("Lead.", "<svg", "<h3>Part", "<h3>Deeper", "Text.")]
        self.assertEqual(order, sorted(order))

    def test_the_question_stands_between_heading_and_report(self) -> None:
        section = report_section("## Title\n\nLead.\n", {"a.svg": chart()}, question="How *many* <b>?")
        self.assertTrue(section.body.startswith('<p class="question">How <em>many</em> &lt;b&gt;?</p>\n<p>Lead.'))
        self.assertNotIn("question", report_section("## Title\n\nLead.\n").body)

    def test_a_report_that_begins_with_a_table_or_nothing_has_its_pictures_first(self) -> None:
        body = report_section("## T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", {"a.svg": chart()}).body
        self.assertLess(body.index("<svg"), body.index("<table"))
        self.assertEqual(report_section("").title, "Report")
        self.assertEqual(report_section("## Only\n").body, "")


class MarkdownTest(unittest.TestCase):
    def test_a_table_of_the_project_becomes_a_real_table(self) -> None:
        html = markdown_html("## Faults\n\n" + table(["policy", "mean"], [["A|B", 1.5], ["`x`", None]]))
        reader = Reader(html)
        self.assertEqual(reader.of("caption"), ["Faults"])
        self.assertEqual([th["scope"] for th in reader.named("th")], ["col", "col", "row", "row"])
        self.assertEqual(reader.of("th"), ["policy", "mean", "A|B"])
        self.assertEqual(reader.of("td"), ["1.500", "-"])
        self.assertEqual(reader.of("code"), ["x"])
        self.assertEqual([td.get("class") for td in reader.named("td")], ["number", "number"])

    def test_only_columns_with_numbers_are_aligned_to_the_right(self) -> None:
        reader = Reader(
            markdown_html(table(["a", "b", "c"], [["x", "yes", "-1 %"], ["y", 3, "none"], ["z", "no", "-"]]))
        )
        self.assertEqual([td.get("class") for td in reader.named("td")], [None, None] * 3, "words among numbers")
        reader = Reader(markdown_html(table(["a", "b", "c"], [["x", "5 of 5 held", "-1 %"], ["y", "2 rejected", "-"]])))
        self.assertEqual([td.get("class") for td in reader.named("td")], [None, "number"] * 2)
        reader = Reader(markdown_html(table(["a", "b", "c"], [["x", "yes", None], ["y", "no", 1.5]])))
        self.assertEqual([td.get("class") for td in reader.named("td")], [None, "number"] * 2)

    def test_a_table_that_is_wider_than_a_small_screen_says_that_it_scrolls(self) -> None:
        for columns, hint in ((2, "scroll"), (9, "scroll broad"), (20, "scroll wide")):
            html = markdown_html(table(["policy"] * columns, [["12,345"] * columns]))
            self.assertEqual(Reader(html).named("div")[0]["class"], hint, columns)
        self.assertIn(".scroll.wide::before", page("t", []))
        self.assertIn(".scroll.broad::before", page("t", []))

    def test_short_row_names_do_not_break(self) -> None:
        for name, style in (
            ("writeback at compaction", "names"),
            ("a statement that takes a line of its own " * 2, None),
        ):
            self.assertEqual(
                Reader(markdown_html(table(["a", "b"], [[name, 1]]))).named("table")[0].get("class"), style
            )

    def test_a_table_of_many_columns_is_set_closer(self) -> None:
        for columns, style in ((12, "names"), (13, "names many")):
            html = markdown_html(table(["a"] * columns, [[1] * columns]))
            self.assertEqual(Reader(html).named("table")[0]["class"], style)
        self.assertIn(".many td{", page("t", []))

    def test_a_table_without_rows_is_a_table(self) -> None:
        self.assertEqual(Reader(markdown_html("| a | b |\n|---|---:|\n")).of("th"), ["a", "b"])

    def test_a_short_or_long_row_gets_the_length_of_the_header(self) -> None:
        for row in ("| 1 |", "| 1 | 2 | 3 |"):
            reader = Reader(markdown_html(f"| a | b |\n|---|---|\n{row}\n"))
            self.assertEqual(len(reader.named("td")), 1, row)

    def test_blocks(self) -> None:
        for text, html in (
            ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
            ("# A\n## B\n####### C", "<h1>A</h1>\n<h2>B</h2>\n<p>####### C</p>"),
            ("- a\n- b\n  goes on\n- c", "<ul><li>a</li><li>b goes on</li><li>c</li></ul>"),
            ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
            ("- a\n  - b\n  - c\n- d", "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>"),
            ("- a\n1. b", "<ul><li>a</li></ul>\n<ol><li>b</li></ol>"),
            ("```\na < b\n\n# no\n```\nx", '<pre class="scroll" tabindex="0">a &lt; b\n\n# no</pre>\n<p>x</p>'),
            ("    code\n\n    more", '<pre class="scroll" tabindex="0">code\n\nmore</pre>'),
            ("text:\n- a", "<p>text:</p>\n<ul><li>a</li></ul>"),
            ("a | b\nc", "<p>a | b c</p>"),
            ("", ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(markdown_html(text), html)
        self.assertEqual(markdown_html("# A\n## B\n#### C", highest=3), "<h3>A</h3>\n<h3>B</h3>\n<h4>C</h4>")

    def test_spans(self) -> None:
        for text, html in (
            ("**b** and *e* and `c`", "<strong>b</strong> and <em>e</em> and <code>c</code>"),
            ("15 % of 3 `5 %`", "15&#160;% of 3 <code>5 %</code>"),
            ("`**a** <b>`", "<code>**a** &lt;b&gt;</code>"),
            ("2 * 3 * 4 and a*b*c", "2 * 3 * 4 and a*b*c"),
            ("[docs](docs/x.md#y)", '<a href="docs/x.md#y">docs</a>'),
            (
                "[**b**](https://example.org/a?b=1&c=2)",
                '<a href="https://example.org/a?b=1&amp;c=2"><strong>b</strong></a>',
            ),
            ("[x](javascript:alert)", "[x](javascript:alert)"),
            ("[x](JaVaScRiPt:alert)", "[x](JaVaScRiPt:alert)"),
            ("[x](data:text/html,y)", "[x](data:text/html,y)"),
            ('[x](y"onload="z)', '<a href="y&quot;onload=&quot;z">x</a>'),
            ("snake_case_name and `a", "snake_case_name and `a"),
            ("``a ` b``", "<code>a ` b</code>"),
            ("**`a` b** and [`c`](d)", '<strong><code>a</code> b</strong> and <a href="d"><code>c</code></a>'),
            ("[a](x`b`)", "[a](x<code>b</code>)"),
            ("*a **b** c*", "<em>a <strong>b</strong> c</em>"),
            ("**a *b** c*", "**a *b** c*"),
            ("\x000\x00", "&#65533;0&#65533;"),
        ):
            with self.subTest(text=text):
                self.assertEqual(inline_html(text), html)

    def test_the_last_line_without_an_end_and_foreign_line_ends(self) -> None:
        self.assertEqual(markdown_html("a\r\n\r\n- b"), "<p>a</p>\n<ul><li>b</li></ul>")

    def test_deep_nesting_and_long_lines_are_survived(self) -> None:
        Reader(markdown_html("- " * 3000 + "x"))
        Reader(markdown_html("\n".join("  " * depth + "- x" for depth in range(400))))
        Reader(markdown_html("*" * 20_000 + "[" * 20_000 + "`" * 20_001 + "|" * 20_000))

    def test_random_markdown_gives_balanced_html_and_never_a_foreign_tag(self) -> None:
        seed = 4
        generator = random.Random(seed)
        parts = [
            "- ",
            "1. ",
            "  ",
            "    ",
            "|",
            "|---|\n",
            "# ",
            "```",
            "**",
            "*",
            "`",
            "[a](b)",
            "<b>",
            "&",
            "\n",
            "\n\n",
            "x",
            " ",
        ]
        for _ in range(1500):
            text = "".join(parts[generator.randrange(len(parts))] for _ in range(generator.randrange(40)))
            html = markdown_html(text)
            try:
                reader = Reader(html)
            except AssertionError:
                self.fail(f"seed {seed}: {text!r} gives {html!r}")
            self.assertNotIn("b", [tag for tag, _ in reader.tags], f"seed {seed}: {text!r}")


class MapPageTest(unittest.TestCase):
    def test_lists_the_faults_and_boundaries_of_the_map(self) -> None:
        events = decisions("multi_session", 120, "retrieval")
        reader = Reader(map_page(events))
        faults = [e for e in events if e["event"] == "fault"]
        boundaries = [e for e in events if e["event"] == "boundary"]
        self.assertEqual(reader.of("caption"), ["Faults in these turns", "Boundaries in these turns"])
        self.assertEqual(len(reader.named("tr")), 2 + len(faults) + len(boundaries))
        self.assertIn("Residency map: multi_session, policy Retrieval, budget 120 tokens", reader.of("h1"))

    def test_a_session_without_either_has_no_tables(self) -> None:
        events = [e for e in decisions("evidence_heavy", 180, "clawvm") if e["event"] not in ("boundary", "fault")]
        self.assertNotIn("<table", map_page(events))


if __name__ == "__main__":
    unittest.main()

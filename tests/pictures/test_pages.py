"""The HTML page: self-contained, escaped, with real tables; a document is rendered block by block."""

from __future__ import annotations

import re
import unittest
from html.parser import HTMLParser

from clawvm_pictures.charts import Series, line_chart
from clawvm_pictures.pages import Section, figure, figures, html, inline_html, map_page, page, report_section
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.document import (
    Bullets,
    Heading,
    Number,
    Paragraph,
    Preformatted,
    ReportVerdict,
    Table,
    code,
    markdown,
    plain,
)
from tests.pictures.support import HOSTILE, contrast, decisions

_EMPTY = {"meta"}


class Reader(HTMLParser):
    """Reads a page back: tags in order, whether they are balanced, the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
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


def chart() -> str:
    return line_chart(title="t", x_label="x", y_label="y", series=[Series("s", [(1, 2)])])


def table(*columns: str, rows: list[list[object]]) -> Table:
    return Table.of(columns, rows)  # type: ignore[arg-type]


class BlocksTest(unittest.TestCase):
    def test_each_kind_of_block(self) -> None:
        for block, expected in (
            (Heading(2, "A `b`"), "<h2>A <code>b</code></h2>"),
            (Paragraph("one *two*"), "<p>one <em>two</em></p>"),
            (Bullets(("a", "**b**")), "<ul><li>a</li><li><strong>b</strong></li></ul>"),
            (Preformatted("a < b\n\n  *c*"), '<pre class="scroll" tabindex="0">a &lt; b\n\n  *c*</pre>'),
        ):
            self.assertEqual(html([block]), expected)
        self.assertEqual(html([]), "")
        self.assertEqual(html([Heading(1, "A"), Heading(4, "B")], highest=3), "<h3>A</h3>\n<h4>B</h4>")

    def test_a_table_has_a_caption_scopes_and_its_values_as_text(self) -> None:
        reader = Reader(
            html([Heading(2, "The `faults`"), table("policy", "mean", rows=[["a", 1234.5], ["`x`", None]])])
        )
        self.assertEqual(reader.of("caption"), ["The faults"])
        self.assertEqual([th["scope"] for th in reader.named("th")], ["col", "col", "row", "row"])
        self.assertEqual((reader.of("th"), reader.of("code")), (["policy", "mean", "a"], ["faults", "x"]))
        self.assertEqual(reader.of("td"), ["1,234.500", "-"])
        self.assertEqual(Reader(html([table("a", rows=[])], caption="Given")).of("caption"), ["Given"])
        self.assertEqual(Reader(html([table("a", rows=[])])).of("caption"), ["Table"])

    def test_a_column_of_numbers_alone_is_aligned_to_the_right(self) -> None:
        rows = [["x", 1, "1", True, Number("5 of 5"), 2], ["y", None, "2", False, 0.5, "none"]]
        reader = Reader(html([table("name", "number", "text", "yes", "words", "mixed", rows=rows)]))
        expected = [None, "number", None, None, "number", None]
        self.assertEqual([th.get("class") for th in reader.named("th")][:6], expected)
        self.assertEqual([td.get("class") for td in reader.named("td")], expected[1:] * 2)

    def test_a_verdict_has_its_class_whose_colour_has_contrast_in_light_and_dark(self) -> None:
        verdicts = [ReportVerdict("holds", True), ReportVerdict("fails", False), ReportVerdict("not run")]
        reader = Reader(html([table("claim", "verdict", rows=[["C1", verdict] for verdict in verdicts])]))
        self.assertEqual([span["class"] for span in reader.named("span")], ["good", "bad", "neither"])
        self.assertEqual(reader.of("span"), ["holds", "fails", "not run"])
        style = page("t", [])
        for name, colour in (("good", "good"), ("bad", "bad"), ("neither", "muted")):
            self.assertIn(f".{name}{{color:var(--{colour})}}", style)
            papers, colours = (re.findall(rf"--{which}:(#\w+)", style) for which in ("paper", colour))
            self.assertEqual((len(papers), len(colours)), (2, 2))
            for paper, ink in zip(papers, colours):
                self.assertGreaterEqual(contrast(paper, ink), 4.5, name)

    def test_short_row_names_do_not_break_and_many_columns_are_set_closer(self) -> None:
        for name, columns, look in (
            ("short", 2, "names"),
            ("a long statement " * 4, 2, ""),
            ("short", 13, "names many"),
        ):
            rows: list[list[object]] = [[name, *[1] * (columns - 1)]]
            reader = Reader(html([table(*["c"] * columns, rows=rows)]))
            self.assertEqual(reader.named("table")[0]["class"], look)

    def test_hostile_text_is_text_in_every_block(self) -> None:
        blocks = [
            Heading(2, HOSTILE),
            Paragraph(HOSTILE),
            Bullets((HOSTILE,)),
            Preformatted(HOSTILE),
            table(HOSTILE, HOSTILE, rows=[[HOSTILE, ReportVerdict(HOSTILE)]]),
        ]
        text = page(HOSTILE, [report_section(blocks, question=HOSTILE), Section(HOSTILE, Markup(""))], lead=blocks)
        self.assertNotIn("<script", text)
        self.assertTrue(text.isascii())
        self.assertNotIn("b", [tag for tag, _ in Reader(text).tags])

    def test_names_from_outside_are_shown_as_they_are(self) -> None:
        for name in ("a*b*c", "[x](y)", "`a`", "a|b", "\\", "**b**", "<i>"):
            self.assertEqual("".join(text for _, text in Reader(inline_html(plain(name))).texts), name)
        self.assertEqual(Reader(inline_html(code("*a* <b> [c](d)"))).of("code"), ["*a* <b> [c](d)"])


class NotationTest(unittest.TestCase):
    def test_spans(self) -> None:
        for text, expected in (
            ("**b** and *e* and `c`", "<strong>b</strong> and <em>e</em> and <code>c</code>"),
            ("15 % of 3 `5 %`", "15&#160;% of 3 <code>5 %</code>"),
            ("`**a** <b>`", "<code>**a** &lt;b&gt;</code>"),
            ("2 * 3 * 4 and a*b*c", "2 * 3 * 4 and a*b*c"),
            ("[docs](docs/x.md#y)", '<a href="docs/x.md#y">docs</a>'),
            ("[**b**](https://a.org/?b=1&c=2)", '<a href="https://a.org/?b=1&amp;c=2"><strong>b</strong></a>'),
            ("[x](javascript:alert)", "[x](javascript:alert)"),
            ("[x](JaVaScRiPt:alert)", "[x](JaVaScRiPt:alert)"),
            ("[x](data:text/html,y)", "[x](data:text/html,y)"),
            ('[x](y"onload="z)', '<a href="y&quot;onload=&quot;z">x</a>'),
            ("snake_case_name and `a", "snake_case_name and `a"),
            ("**`a` b** and [`c`](d)", '<strong><code>a</code> b</strong> and <a href="d"><code>c</code></a>'),
            ("a\\*b\\* *c \\* d*", "a*b* <em>c * d</em>"),
        ):
            with self.subTest(text=text):
                self.assertEqual(inline_html(text), expected)

    def test_long_lines_without_an_end_take_no_time(self) -> None:
        for text in ("*" * 9000, "[" * 9000, "`" * 9001, "**a" * 3000, "[a](" * 3000, "\\" * 9001):
            Reader(inline_html(text))


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.wide = residency_map(decisions("multi_session", 120, "retrieval"))
        blocks = [Heading(2, "First"), Paragraph("What was asked."), table("a", "b", rows=[["x", 1]])]
        cls.text = page(
            "Evaluation",
            [
                report_section(blocks, {"a": chart(), "b": chart()}),
                Section("First", figures([chart(), cls.wide])),
                Section("M\u00e4p & more", figure(cls.wide, "a `caption`")),
            ],
            lead=[Paragraph("All **numbers**.")],
        )
        cls.reader = Reader(cls.text)

    def test_is_ascii_has_no_script_and_refers_to_nothing_elsewhere(self) -> None:
        self.assertTrue(self.text.isascii())
        for tag, attributes in self.reader.tags:
            self.assertNotIn(tag, ("script", "link", "img", "iframe", "object", "embed", "base"))
            self.assertFalse([key for key in attributes if key.startswith("on") or key in ("src", "srcset", "style")])
        self.assertEqual(set(re.findall(r"https?://[^\"'\s<)]+", self.text)), {"http://www.w3.org/2000/svg"})
        self.assertNotIn("url(", self.text)
        self.assertNotIn("@import", self.text)

    def test_no_id_occurs_twice_and_the_contents_lead_to_each_section(self) -> None:
        ids = [attributes["id"] for _, attributes in self.reader.tags if "id" in attributes]
        self.assertEqual(ids, ["first", "first-2", "m-p-more"])
        self.assertEqual([a["href"] for a in self.reader.named("a")], ["#first", "#first-2", "#m-p-more"])

    def test_has_language_width_modes_and_print_rules(self) -> None:
        for part in ('<html lang="en">', "width=device-width", "prefers-color-scheme:dark", "@media print"):
            self.assertIn(part, self.text)

    def test_only_what_is_wide_scrolls_in_a_box_that_the_keyboard_reaches(self) -> None:
        self.assertNotIn("scroll", figure(chart()))
        for markup in (figure(self.wide), html([table("a", rows=[["x"]])])):
            self.assertIn('class="scroll" tabindex="0"', markup)

    def test_pictures_follow_the_lead_and_sub_headings_are_below_the_section(self) -> None:
        report = [
            Heading(2, "Title `x`"),
            Paragraph("Lead."),
            Heading(2, "Part"),
            Heading(3, "Deep"),
            Paragraph("Text."),
        ]
        section = report_section(report, {"a.svg": chart()}, question="How *many* <b>?")
        self.assertEqual(section.title, "Title x")
        self.assertTrue(section.body.startswith('<p class="question">How <em>many</em> &lt;b&gt;?</p>\n<p>Lead.'))
        order = [section.body.index(part) for part in ("Lead.", "<svg", "<h3>Part", "<h3>Deep", "Text.")]
        self.assertEqual(order, sorted(order))
        self.assertNotIn("question", report_section(report).body)

    def test_a_report_without_a_lead_has_its_pictures_first(self) -> None:
        body = report_section([Heading(2, "T"), table("a", rows=[["x"]])], {"a.svg": chart()}).body
        self.assertLess(body.index("<svg"), body.index("<table"))
        self.assertEqual(report_section([Heading(2, "Only")]).body, "")

    def test_markdown_and_html_have_the_same_words(self) -> None:
        blocks = [Heading(2, "A"), table("a", "b", rows=[["x|y", 1234]]), Paragraph("c")]
        words = re.findall(r"\w+", " ".join(text for _, text in Reader(html(blocks)).texts))
        self.assertEqual(words, ["A", "A", *re.findall(r"\w+", markdown(blocks))[1:]])


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
        events = [e for e in decisions("evidence_heavy", 120, "clawvm") if e["event"] not in ("boundary", "fault")]
        self.assertNotIn("<table", map_page(events))

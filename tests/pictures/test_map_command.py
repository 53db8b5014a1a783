"""The command that draws a map, as a user runs it."""

from __future__ import annotations

from tests.cli.support import ROOT, CommandTest, run
from tests.pictures.support import problems, texts

MAP = "map"
REPLAY = "replay"
TRACE = ROOT / "traces/multi_session/multi_session-b0120.trace.jsonl"


class MapCommandTest(CommandTest):
    def test_draws_to_standard_output_a_file_and_a_page(self) -> None:
        svg, html = self.folder / "new/map.svg", self.folder / "map.html"
        options = (TRACE, "--policy", "retrieval", "--budget", 180)
        shown = run(MAP, *options)
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertEqual(problems(shown.stdout), [])
        self.assertIn("Residency map: multi_session, policy Retrieval, budget 180 tokens", texts(shown.stdout))
        self.assertEqual(run(MAP, *options, "--out", svg).stdout, "")
        self.assertEqual(svg.read_text(), shown.stdout)
        self.assertEqual(run(MAP, *options, "--out", html).returncode, 0)
        self.assertIn(shown.stdout.strip(), html.read_text())

    def test_a_decision_trace_gives_the_same_map_as_its_trace_whatever_the_surroundings(self) -> None:
        decisions = self.folder / "decisions.jsonl"
        run(REPLAY, TRACE, "--policy", "lru", "--decisions", decisions)
        shown = run(MAP, decisions, cwd=self.folder, PYTHONHASHSEED="5", LC_ALL="C.UTF-8", TZ="Asia/Tokyo")
        self.assertEqual(shown.stdout, run(MAP, TRACE, "--policy", "lru").stdout)

    def test_a_window_and_a_number_of_pages(self) -> None:
        shown = run(MAP, TRACE, "--turns", "5-9", "--pages-most", 4)
        self.assertTrue(any(text.startswith("Turns 5 to 9 of ") for text in texts(shown.stdout)))
        self.assertTrue(any("pages, with" in text for text in texts(shown.stdout)))

    def test_bad_arguments_are_one_line(self) -> None:
        for arguments, word in (
            ((TRACE, "--turns", "9-5"), "turns"),
            ((TRACE, "--turns", "0-5"), "turns"),
            ((TRACE, "--turns", "5"), "turns"),
            ((TRACE, "--turns", "1-99999"), "turns"),
            ((TRACE, "--turns", "900-901"), "none of 900 to 901"),
            ((TRACE, "--pages-most", "0"), "pages-most"),
            ((TRACE, "--out", self.folder / "map.png"), ".svg or .html"),
            ((TRACE, "--out", "/proc/nowhere/map.svg"), "/proc/nowhere"),
            ((TRACE, "--policy", "magic"), "magic"),
            ((TRACE, "--budget", "-1"), "budget"),
            ((), "file"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_one_line(run(MAP, *arguments), 2, word)

    def test_bad_files_are_one_line(self) -> None:
        header = '{"event":"header","sequence":0,"turn":0,"format":"clawvm.decision_trace","version":1,'
        header += '"policy":"p","budget":9}\n'
        declared = '{"event":"page","turn":1,"page":"p","type":"plan","version":1,"cause":"declared"}\n'
        assembled = '{"event":"assemble","turn":1,"budget":9,"tokens":1,"levels":{"p":"half"},"required":[],'
        assembled += '"prefetched":[],"prefetch_refused":[],"steps":[]}\n'
        bad = {
            "empty": "",
            "no json": "{",
            "other": '{"a": 1}\n',
            "header only": header,
            "no fields": header + '{"event": "assemble", "turn": 1}\n',
            "no turn": header + '{"event": "assemble"}\n',
            "turn is text": header + '{"event": "assemble", "turn": "1"}\n',
            "a list": header + "[]\n",
            "unknown level": header + declared + assembled,
            "huge turn": header + '{"event": "assemble", "turn": 1e400}\n',
        }
        for name, content in bad.items():
            path = self.folder / "bad.jsonl"
            path.write_text(content)
            with self.subTest(file=name):
                self.assert_one_line(run(MAP, path), 2, "bad.jsonl", "no prompt" if name == "header only" else "")
        for path in (self.folder / "none", self.folder, ROOT / "LICENSE"):
            self.assert_one_line(run(MAP, path), 2, str(path))

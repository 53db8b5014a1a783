"""The command that draws a map."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tempfile
import unittest
from pathlib import Path

from clawvm_cli import main
from tests.cli.support import ROOT, command
from tests.pictures.support import problems, texts

TRACE = ROOT / "traces/multi_session/multi_session-b0120.trace.jsonl"


class MapCommandTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def command(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, output and errors of a command in this process."""
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as exit_:
                code = int(str(exit_.code))
        return code, output.getvalue(), errors.getvalue()

    def drawn(self, *arguments: object) -> str:
        code, output, errors = self.command("map", *arguments)
        self.assertEqual((code, errors), (0, ""))
        return output

    def assertRefused(self, arguments: tuple[object, ...], *words: str) -> None:
        code, _, errors = self.command("map", *arguments)
        self.assertEqual(code, 2, errors)
        self.assertEqual(len(errors.strip().splitlines()), 1, errors)
        for word in words:
            self.assertIn(word, errors)

    def test_draws_to_standard_output_a_file_and_a_page(self) -> None:
        svg, html = self.folder / "new/map.svg", self.folder / "map.html"
        options = (TRACE, "--policy", "retrieval", "--budget", 180)
        shown = self.drawn(*options)
        self.assertEqual(problems(shown), [])
        self.assertIn("Residency map: multi_session, policy Retrieval, budget 180 tokens", texts(shown))
        self.assertEqual(self.drawn(*options, "--out", svg), "")
        self.assertEqual(svg.read_text(), shown)
        self.drawn(*options, "--out", html)
        self.assertIn(shown.strip(), html.read_text())

    def test_a_decision_trace_gives_the_same_map_as_its_trace(self) -> None:
        decisions = self.folder / "decisions.jsonl"
        self.command("replay", TRACE, "--policy", "lru", "--decisions", decisions)
        self.assertEqual(self.drawn(decisions), self.drawn(TRACE, "--policy", "lru"))

    def test_a_window_and_a_number_of_pages(self) -> None:
        shown = texts(self.drawn(TRACE, "--turns", "5-9", "--pages-most", 4))
        self.assertTrue(any(text.startswith("Turns 5 to 9 of ") for text in shown))
        self.assertTrue(any("pages, with" in text for text in shown))

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
                self.assertRefused(arguments, word)

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
                self.assertRefused((path,), "bad.jsonl", "no prompt" if name == "header only" else "")
        for path in (self.folder / "none", self.folder, ROOT / "LICENSE"):
            self.assertRefused((path,), str(path))

    def test_a_closed_pipe_is_no_error(self) -> None:
        arguments = command("replay_py/clawvm.py", "map", TRACE)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), errors), (0, b""))


if __name__ == "__main__":
    unittest.main()

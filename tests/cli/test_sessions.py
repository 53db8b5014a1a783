"""The command that replays recorded sessions: one command from recordings to a report, for everybody's own sessions."""

from __future__ import annotations

import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

from clawvm_experiments.sessions import cells
from clawvm_transcripts.private_names import PRIVATE_NAMES
from tests.cli.support import ROOT, CommandTest, run, tree
from tests.support import temporary_folder
from tests.transcripts.recorded_files import Recording, recording

SESSIONS = "sessions"
VALIDATE = "validate"
SMALL = ("--cuts", "5,whole", "--budgets", "20%,window,300", "--jobs", "1")
SMALLEST = ("--cuts", "whole", "--budgets", "20%", "--policies", "clawvm", "--jobs", "1")


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Return the names of the files that differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if name in ("href", "src") and value]


class SessionsTest(CommandTest):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = temporary_folder(cls)
        cls.inputs = cls.folder / "in"
        recording("quixotry", turns=12).write(cls.inputs / "a" / "one.jsonl")
        recording("barge", turns=4).write(cls.inputs / "b" / "two.jsonl.gz")
        cls.out = cls.folder / "out"
        cls.done = run(SESSIONS, cls.inputs, "--out-root", cls.out, *SMALL)
        cls.whole = tree(cls.out)

    def results(self, out: Path) -> dict[str, object]:
        found: dict[str, object] = json.loads((out / "sessions/results.json").read_bytes())
        return found

    def assert_refused(self, words: str, *arguments: object) -> None:
        self.assert_one_line(run(SESSIONS, *arguments), 2, words)

    def test_a_run_writes_reports_pages_results_and_the_converted_sessions(self) -> None:
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        self.assertIn("6 of 6 claims that must hold do", self.done.stdout)
        top = {name.split("/")[0] for name in self.whole}
        expected = {"converted", "pages", "report.html", "report.md", "sessions", "suite.manifest.json"}
        self.assertEqual(top, expected | {f"claims.{ending}" for ending in ("html", "json", "md")})
        self.assertEqual(stat.S_IMODE((self.out / PRIVATE_NAMES).stat().st_mode), 0o600)
        sessions = {name.split("/")[2] for name in self.whole if name.startswith("converted/sessions/")}
        self.assertEqual(len(sessions), 2)
        pages = {name for name in self.whole if name.startswith("pages/")}
        self.assertEqual(pages, {f"pages/{name}.html" for name in sessions})

    def test_the_report_begins_with_three_sentences_that_the_run_ends_with(self) -> None:
        heading, *paragraphs = self.whole["report.md"].decode().split("\n\n")[:4]
        self.assertEqual(heading, "# ClawVM: recorded sessions")
        heads = ("**Lost:** ", "**Where:** in 2 of 2 sessions: [claude-code-", "**What would have helped:** ")
        for paragraph, head in zip(paragraphs, heads):
            self.assertTrue(paragraph.startswith(head), paragraph)
        shown = [re.sub(r"\[(\S+)\]\(\S+\)", r"\1", paragraph).replace("**", "") for paragraph in paragraphs]
        self.assertEqual(self.done.stdout.splitlines()[:3], shown)
        page = self.whole["report.html"].decode()
        self.assertTrue(page.partition("</h1>")[2].lstrip().startswith("<p><strong>Lost:</strong>"))

    def test_claims_are_on_a_page_of_their_own(self) -> None:
        for ending in ("md", "html"):
            report, claims = (self.whole[f"{name}.{ending}"].decode() for name in ("report", "claims"))
            self.assertNotIn("C83", report)
            self.assertIn("C83", claims)
            self.assertIn(f"claims.{ending}", report)
            self.assertIn(f"report.{ending}", claims)
        self.assertNotIn("C83", self.done.stdout)

    def test_a_claim_that_fails_is_named_and_fails_the_command(self) -> None:
        out = self.folder / "failing"
        roomy = ("--cuts", "whole", "--budgets", "window", "--policies", "clawvm", "--jobs", "1")
        with mock.patch.object(cells, "_worst", lambda demands: cells.RefetchOutcome.FAULTED):
            done = run(SESSIONS, self.inputs / "a", "--out-root", out, *roomy)
        self.assertEqual(done.returncode, 1)
        self.assertIn("claim C86 must hold and does not", done.stderr)
        self.assertIn("FAIL: 1 of 2 claims that must hold do", done.stdout)
        self.assertIn("**C86 fails**", (out / "report.md").read_text())

    def test_files_that_could_not_be_read_come_before_the_tables(self) -> None:
        inputs, out = self.folder / "mixed", self.folder / "mixed-out"
        recording("barge", turns=4).raw("{").write(inputs / "one.jsonl")
        (inputs / "notes.txt").write_text("notes")
        done = run(SESSIONS, inputs, "--out-root", out, *SMALLEST)
        self.assertEqual(done.returncode, 0, done.stderr)
        before, _, _ = (out / "report.md").read_text().partition("\n| ")
        self.assertIn("**Not read:** 1 broken line; 1 file in no known format.", before)
        self.assertIn("may hold more", done.stdout.splitlines()[0])

    def test_recordings_that_could_not_be_read_come_first_by_a_name_that_only_the_map_explains(self) -> None:
        inputs, out = self.folder / "foreign", self.folder / "foreign-out"
        recording("barge", turns=4).write(inputs / "one.jsonl")
        for name in ("a-notes.txt", "b-notes.txt"):
            (inputs / name).write_text("notes")
        unknown = inputs / "zebra.jsonl"
        Recording("zebra").line(type="system", subtype="informational", content="zebra").write(unknown)
        done = run(SESSIONS, inputs, "--out-root", out, "--names", *SMALLEST)
        unread = [line for line in done.stderr.splitlines() if line.startswith("not read")]
        self.assertEqual(unread, [f"not read: {unknown}: gives no turn", "not read: 2 other files"])
        before, _, _ = (out / "report.md").read_text().partition("\n| ")
        (name,) = re.findall(r"- \*\*gives no turn\*\* \(1\): (recording-\w+)\n", before)
        self.assertIn("**Not read:** 1 file that looks like a recording; 2 other files in no known format.", before)
        self.assertLess(before.index("**What would have helped:**"), before.index("**Not read:**"))
        self.assertEqual(json.loads((out / PRIVATE_NAMES).read_bytes())["refused_recordings"], {name: [str(unknown)]})
        self.assertRegex(done.stdout, rf"\n{name} +-  +{re.escape(str(unknown))}\n")
        for place, content in tree(out).items():
            self.assertNotIn(b"zebra", content, place)

    def test_names_are_printed_in_the_order_of_the_report(self) -> None:
        done = run(SESSIONS, self.inputs, "--out-root", self.folder / "named", "--names", *SMALLEST)
        printed = re.findall(r"^(claude-code-\w+)  2026-\d\d-\d\d  ", done.stdout, re.MULTILINE)
        rows = re.findall(r"^\| (claude-code-\w+) \| 2026", (self.folder / "named/report.md").read_text(), re.MULTILINE)
        self.assertEqual((len(printed), printed), (2, rows))

    def test_the_refetch_behind_the_compaction_is_found_and_served(self) -> None:
        findings = self.results(self.out)["findings"]
        assert isinstance(findings, dict)
        self.assertEqual(findings["sessions"], 2)
        self.assertEqual(findings["observed_refetches"], 2)  # One in each recording.
        self.assertEqual(findings["clawvm_refetches_not_served"], 0)
        self.assertEqual(findings["clawvm_explicit_faults"], 0)

    def test_the_manifest_lists_every_file_and_the_files_satisfy_their_schemas(self) -> None:
        manifest = json.loads(self.whole["suite.manifest.json"])
        listed = {entry["path"] for entry in manifest["files"]}
        self.assertEqual(listed, set(self.whole) - {"suite.manifest.json"})
        known = [self.out / name for name in self.whole if name.endswith((".json", ".jsonl"))]
        done = run(VALIDATE, *known)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_links_of_the_report_and_the_pages_lead_to_files_of_the_run_and_nothing_is_loaded(self) -> None:
        for name, content in self.whole.items():
            if name.endswith(".html"):
                links = _Links()
                links.feed(content.decode("utf-8"))
                for target in links.targets:
                    if not target.startswith("#"):
                        self.assertTrue(((self.out / name).parent / target).is_file(), (name, target))

    def test_same_bytes_for_another_order_hash_seed_locale_directory_and_executor(self) -> None:
        small = ("--cuts", "whole", "--budgets", "20%", "--jobs", "1")
        again = self.folder / "again"
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        done = run(
            SESSIONS,
            self.inputs / "b",
            self.inputs / "a",
            "--out-root",
            again,
            *small,
            cwd=elsewhere,
            PYTHONHASHSEED="4711",
            LC_ALL="C",
            TZ="Asia/Kathmandu",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        here = self.folder / "here"
        run(SESSIONS, self.inputs, "--out-root", here, *small, "--jobs", 2, "--executor", "tests.cli.support:FirstLast")
        self.assertEqual(differences(tree(again), tree(here)), [])

    def test_no_output_holds_a_word_of_the_recordings(self) -> None:
        for name, content in self.whole.items():  # Without the map of names, which is for the owner alone.
            text = f"{name}\n{content.decode('utf-8')}".lower()
            for secret in ("quixotry", "barge", "/srv/toy", "look at", "toolu_", str(self.folder).lower()):
                self.assertFalse(secret in text, f"{secret} in {name}")

    def test_with_keep_text_maps_and_texts_hold_the_words(self) -> None:
        kept = self.folder / "kept"
        done = run(SESSIONS, self.inputs / "b", "--out-root", kept, "--keep-text", *SMALLEST)
        self.assertEqual(done.returncode, 0, done.stderr)
        files = tree(kept)
        for ending in (".html", "texts.jsonl"):
            self.assertTrue(any(b"barge-0.py" in text for name, text in files.items() if name.endswith(ending)), ending)
        self.assertTrue(json.loads(files["suite.manifest.json"])["configuration"]["keep_text"])

    def test_budgets_are_tokens_shares_and_the_window_and_cuts_end_a_session(self) -> None:
        cells = {json.loads(line)["cell"] for line in self.whole["sessions/rows.jsonl"].splitlines()[1:-1]}
        budgets = {re.split(r"-(?:cut\d+|whole)-", cell)[1].split("-")[0] for cell in cells}
        self.assertEqual(budgets, {"share20", "tokens000000300", "window"})
        cuts = {match[0] for cell in cells if (match := re.search(r"cut\d+|whole", cell))}
        self.assertEqual(cuts, {"cut0005", "whole"})

    def test_fewer_policies_leave_their_claims_unjudged(self) -> None:
        out = self.folder / "one-policy"
        done = run(SESSIONS, self.inputs / "b", "--out-root", out, *SMALLEST)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 of 1 claims that must hold do", done.stdout)

    def test_a_chain_is_one_session_with_resets(self) -> None:
        out = self.folder / "chain"
        done = run(SESSIONS, self.inputs, "--out-root", out, "--chain", "all", *SMALLEST)
        self.assertEqual(done.returncode, 0, done.stderr)
        (facts,) = (tree(out)[name] for name in tree(out) if name.endswith("/session.json"))
        self.assertEqual((json.loads(facts)["chain"], len(json.loads(facts)["sessions"])), (True, 2))

    def test_wrong_usage_is_one_line(self) -> None:
        out = self.folder / "never"
        for words, arguments in (
            ("No such file", (self.folder / "missing", "--out-root", out)),
            ("at most 100%", (self.inputs, "--out-root", out, "--budgets", "120%")),
            ("whole number", (self.inputs, "--out-root", out, "--budgets", "many")),
            ("whole number", (self.inputs, "--out-root", out, "--cuts", "0")),
            ("unknown policy", (self.inputs, "--out-root", out, "--policies", "hope")),
            ("view", (self.inputs, "--out-root", out, "--views", "birds")),
            ("twice", (self.inputs, "--out-root", out, "--budgets", "5%,5 %")),
            ("twice", (self.inputs, "--out-root", out, "--budgets", "window,window")),
            ("twice", (self.inputs, "--out-root", out, "--cuts", "whole, whole")),
            ("no interrupted run", (self.inputs, "--out-root", out, "--resume")),
            ("exclude each other", (self.inputs, "--out-root", out, "--resume", "--force")),
            ("--force", (self.inputs, "--out-root", self.out)),
            ("known: Claude Code", (ROOT / "README.md", "--out-root", out)),
        ):
            with self.subTest(words=words):
                self.assert_refused(words, *arguments)
                self.assertFalse(out.exists())

    def test_names_and_texts_of_an_interrupted_run_do_not_outlast_one_that_is_not_to_keep_them(self) -> None:
        out = self.folder / "left"
        left = out / "converted/sessions/claude-code-000000000000"
        left.mkdir(parents=True)
        (out / "unfinished").mkdir()
        (out / "pages").mkdir()
        for path in (left / "texts.jsonl", left / "session.json", out / "pages/old.html", left / "my notes"):
            path.write_text("barge\n")
        fresh = self.folder / "fresh"
        for folder in (out, fresh):
            done = run(SESSIONS, self.inputs / "b", "--out-root", folder, "--force", *SMALLEST)
            self.assertEqual(done.returncode, 0, done.stderr)
        (left / "my notes").unlink()  # Nobody else's file is touched.
        self.assertEqual(differences(tree(out), tree(fresh)), [])

    def test_a_failed_run_leaves_no_folder_that_refuses_the_next_one(self) -> None:
        out, empty = self.folder / "failed", self.folder / "foreign"
        empty.mkdir()
        (empty / "notes.txt").write_text("notes")
        done = run(SESSIONS, empty, "--out-root", out, *SMALL)
        self.assertEqual((done.returncode, out.exists()), (2, False), done.stderr)
        self.assertEqual(run(SESSIONS, self.inputs / "b", "--out-root", out, *SMALLEST).returncode, 0)

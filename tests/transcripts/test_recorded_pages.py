"""Pages of recorded texts: their costs stay, their texts do not."""

import unittest

from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import Level, PageType, PinClass
from clawvm_transcripts.calls import CallFacts, CallKind, PathRead
from clawvm_transcripts.evidence import Answer
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.recorded_pages import page_of_answer, page_of_words, page_type_of

LONG = "".join(f"def function_{number}(argument):\n    return argument + {number}\n\n" for number in range(60))


def answer(kind: CallKind, *paths: str, text: str = LONG, failed: bool = False) -> Answer:
    return Answer(CallFacts("x", "x", kind, tuple(map(PathRead, paths))), text, failed, estimate_tokens(text))


class RecordedPagesTest(unittest.TestCase):
    def test_the_costs_are_those_of_the_text_level_by_level(self) -> None:
        page = page_of_answer("a", answer(CallKind.READ, "a.py"))
        self.assertEqual(set(page.costs), {Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL})
        self.assertEqual(sorted(page.costs.values()), [page.costs[level] for level in sorted(page.costs)])
        self.assertEqual(page.texts, {})
        self.assertEqual(page_of_words("a", PageType.PLAN, LONG, "tool_call").texts, {})

    def test_a_name_that_shows_words_changes_no_cost(self) -> None:
        words = "Read {'file_path': '/srv/toy/" + "a-long-name/" * 9 + "lamp.py'}"
        shown, hidden = (Pseudonyms(b"key", keep_text=keep).name("file", words) for keep in (True, False))
        self.assertGreater(len(shown), 3 * len(hidden))
        for kind, path in ((CallKind.READ, "a.py"), (CallKind.READ, "AGENTS.md"), (CallKind.COMMAND, "")):
            page = page_of_answer(shown, answer(kind, path))
            self.assertEqual(page.costs, page_of_answer(hidden, answer(kind, path)).costs)
            self.assertEqual((page.id, page.provenance.reference), (shown, shown))

    def test_the_type_follows_from_what_was_read(self) -> None:
        read, command = CallKind.READ, CallKind.COMMAND
        self.assertIs(page_type_of(answer(read, "CLAUDE.md", "AGENTS.md")), PageType.BOOTSTRAP_POLICY)
        self.assertIs(page_type_of(answer(read, "CLAUDE.md", "a.py")), PageType.EVIDENCE)
        self.assertIs(page_type_of(answer(read, "spec.md")), PageType.CONSTRAINT)
        self.assertIs(page_type_of(answer(read, "spec.md", failed=True)), PageType.EVIDENCE)
        self.assertIs(page_type_of(answer(command, "spec.md")), PageType.EVIDENCE)
        self.assertIs(page_type_of(answer(read)), PageType.EVIDENCE)

    def test_a_page_of_words_has_the_provenance_that_it_is_given(self) -> None:
        page = page_of_words("a", PageType.CONSTRAINT, "- never", "user")
        self.assertEqual((page.provenance.kind, page.pin, page.base_utility), ("user", PinClass.HARD, 7.0))

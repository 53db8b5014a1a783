"""The contract that every format has to pass: one is in it as soon as it has a fixture.

The damage is seeded: a failure names the seed and what was done to which fixture.
"""

import gzip
import json
import random
import tempfile
import unittest
from pathlib import Path

from clawvm_replay.errors import InputError
from clawvm_transcripts.detection import FORMATS, detect, events_of
from clawvm_transcripts.events import Prompt, SessionEnd, Skipped
from clawvm_transcripts.reading import Source, parsed
from tests.transcripts import mutations, recordings
from tests.transcripts.recordings import content_of, detected, events_in, fixtures_of, frame_errors

SEED = 20260301

FIXTURES = [(file_format, path) for file_format in FORMATS for path in fixtures_of(file_format)]
SMALLEST_FIXTURES = [
    (file_format, min(paths, key=lambda path: path.stat().st_size))
    for file_format in FORMATS
    if (paths := fixtures_of(file_format))
]


def has_types(content):
    """Whether the records of a file are lines that name their types."""
    first = parsed(content.split(b"\n")[0].decode("utf-8", "replace"))[0]
    return isinstance(first, dict) and "type" in first


def with_elements(content, added):
    """Return a file of documents with *added* behind the elements of every top-level array."""
    documents = mutations.documents_in(content)
    for document in documents:
        for array in document.values() if isinstance(document, dict) else [document]:
            if isinstance(array, list):
                array.extend(added)
    return b"\n".join(json.dumps(document).encode() for document in documents)


def unknown_ones(events):
    return [event for event in events if isinstance(event, Skipped) and not event.known]


def of_substance(events):
    return [event for event in events if not isinstance(event, (Skipped, SessionEnd))]


def prompts(events):
    return [event for event in events if isinstance(event, Prompt)]


class FormatsTest(unittest.TestCase):
    def test_every_format_has_a_name_of_its_own_and_every_fixture_a_format(self):
        self.assertEqual(len({file_format.id for file_format in FORMATS}), len(FORMATS))
        self.assertEqual(len({file_format.title for file_format in FORMATS}), len(FORMATS))
        folders = {path.name for path in recordings.FIXTURES.iterdir() if path.is_dir()}
        self.assertEqual(folders, {file_format.id for file_format, _ in FIXTURES})

    def test_a_format_recognizes_its_own_fixtures_and_no_others(self):
        for file_format, path in FIXTURES:
            with self.subTest(path.name, format=file_format.id):
                self.assertEqual(detected(content_of(path)), [file_format.id])

    def test_no_format_recognizes_what_is_no_session(self):
        for content in (
            b"",
            b"\n\n",
            b"\0" * 4096,
            b"A kettle is not a session.\n",
            b"{}",
            b"[]",
            b"[{}]",
            b'{"a": 1}\n{"a": 2}\n',
            b'{"name": "kettle", "version": "1.0.0", "dependencies": {"water": "^1"}}',
            b'{"type": "message"}\n{"type": "session"}\n',
            b'{"messages": [{"role": "user", "content": "Only a chat."}]}',
            b'{"": "", "type": "x"}\n',
            bytes(range(256)) * 16,
            b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        ):
            with self.subTest(content[:40]):
                self.assertEqual(detected(content), [])


class EventsTest(unittest.TestCase):
    def test_sessions_begin_and_end_and_hold_known_events_only(self):
        for file_format, path in FIXTURES:
            with self.subTest(path.name, format=file_format.id):
                self.assertEqual(frame_errors(events_in(file_format, content_of(path))), "")

    def test_some_fixture_of_each_format_holds_a_prompt(self):
        for file_format, _ in SMALLEST_FIXTURES:
            with self.subTest(file_format.id):
                contents = map(content_of, fixtures_of(file_format))
                self.assertTrue(any(prompts(events_in(file_format, content)) for content in contents))

    def test_reading_twice_gives_the_same(self):
        for file_format, path in FIXTURES:
            with self.subTest(path.name, format=file_format.id):
                content = content_of(path)
                self.assertEqual(events_in(file_format, content), events_in(file_format, content))

    def test_gzip_and_the_name_of_the_file_have_no_say(self):
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder, "notes.txt")
            for file_format, path in FIXTURES:
                with self.subTest(path.name, format=file_format.id):
                    packed.write_bytes(gzip.compress(content_of(path)))
                    source = Source(packed)
                    self.assertIs(detect(source), file_format)
                    self.assertEqual(list(events_of(source, file_format)), events_in(file_format, content_of(path)))

    def test_unknown_record_types_are_counted_and_change_nothing_else(self):
        unknown = b'{"type": "hologram", "id": "h1", "data": {"type": "hologram"}, "payload": {"type": "hologram"}}'
        for file_format, path in FIXTURES:
            content = content_of(path)
            if file_format.needs_path or not has_types(content):
                continue
            with self.subTest(path.name, format=file_format.id):
                before = events_in(file_format, content)
                after = events_in(file_format, content.rstrip(b"\n") + b"\n" + unknown + b"\n")
                self.assertEqual(len(unknown_ones(after)), len(unknown_ones(before)) + 1)
                self.assertEqual(of_substance(after), of_substance(before))

    def test_elements_of_another_kind_leave_the_prompts_as_they_are(self):
        unknown = dict.fromkeys(("type", "role", "action", "observation"), "hologram") | {"id": 99, "args": {}}
        for file_format, path in FIXTURES:
            content = content_of(path)
            if file_format.needs_path or has_types(content):
                continue
            with self.subTest(path.name, format=file_format.id):
                changed = with_elements(content, (unknown, {}, {"hologram": 1}, None, "hologram", 7, [], [unknown]))
                events = events_in(file_format, changed)
                self.assertEqual(frame_errors(events), "")
                self.assertEqual(prompts(events), prompts(events_in(file_format, content)))


class DamageTest(unittest.TestCase):
    """Whatever is done to a fixture, it ends in events, and in nothing that a reader of events could stumble over.

    A sample; ``tests/long`` runs the whole.
    """

    whole = False

    def survive(self, name):
        for file_format, path in FIXTURES if self.whole else SMALLEST_FIXTURES:
            content = content_of(path)
            chance = random.Random(f"{SEED} {name} {file_format.id} {path.name}")
            for what, damaged in self.damages(name, file_format, content, chance):
                damage = f"seed {SEED}: {file_format.id}/{path.name}: {what}"
                try:
                    recognized = detected(damaged)
                    events = events_in(file_format, damaged)
                except InputError as error:
                    self.assertNotIn("\n", str(error), damage)
                    continue
                except Exception as error:
                    raise AssertionError(f"{damage}: {type(error).__name__}: {error!s:.200}") from error
                self.assertLessEqual(len(recognized), 1, f"{damage}: {recognized}")
                self.assertEqual(frame_errors(events), "", damage)

    def damages(self, name, file_format, content, chance):
        if name == "truncations" and self.whole:
            smallest = min((content_of(path) for path in fixtures_of(file_format)), key=len)
            return mutations.truncations(content, chance, 6000 if content == smallest and len(content) < 6000 else 200)
        few, many = {"truncations": (6, 200), "bit_flips": (4, 100), "replacements": (8, 200)}.get(name, (1, 20))
        return getattr(mutations, name)(content, chance, many if self.whole else few)

    def test_cut_off_anywhere(self):
        self.survive("truncations")

    def test_bits_turned(self):
        self.survive("bit_flips")

    def test_lines_twice_swapped_or_missing(self):
        self.survive("line_changes")

    def test_bytes_that_are_no_text(self):
        self.survive("bad_bytes")

    def test_values_of_other_types_absurd_numbers_and_nesting(self):
        self.survive("replacements")

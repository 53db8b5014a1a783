"""Behaviour of the large hand-made recordings: they are what their code makes, and as large as they say."""

import io
import json
import unittest

from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_transcripts.detection import FORMATS
from clawvm_transcripts.events import Compaction, RecordedResult, Reset
from tests.transcripts.large_recordings import FILES, FIXTURES
from tests.transcripts.recordings import detected, events_in, frame_errors


class LargeRecordingsTest(unittest.TestCase):
    def events(self):
        formats = {file_format.id: file_format for file_format in FORMATS}
        for name, make in FILES.items():
            yield name, events_in(formats[name.split("/")[0]], make())

    def test_the_files_are_what_their_code_makes_and_of_moderate_size(self):
        for name, make in FILES.items():
            self.assertEqual((FIXTURES / name).read_bytes(), make(), f"{name}: python3 -m {make.__module__}")
        self.assertLess(sum(len(make()) for make in FILES.values()), 200_000)

    def test_they_are_sessions_of_the_format_whose_folder_they_are_in(self):
        for name, make in FILES.items():
            self.assertEqual(detected(make()), [name.split("/")[0]])
            for line in io.BytesIO(make()):
                json.loads(line)
        for name, events in self.events():
            self.assertEqual(frame_errors(events), "", name)

    def test_results_have_500_to_8000_tokens_and_most_are_read_again_after_a_boundary(self):
        for name, events in self.events():
            texts = [event.text[event.head :] for event in events if isinstance(event, RecordedResult)]
            sizes = [tokens for text in texts if (tokens := estimate_tokens(text)) > 50]
            self.assertGreaterEqual(min(sizes), 400, name)
            self.assertLessEqual(max(sizes), 8100, name)
            self.assertGreaterEqual(len(texts) - len(set(texts)), 5, name)
            self.assertGreaterEqual(sum(isinstance(event, Compaction) for event in events), 2, name)
        self.assertTrue(any(isinstance(event, Reset) for _, events in self.events() for event in events))

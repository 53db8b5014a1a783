"""What a session leaves in memory is bounded."""

import tracemalloc
import unittest

from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounter
from clawvm_transcripts.pseudonyms import Pseudonyms
from tests.transcripts.hand_made import Hand, edit, read, run


class MemoryTest(unittest.TestCase):
    BYTES_PER_CALL = 1200

    def grown(self, calls):
        """Return the bytes that a session of so many calls, all different, holds at its end."""
        names = Pseudonyms(b"key")
        tracemalloc.start()
        try:
            converter = SessionConverter(names, Sinks(lambda view, turn: None, lambda view, observed: None))
            counter = SessionCounter()
            converter.begin_session()
            for number in range(calls // 4):
                hand = Hand(prefix=f"a-longer-prefix-of-names-{number}")
                hand.reply(
                    read(f"/srv/toy/folder/file-{number}.py", "text of a file\n" * 20),
                    run(f"python3 tool.py --number {number}", f"output {number}"),
                    edit(f"/srv/toy/folder/file-{number // 2}.py"),
                    read(f"/srv/toy/folder/file-{number // 3}.py", "lines", number % 90 + 1, number % 90 + 9),
                )
                for event in hand.events[1:]:
                    counter.add(event)
                    converter.feed(event)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    def test_what_a_call_leaves_in_memory_is_bounded(self):
        few, many = self.grown(500), self.grown(2000)
        self.assertLess((many - few) / 1500, self.BYTES_PER_CALL)

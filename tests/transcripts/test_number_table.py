"""A table of numbers that takes little memory."""

import random
import sys
import unittest

from clawvm_transcripts.formats.claude_code import SMALLEST, NumberTable


class NumberTableTest(unittest.TestCase):
    def test_it_is_a_dictionary_that_keeps_the_first_value(self) -> None:
        for seed in range(5):
            source, table, known = random.Random(seed), NumberTable(), dict[int, int]()
            for _ in range(6 * SMALLEST):
                # Keys that collide, and every value that a key may have.
                key = source.choice((source.getrandbits(64), source.getrandbits(6), source.getrandbits(10) << 40))
                value = source.randrange(2**31)
                self.assertEqual(table.get(key, -1), known.get(key or 1, -1), seed)
                self.assertEqual(table.add(key, value), (key or 1) not in known, seed)
                known.setdefault(key or 1, value)
            self.assertEqual(len(table), len(known), seed)
            self.assertEqual([table.get(key, -1) for key in known], list(known.values()), seed)

    def test_an_entry_takes_at_most_36_bytes(self) -> None:
        source, table = random.Random(1), NumberTable()
        for number in range(20 * SMALLEST):
            table.add(source.getrandbits(64), number)
        self.assertLess(sys.getsizeof(table._keys) + sys.getsizeof(table._values), 36 * len(table))


if __name__ == "__main__":
    unittest.main()

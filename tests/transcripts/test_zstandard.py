"""Rows that OpenClaw compressed: frames of the zstd program (``zstd --check -1``; "lines": ``-19``) are read."""

from __future__ import annotations

import random
import unittest
from pathlib import Path

from clawvm_transcripts.formats.openclaw_database import ZstandardError, decompressed

FRAMES = Path(__file__).parent / "fixtures" / "openclaw" / "frames"
LIMIT = 1 << 20
WORDS = ("kite", "wind", "string", "tail", "sky", "hull", "oak", "paint", "boat", "wick")


def words() -> bytes:
    draw = random.Random(7)
    return " ".join(
        WORDS[draw.randrange(10)] + (str(draw.randrange(1000)) if draw.random() < 0.2 else "") for _ in range(500)
    ).encode()


def letters(count: int, kinds: int, first: int = 97) -> bytes:
    draw = random.Random(8)
    return bytes(first + min(draw.randrange(kinds), draw.randrange(kinds), draw.randrange(kinds)) for _ in range(count))


def noise() -> bytes:
    draw = random.Random(9)
    return bytes(draw.getrandbits(8) for _ in range(300))


CONTENTS = {
    "blocks": b"".join(b"%d %s" % (n * n * 7919 % 1000, b"kite " * (n % 5)) for n in range(22000)),
    "few-letters": letters(200, 24),
    "letters": letters(700, 24),
    "lines": b"".join(b'{"row":%d,"text":"%s"}\n' % (n, b"oak boat"[: n % 8]) for n in range(9000)),
    "noise": noise(),
    "same": b"x" * 5000,
    "small-numbers": letters(900, 3, first=0),
    "words": words(),
}
"""What the frames hold: between them every kind of block, of literals and of table."""


def frame(name: str) -> bytes:
    return (FRAMES / f"{name}.zst").read_bytes()


class Frames(unittest.TestCase):
    def test_the_content_of_every_kind_of_frame_is_read(self) -> None:
        for name, content in CONTENTS.items():
            with self.subTest(name):
                self.assertEqual(decompressed(frame(name), LIMIT), content)

    def test_frames_behind_each_other_are_one_content_and_skippable_ones_hold_nothing(self) -> None:
        skippable = b"\x53\x2a\x4d\x18\x03\x00\x00\x00abc"
        data = frame("words") + skippable + frame("same")
        self.assertEqual(decompressed(data, LIMIT), CONTENTS["words"] + CONTENTS["same"])

    def test_more_content_than_allowed_is_refused(self) -> None:
        self.assertEqual(len(decompressed(frame("same"), 5000)), 5000)
        with self.assertRaisesRegex(ZstandardError, "longer than 4999 bytes"):
            decompressed(frame("same"), 4999)

    def test_other_data_and_data_that_is_cut_off_are_refused(self) -> None:
        with self.assertRaisesRegex(ZstandardError, "no Zstandard data"):
            decompressed(b'{"type":"message"}', LIMIT)
        whole = frame("letters")
        for end in range(1, len(whole) - 4):  # The last four bytes are a checksum, which is not verified.
            with self.subTest(end), self.assertRaises(ZstandardError):
                decompressed(whole[:end], LIMIT)

    def test_copies_and_bits_that_are_not_there_are_refused(self) -> None:
        # One literal "a", then a copy of three bytes from as far back as the offset's code and bits say.
        for code, bits, expected in ((2, 0b1_00, b"aaaa"), (3, 0b1_000, None), (2, 0b1_0000, None)):
            block = bytes([0x08, *b"a", 1, 0b01_01_01_00, 1, code, 0, bits])
            data = b"\x28\xb5\x2f\xfd\x20\x04" + (len(block) << 3 | 0b101).to_bytes(3, "little") + block
            with self.subTest(code=code, bits=bits):
                if expected is None:
                    with self.assertRaises(ZstandardError):
                        decompressed(data, LIMIT)
                else:
                    self.assertEqual(decompressed(data, LIMIT), expected)

    def test_damage_ends_in_content_or_in_a_refusal(self) -> None:
        seed = 11
        draw = random.Random(seed)
        refused = 0
        for attempt in range(600):
            data = bytearray(frame(("words", "letters", "small-numbers")[attempt % 3]))
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            try:
                self.assertLessEqual(len(decompressed(bytes(data), LIMIT)), LIMIT, f"seed {seed}, attempt {attempt}")
            except ZstandardError:
                refused += 1
        self.assertGreater(refused, 200)


if __name__ == "__main__":
    unittest.main()

"""Hand-made sessions in the formats of many harnesses: each is read, or refused by its name.

The samples are not in the repository. Their folder is looked for next to it: ``../shared/samples`` with its
``EXPECTED.json``.
"""

import json
import unittest

from clawvm_transcripts.detection import FORMATS, NotReadError, detect
from clawvm_transcripts.reading import Source
from tests.support import ROOT, not_checked

SAMPLES = ROOT.parent / "shared" / "samples"
EXPECTED = SAMPLES / "EXPECTED.json"

TITLES = {
    "atif": "Harbor ATIF",
    "cline": "Cline",
    "factory-droid": "Factory Droid",
    "gemini-cli": "Gemini CLI",
    "kimi-cli": "Kimi CLI",
    "kimi-code": "Kimi Code",
    "opencode": "opencode",
    "openhands": "OpenHands V1",
    "qwen-code": "Qwen Code",
    "roo-code": "Roo Code (Kilo Code)",
}
"""What a format that is not read is called in a refusal; ``openhands`` is the older one only outside of the samples."""


class RefusalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not EXPECTED.is_file():
            raise not_checked("no samples in ../shared/samples: which format each hand-made session is in")
        cls.rows = json.loads(EXPECTED.read_text(encoding="utf-8"))["files"]

    def files(self, name):
        place = SAMPLES / name
        return [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())

    def test_every_session_is_in_the_format_that_it_says_or_refused_by_its_name(self):
        read = {item.id for item in FORMATS}
        for name, row in self.rows.items():
            for path in self.files(name):
                with self.subTest(path.relative_to(SAMPLES)):
                    if row["format"] in TITLES:
                        with self.assertRaises(NotReadError) as caught:
                            detect(Source(path))
                        self.assertEqual(caught.exception.reason, f"{TITLES[row['format']]}: not supported yet")
                        self.assertTrue(caught.exception.recording)
                    else:
                        self.assertIn(row["format"], read)
                        self.assertEqual(detect(Source(path)).id, row["format"])

    def test_every_other_file_is_refused(self):
        of_sessions = {path for name in self.rows for path in self.files(name)}
        for path in sorted(set(self.files("")) - of_sessions):
            with self.subTest(path.relative_to(SAMPLES)), self.assertRaises(NotReadError) as caught:
                detect(Source(path))
            known = caught.exception.reason.removesuffix(": not supported yet") in TITLES.values()
            self.assertTrue(known or not caught.exception.recording, caught.exception.reason)


if __name__ == "__main__":
    unittest.main()

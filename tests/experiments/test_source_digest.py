"""Behaviour of the digest of the code: any change of a module, its name or its package gives another one."""

import unittest

from clawvm_experiments.running import digest_of, source_digest
from tests.support import temporary_folder


class SourceDigestTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)
        (self.root / "deep").mkdir()
        (self.root / "first.py").write_text("a = 1\n")
        (self.root / "deep" / "second.py").write_text("b = 2\n")

    def digest(self, package="package"):
        return digest_of({package: self.root})

    def test_what_is_no_module_and_where_the_folder_lies_does_not_count(self):
        before = self.digest()
        (self.root / "notes.txt").write_text("x")
        self.assertEqual(self.digest(), before)
        moved = self.root.with_name(self.root.name + "-moved")
        self.root.rename(moved)
        self.assertEqual(digest_of({"package": moved}), before)
        moved.rename(self.root)

    def test_any_change_of_a_module_gives_another_digest(self):
        seen = {self.digest(), self.digest("another")}
        (self.root / "deep" / "second.py").write_text("b = 3\n")
        seen.add(self.digest())
        (self.root / "deep" / "second.py").rename(self.root / "deep" / "third.py")
        seen.add(self.digest())
        (self.root / "fourth.py").write_text("")
        seen.add(self.digest())
        self.assertEqual(len(seen), 5)

    def test_the_digest_of_this_code_is_one_sha256(self):
        self.assertRegex(source_digest(), "^[0-9a-f]{64}$")

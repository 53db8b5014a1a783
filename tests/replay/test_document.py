"""Behaviour of documents: the notation, the values of tables, and the examples in the docstrings of the package."""

import doctest
import importlib
import pkgutil
import unittest

import clawvm_replay
from clawvm_replay.document import (
    Bullets,
    Heading,
    Number,
    Paragraph,
    Preformatted,
    ReportVerdict,
    Table,
    code,
    listed,
    markdown,
    plain,
)


class DocumentTest(unittest.TestCase):
    def test_every_block_has_its_markdown(self):
        table = Table.of(
            ("name", "count", "share", "verdict"),
            (
                (plain("a|b*"), 1200, Number("1 of 2"), ReportVerdict("not reproduced", False)),
                ("c", None, 0.5, True),
            ),
        )
        blocks = [Heading(2, "Title"), Paragraph("*Text*."), Bullets(("one", "two")), Preformatted("$ run\n\ndone")]
        self.assertEqual(
            markdown([*blocks, table]),
            "## Title\n\n*Text*.\n\n- one\n- two\n\n    $ run\n\n    done\n\n"
            "| name | count | share | verdict |\n|---|---:|---:|---|\n"
            "| a\\|b\\* | 1,200 | 1 of 2 | **not reproduced** |\n| c | - | 0.500 | yes |\n",
        )

    def test_foreign_text_is_shown_as_it_is(self):
        self.assertEqual(plain("_x_ a_b &lt; ~~y~~"), "\\_x\\_ a_b \\&lt; \\~\\~y\\~\\~")
        # A backslash before a pipe does not free it to end the cell: an even number of them would.
        self.assertIn("| `\\\\\\|c` |", markdown([Table.of(("name",), [[code("\\\\|c")]])]))

    def test_a_list_of_few_parts_reads_well(self):
        self.assertEqual([listed([]), listed(["a"]), listed(["a", "b"], "or")], ["", "a", "a or b"])

    def test_the_examples_of_the_package_hold(self):
        attempted = 0
        for module in pkgutil.iter_modules(clawvm_replay.__path__, "clawvm_replay."):
            failed, tried = doctest.testmod(importlib.import_module(module.name))
            self.assertEqual(failed, 0, module.name)
            attempted += tried
        self.assertGreater(attempted, 5)

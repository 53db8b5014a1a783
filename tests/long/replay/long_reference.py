"""A fresh run of the whole suite equals the committed reference in every cell."""

from tests.replay import test_reference


class WholeRunTest(test_reference.FreshRunTest):
    whole = True

"""The calibration's own data; that the committed constants meet Table 4 is a long test."""

import math
import unittest

import calibrate_families as calibration
from calibrate_families import COMMITTED, CalibratedFigure, with_values


class CalibrationTest(unittest.TestCase):
    def test_nothing_but_zero_is_near_a_published_zero(self):
        self.assertEqual(CalibratedFigure("p", "q", 0.0, 0.0).gap, 0.0)
        self.assertEqual(CalibratedFigure("p", "q", 0.04, 0.0).gap, math.inf)

    def test_committed_and_first_values_lie_in_the_ranges(self):
        first = with_values(COMMITTED, calibration.BY_HAND)
        for name, fields in calibration.RANGES.items():
            for field, values in fields.items():
                with self.subTest(family=name, field=field):
                    self.assertIn(getattr(COMMITTED[name], field), values)
                    self.assertIn(getattr(first[name], field), values)

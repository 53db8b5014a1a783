"""What the recording itself says about its prompts."""

import unittest
from typing import Any

from clawvm_transcripts.events import Compaction, Event, Prompt, Usage, Window
from clawvm_transcripts.output import MAXIMUM_TOKENS, RecordedUsage


def usage_of(*events: Event) -> dict[str, Any]:
    usage = RecordedUsage()
    for event in events:
        usage.add(event)
    assert usage.window == usage.to_record()["window"]
    return usage.to_record()


class RecordedUsageTest(unittest.TestCase):
    def test_usage_is_summed_over_requests(self) -> None:
        record = usage_of(Usage(100, 60, 20, 5), Prompt("x"), Usage(300, 200, 0, 7))
        self.assertEqual(
            record,
            {
                "cached_tokens": 260,
                "largest_prompt": 300,
                "output_tokens": 12,
                "prompt_tokens": 400,
                "requests": 2,
                "window": None,
                "window_is_recorded": False,
                "written_tokens": 20,
            },
        )

    def test_what_a_later_line_of_a_reply_knows_takes_the_place_of_what_the_first_said(self) -> None:
        record = usage_of(Usage(100, 60, 20, 1, "m"), Usage(100, 60, 20, 578, "m"), Usage(300, 200, 0, 7, "n"))
        self.assertEqual((record["requests"], record["prompt_tokens"], record["output_tokens"]), (2, 400, 585))
        self.assertEqual(usage_of(Usage(100), Usage(100))["requests"], 2)  # Without ids nobody can tell.
        joined = usage_of(Usage(100, message="m"), Usage(140, message="m"))
        self.assertEqual((joined["requests"], joined["prompt_tokens"]), (2, 240))

    def test_the_window_is_the_largest_that_was_recorded(self) -> None:
        record = usage_of(Window(200), Compaction("auto", 900), Window(100))
        self.assertEqual((record["window"], record["window_is_recorded"]), (200, True))

    def test_without_one_it_is_the_largest_prompt_that_was_compacted_by_itself(self) -> None:
        events = (Compaction("auto", 160), Compaction("manual", 190), Compaction("auto", 170), Compaction("auto"))
        record = usage_of(*events)
        self.assertEqual((record["window"], record["window_is_recorded"]), (170, False))

    def test_absurd_numbers_are_mistakes(self) -> None:
        huge = MAXIMUM_TOKENS + 1
        record = usage_of(
            Window(huge), Window(0), Compaction("auto", huge), Compaction("auto", 0), Usage(huge), Usage(1, -5, huge)
        )
        self.assertEqual((record["window"], record["requests"], record["cached_tokens"]), (None, 1, 0))
        self.assertEqual(record["written_tokens"], MAXIMUM_TOKENS)


if __name__ == "__main__":
    unittest.main()

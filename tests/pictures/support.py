"""What the tests of pictures share: reading an SVG back, real decision traces, colour arithmetic."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from functools import cache

from clawvm_replay.replay import replay
from clawvm_replay.trace_format import open_trace, read_trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.policy import policy_named
from tests.cli.support import ROOT

SVG = "{http://www.w3.org/2000/svg}"

HOSTILE = 'a<b>&"quote" \'\x00\x1b\x0b\ufffe\ud800 ]]> <script>alert(1)</script> \u6f22\u5b57 e\u0301 {} {0} %s'


def parsed(svg: str) -> ElementTree.Element:
    """Return the picture as a tree; fails where it is no well-formed XML."""
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    """Return every text, title and description of a picture."""
    return [element.text or "" for element in parsed(svg).iter() if element.tag != SVG + "style"]


def titles(svg: str) -> list[str]:
    """Return every hover text of a picture."""
    return [element.text or "" for element in parsed(svg).iter(SVG + "title")]


def problems(svg: str) -> list[str]:
    """Return what no picture may have: references to elsewhere, ids, scripts, numbers that are none."""
    found = []
    for address in re.findall(r"https?://[^\"'\s<)]+", svg):
        if address != "http://www.w3.org/2000/svg":
            found.append(address)
    for element in parsed(svg).iter():
        name = element.tag.removeprefix(SVG)
        if name in ("script", "image", "use", "a", "foreignObject"):
            found.append(name)
        for key, value in element.attrib.items():
            if key in ("id", "href") or key.startswith("on"):
                found.append(f"{name} {key}")
            if key != "aria-label" and re.search(r"nan|inf(?!l)|[0-9]e[+-]?[0-9]", value, re.IGNORECASE):
                found.append(f"{name} {key}={value}")
    for word in ("@import", "url(", "javascript:"):
        if word in "".join(element.text or "" for element in parsed(svg).iter(SVG + "style")):
            found.append(word)
    if not svg.isascii():
        found.append("not ASCII")
    return found


def linear(colour: str) -> list[float]:
    values = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def luminance(rgb: list[float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(linear(first)), luminance(linear(second))))
    return (high + 0.05) / (low + 0.05)


@cache
def decisions(workload: str, budget: int, policy: str) -> tuple[Event, ...]:
    """Return the decision trace of a committed trace under a policy."""
    path = ROOT / f"traces/{workload}/{workload}-b{budget:04}.trace.jsonl"
    trace = DecisionTrace()
    with open_trace(path) as stream:
        header, turns = read_trace(stream, path.name)
        replay(header, turns, policy_named(policy), budget, decisions=trace)
    return tuple(trace.events)

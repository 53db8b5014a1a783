"""Rules of a policy page, kept word for word under their headings.

=======  ===============================================
rules    a text without the paragraphs that only explain
=======  ===============================================

All of the text is looked at, however long it is: no instruction may be lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clawvm_runtime.content_kinds import ContentKind
from clawvm_runtime.line_kinds import heading_depth, is_key_value
from clawvm_runtime.text_blocks import Block, blocks
from clawvm_runtime.text_lines import left_out

__all__ = ["rules"]


def rules(text: str, kind: ContentKind) -> str:
    """Return *text* without the paragraphs that explain; rules stay word for word, under their headings.

    Left out is a paragraph only if it is English, has no word that rules have, does not begin a sentence with
    a command, does not introduce what follows, is no table or list of values, and stands under no heading
    that makes rules of what is under it. What cannot be judged stays, and so does everything if no rule is
    found at all or if the text is not made of sentences.
    """
    if kind in _OPAQUE:
        return text
    parts = list(blocks(text))
    depths = [heading_depth(block.lines[0]) for block in parts if block.kind == "heading"]
    title = depths[:1] == [1] and depths.count(1) == 1 and len(depths) > 1
    kept: list[str] = []
    open_headings: list[_OpenHeading] = []
    found = False
    omitted = 0
    for block in parts:
        if block.kind == "heading":
            depth = heading_depth(block.lines[0])
            while open_headings and open_headings[-1].depth >= depth:
                omitted += open_headings.pop().waiting
            lowered = block.lines[0].lower()
            binding = any(heading.binding for heading in open_headings) or (
                not title and _RULE_HEADING.search(lowered) is not None
            )
            title = False
            open_headings.append(_OpenHeading(depth, block.lines[0], binding))
            if not _RULE_WORD.search(lowered):
                continue
            found = True
        elif block.kind == "item" or _binds(block, open_headings):
            found = True
        elif block.kind == "paragraph" and _explains(block.lines):
            omitted += len(block.lines)
            continue
        kept.extend(heading.line for heading in open_headings if heading.waiting)
        for heading in open_headings:
            heading.waiting = False
        if block.kind != "heading":
            kept.extend(block.lines)
    omitted += sum(heading.waiting for heading in open_headings)
    if not found or not omitted:
        return text
    return "\n".join([*kept, left_out(omitted)])


@dataclass(slots=True)
class _OpenHeading:
    """A heading whose section is being read; *waiting* until something under it is kept."""

    depth: int
    line: str
    binding: bool
    waiting: bool = True


def _binds(block: Block, open_headings: Sequence[_OpenHeading]) -> bool:
    """Return whether a paragraph is a rule by its own words or by a heading above it."""
    if block.kind != "paragraph":
        return False
    if any(heading.binding for heading in open_headings):
        return True
    joined = " ".join(block.lines)
    return _RULE_WORD.search(joined.lower()) is not None or any(map(_COMMAND.search, block.lines))


def _explains(lines: Sequence[str]) -> bool:
    """Return whether a paragraph without rules is English prose that can be left out."""
    if lines[-1].rstrip().endswith(":") or not any(_ENGLISH.search(line.lower()) for line in lines):
        return False
    # What is indented belongs to the item above it, whatever stands between.
    if lines[0].startswith(("  ", "\t")) or any(map(_LAYOUT.match, lines)):
        return False
    return len(lines) == 1 or sum(map(is_key_value, lines)) * 2 < len(lines)


_RULE_WORD = re.compile(
    r"\b(?:must|never|always|not|no|nobody|nothing|nowhere|none|only|required?|requires|forbidden|prohibited"
    r"|mandatory|shall|should|cannot|can['’]?t|(?:do|does|must|should|wo|is|are)n['’]t|(?:dis)?allowed|permitted"
    r"|needs?\s+to|ha(?:s|ve)\s+to|ensure|avoid|refuse|prefer|unless|until|except|without|instead\s+of|rather\s+than"
    r"|at\s+most|at\s+least|limits?|you\s+are|your\s+(?:role|task|job|goal)|important|critical|warning|make\s+sure)\b"
)
_COMMANDS = (
    "Use|Run|Keep|Write|Add|Check|Follow|Ask|Stop|Commit|Push|Treat|Return|Put|Set|Test|Respond|Reply|Answer|Call"
    "|Start|Begin|End|Read|Create|Update|Delete|Remove|Include|Exclude|Make|Do|Be|Give|Name|Place|Store|Save|Report"
    "|Review|Verify|Confirm|Format|Lint|Install|Build|Execute|Open|Close|Wait|Remember|Note|Think|Explain|Respect"
    "|Leave|Skip|Ignore|Limit|Document|Describe|Say|Tell|Show|Provide|Work|Fix|Look|Search|Find"
)
_COMMAND = re.compile(rf"(?:^|[.!?:;]\s+)[\"'*_`(]*(?:{_COMMANDS})\b")
_RULE_HEADING = re.compile(
    r"\b(?:rules?|must|never|always|do\s+not|don['’]ts?|dos|forbidden|required|requirements?|constraints?"
    r"|polic(?:y|ies)|guidelines?|conventions?|instructions?|security|safety|permissions?|restrictions?|limits?"
    r"|protocol|boundaries)\b"
)
# Words that prose in English cannot do without and that mean nothing in other common languages.
_ENGLISH = re.compile(r"\b(?:the|and|this|that|which|with|are|these|they|its|were|from)\b")
# Rows of a table, rules and underlines, tags, a line of bold words that stands for a heading.
_LAYOUT = re.compile(r"\s*(?:\||-{3,}\s*$|={3,}\s*$|<|\*\*[^*]+\*\*:?\s*$)")
# Rules cannot be told from the rest of these, so everything in them counts as a rule.
_OPAQUE = frozenset({ContentKind.SOURCE_CODE, ContentKind.JSON, ContentKind.LOG, ContentKind.DIFF})

"""Pages of recorded texts: the token cost of each level is made from the text, then the text is let go.

===============  ======================================================================================
page_of_answer   the page of a tool result: evidence, or a rule file or requirement document that was read
page_of_words    the page of a prompt, a summary, instructions, rules, preferences, a plan
page_type_of     the type of the page that a tool result becomes
KeptPage         a page of a file in little memory, until an edit makes it stale
===============  ======================================================================================

Published conversion: tool results become evidence pages (soft pin, minimum pointer, base utility 5, recompute cost 8
for reads and commands, 12 for edits, 6 for the rest); requirement documents become constraint pages (hard, minimum
structured, base utility 7, as by default).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.text_pages import BASE_UTILITY, RECOMPUTE_COST, page_from_text
from clawvm_runtime.vocabulary import Level, PageType, PinClass
from clawvm_transcripts.calls import CallKind
from clawvm_transcripts.pseudonyms import hidden_name
from clawvm_transcripts.steps import Answer
from clawvm_transcripts.wording import is_requirement_document, is_rule_file

__all__ = ["KeptPage", "page_of_answer", "page_of_words", "page_type_of"]

EVIDENCE_UTILITY = 5.0
RECOMPUTE = {CallKind.READ: 8.0, CallKind.COMMAND: 8.0, CallKind.EDIT: 12.0}
RECOMPUTE_REST = 6.0

LEVELS = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)
COSTS = struct.Struct("<4Q")


def page_type_of(answer: Answer) -> PageType:
    """Return the type of the page that a tool result becomes; what failed is evidence of that, whatever the file."""
    paths = [read.path for read in answer.facts.reads] if answer.facts.kind is CallKind.READ else []
    if answer.failed:
        return PageType.EVIDENCE
    if paths and all(map(is_rule_file, paths)):
        return PageType.BOOTSTRAP_POLICY
    if paths and all(map(is_requirement_document, paths)):
        return PageType.CONSTRAINT
    return PageType.EVIDENCE


def page_of_answer(page_id: str, answer: Answer) -> Page:
    """Return the page of a tool result, with costs and no text."""
    page_type = page_type_of(answer)
    if page_type is not PageType.EVIDENCE:
        return page_of_words(page_id, page_type, answer.text, "file")
    hidden = hidden_name(page_id)
    page = page_from_text(
        hidden,
        page_type,
        answer.text,
        Provenance("tool_call", hidden),
        base_utility=EVIDENCE_UTILITY,
        recompute_cost=RECOMPUTE.get(answer.facts.kind, RECOMPUTE_REST),
        pin=PinClass.SOFT,
        minimum=Level.POINTER,
        tokens=answer.tokens,
        keep_texts=False,
    )
    return _named(page, page_id)


def page_of_words(page_id: str, page_type: PageType, text: str, source: str) -> Page:
    """Return a page of words, with costs and no text; *source* is a kind of provenance."""
    hidden = hidden_name(page_id)
    page = page_from_text(hidden, page_type, text, Provenance(source, hidden), keep_texts=False)
    return _named(page, page_id)


def _named(page: Page, page_id: str) -> Page:
    """Return *page* under the name that is shown; its costs are those under the hidden one, whatever is shown.

    A pointer holds the name of its page: a run that shows names would cost more than one that does not.
    """
    if page.id == page_id:
        return page
    return page.changed(id=page_id, provenance=Provenance(page.provenance.kind, page_id))


@dataclass(frozen=True, slots=True)
class KeptPage:
    """What is needed to give a page of a file that was read its old costs again: a tenth of the page's memory."""

    id: str
    type: PageType
    costs: bytes

    @classmethod
    def of(cls, page: Page) -> KeptPage:
        """Keep *page*, which ``page_of_answer`` made."""
        return cls(page.id, page.type, COSTS.pack(*(page.costs.get(level, 0) for level in LEVELS)))

    def page(self) -> Page:
        """Return the page again."""
        costs = {level: cost for level, cost in zip(LEVELS, COSTS.unpack(self.costs)) if cost}
        if self.type is PageType.EVIDENCE:
            return Page(
                self.id,
                self.type,
                costs,
                Provenance("tool_call", self.id),
                base_utility=EVIDENCE_UTILITY,
                recompute_cost=RECOMPUTE[CallKind.READ],
                pin=PinClass.SOFT,
                minimum=Level.POINTER,
            )
        return Page(
            self.id,
            self.type,
            costs,
            Provenance("file", self.id),
            base_utility=BASE_UTILITY[self.type],
            recompute_cost=RECOMPUTE_COST[self.type],
        )

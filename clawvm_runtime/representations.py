"""Representations of real text below full: extractive, deterministic, without a model.

===============  =====================================================================================
compressed       about a third of the text: head, tail and the lines that matter, gaps marked
structured       typed fields by kind of content; rules of policy pages and steps of plans word for word
pointer          one line that names what a page holds and carries a handle that resolves
parse_pointer    the page id in a pointer line
===============  =====================================================================================

Each form has a module of its own (``compressed_text``, ``structured_fields``, ``verbatim_rules``,
``verbatim_plans``, ``pointers``); this one says which form of structure a type of page gets.

Whatever these functions keep stands in the text; what they add is labels, counts and marks of what is left
out:

* ``[... 132 lines left out ...]`` on a line of its own, ``[... 812 characters left out ...]`` inside a long
  line;
* ``[... 7 more ...]`` where a field has more items than it may hold.

A text above ``ANALYSED_CHARACTERS`` is looked at in its head and its tail only, so no text costs more time
than one of that length does. Instructions are the exception: the structured form of a policy page always sees
all of it.

Only a line that stands where the harness puts pointers is a pointer: a text kept word for word may contain
anything, also a line that looks like one.
"""

from __future__ import annotations

from clawvm_runtime.compressed_text import compressed
from clawvm_runtime.content_kinds import ContentKind
from clawvm_runtime.pointers import parse_pointer, pointer
from clawvm_runtime.structured_fields import fields
from clawvm_runtime.text_lines import Lines
from clawvm_runtime.verbatim_plans import plan
from clawvm_runtime.verbatim_rules import rules
from clawvm_runtime.vocabulary import PageType, Scope

__all__ = ["compressed", "parse_pointer", "pointer", "structured"]


def structured(
    text: str,
    kind: ContentKind,
    page_type: PageType,
    *,
    scope: Scope = Scope.PROJECT,
    lines: Lines | None = None,
) -> str:
    """Return the typed fields of *text* that satisfy the invariant of a page of this type.

    A policy page (bootstrap or constraint) keeps every rule word for word under its headings, a plan its
    goal, current step and open steps, a preference its key-values after its *scope*; any other page gets the
    fields of its kind of content. Where nothing can be left out safely the text comes back as it is. *lines* are
    those of the text, if they are at hand. Takes time linear in what is looked at.
    """
    if page_type in (PageType.BOOTSTRAP_POLICY, PageType.CONSTRAINT):
        return rules(text, kind)
    if page_type is PageType.PREFERENCE:
        values = fields(text, kind, page_type, lines) if kind is ContentKind.JSON else rules(text, kind)
        return f"scope: {scope.value}\n{values}"
    if page_type is PageType.PLAN:
        return plan(text, kind)
    return fields(text, kind, page_type, lines)

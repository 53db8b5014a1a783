"""Pointers: one line that names what a page holds and carries a handle that resolves.

Only a line where the harness puts pointers is a pointer: a text kept word for word may contain anything, also a line
that looks like one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from clawvm_runtime.pages import Provenance
from clawvm_runtime.vocabulary import PageType, Scope

__all__ = ["parse_pointer", "pointer"]

WORDS_MOST = 6
WORD_SHORTEST = 3
WORD_LONGEST = 32
WORD_CJK = 6  # Scripts without spaces: the beginning of a run of letters is a word.
FIRST_CJK = "\u3040"
WORDS_HEAD = 12_000
WORDS_TAIL = 4_000
ORIGIN_LENGTH = 80
ORIGIN_READ = 65_536


def pointer(
    text: str,
    *,
    page_id: str,
    page_type: PageType,
    provenance: Provenance,
    tokens: int,
    scope: Scope = Scope.SESSION,
) -> str:
    """Return one printable line that names what a page holds: handle, type, origin, words, size in *tokens*.

    The pointer of a preference and of a conversation segment, whose minimum it is, has the whole reference of the
    provenance; other origins are shortened. No text can end the line or the brackets early, so nothing but *page_id*
    decides which page it resolves to. Reads at most 16,000 characters of *text*.

    >>> pointer("def parse_config(): ...", page_id="ev-12", page_type=PageType.EVIDENCE, tokens=8,
    ...         provenance=Provenance("tool_call", 'read({"path":"src/app.py"})'))
    '[page ev-12 evidence | read src/app.py | parse_config | 8 tokens]'
    """
    name = f"page {_escaped(page_id)} {page_type.value}"
    if scope is Scope.PROJECT:
        name += f" {scope.value}"
    origin = _origin(provenance, page_type) or _one_line(provenance.kind)
    words = ", ".join(_telling_words(text, origin))
    return "[" + " | ".join(part for part in (name, origin, words, f"{tokens} tokens") if part) + "]"


def parse_pointer(line: str) -> str | None:
    """Return the page id that a pointer line resolves to, None for any other line.

    >>> parse_pointer("[page ev-12 evidence | read src/app.py | parse_config | 8 tokens]")
    'ev-12'
    """
    found = _POINTER.fullmatch(line.strip())
    if found is None or not found.group().isprintable():
        return None
    page_id = _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), found.group(1))
    # Only what pointer() itself would write is a handle; two spellings must never resolve to one page.
    return page_id if _escaped(page_id) == found.group(1) else None


_TYPES = "|".join(page_type.value for page_type in PageType)
_POINTER = re.compile(
    rf"\[page ([^\s|\[\]]+) (?:{_TYPES})(?: {Scope.PROJECT.value})?"
    r"(?: \| [^|\[\]]+){1,2} \| [0-9]+ tokens\]"
)
_ESCAPE = re.compile(r"%([0-9A-F]{1,5}|10[0-9A-F]{4});")
_BRACKETS = str.maketrans({"[": "(", "]": ")", "|": "¦"})


def _escaped(page_id: str) -> str:
    return "".join(
        character if character.isprintable() and character not in " %|[]" else f"%{ord(character):X};"
        for character in page_id
    )


def _one_line(text: str) -> str:
    """Return *text* as one printable line without brackets and bars."""
    printable = "".join(character if character.isprintable() else " " for character in text.translate(_BRACKETS))
    return " ".join(printable.split())


def _origin(provenance: Provenance, page_type: PageType) -> str:
    if page_type is PageType.PREFERENCE:
        return _one_line(f"{provenance.kind} {provenance.reference}")
    if page_type is PageType.CONVERSATION_SEGMENT:
        return _one_line(provenance.reference)
    origin = _one_line(_call(provenance.reference[:ORIGIN_READ])[: ORIGIN_LENGTH * 4])
    return origin if len(origin) <= ORIGIN_LENGTH else origin[:ORIGIN_LENGTH].rstrip() + "…"


def _call(reference: str) -> str:
    """Return a canonical tool signature as its tool and significant arguments, any other reference as it is."""
    signature = _SIGNATURE.fullmatch(reference)
    if signature is None:
        return reference
    try:
        arguments = json.loads(signature.group(2))
    except (ValueError, RecursionError):
        return reference
    values = [arguments[name] for name in _TELLING_ARGUMENTS if name in arguments]
    shown = [" ".join([value] if isinstance(value, str) else value) for value in values if _is_words(value)]
    return " ".join([signature.group(1), *shown]) if shown else reference


def _is_words(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value))


_SIGNATURE = re.compile(r"([\w.:/-]{1,60})\((\{.*\})\)", re.DOTALL)
_TELLING_ARGUMENTS = ("command", "cmd", "pattern", "query", "path", "file_path", "filename", "file", "url", "uri")


def _telling_words(text: str, origin: str) -> list[str]:
    """Return the words that distinguish a text: frequent, long, composed or defined; no two alike."""
    if len(text) > WORDS_HEAD + WORDS_TAIL:
        text = f"{text[:WORDS_HEAD]}\n{text[-WORDS_TAIL:]}"
    # Cutting ASCII where no word can be is twice as fast as a pattern.
    words = text.encode().translate(_SPACED).decode().split() if text.isascii() else _WORD.findall(text)
    spellings = words if text.isascii() else [word[:WORD_CJK] if word >= FIRST_CJK else word for word in words]
    keys = list(map(str.lower, spellings))
    spelled = dict(zip(reversed(keys), reversed(spellings)))  # As it is spelled first.
    counts = Counter(keys)
    defined = () if _KEYWORDS.isdisjoint(counts) else {word.lower() for word in _DEFINED.findall(text)}
    # Whole numbers only: a score must not depend on how a machine rounds.
    scores: dict[str, int] = {}
    for key, count in counts.items():
        word = spelled[key]
        if not WORD_SHORTEST <= len(word) <= WORD_LONGEST or key in _STOP_WORDS or word[0].isdigit():
            continue
        score = min(len(word), 12)
        if count > 1:
            score *= min(count, 15).bit_length()
        if (word != key and _COMPOSED.search(word)) or ("_" in word and "_" in word.strip("_")):
            score *= 2
        scores[key] = score * 2 if key in defined else score
    chosen: list[str] = []
    shown = [origin.lower()]
    for key in sorted(scores, key=scores.__getitem__, reverse=True):  # The first of two equals stays the first.
        if len(chosen) == WORDS_MOST:
            break
        if not _HASH.fullmatch(key) and not any(key in other or other in key for other in shown):
            chosen.append(spelled[key])
            shown.append(key)
    return chosen


_WORD = re.compile(r"\w+")
_SPACED = bytes(code if _WORD.match(chr(code)) else ord(" ") for code in range(256))
_KEYWORD_LIST = "class const def enum fn func function interface module struct trait type"
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
# The boundary is checked behind the keyword: a pattern that begins with one would try every place of the text.
_KEYWORD = "|".join(rf"{word}(?<!\w{word})" for word in sorted(_KEYWORDS))
_DEFINED = re.compile(rf"(?:{_KEYWORD})\s+(\w{{3,32}})\b")
_COMPOSED = re.compile(r"[a-z][A-Z]")
_HASH = re.compile(r"(?=[a-f]*\d)[0-9a-f]{7,}|(?=(?:\D*\d){4})\w+")
_STOP_LIST = """
about above after again all also although always among and another any anything are around because been
before being below between both but called can cannot change changed could did does doing done down during
each either else even every everything few first following for found from further get gets give given gives
goes going had has have having here hers him his how however into its itself just keep know known last later
least less let like line lines made make makes many may might more most much must name need needs never new
next none nor not nothing now off often old once one only onto other our out over own per please put rather
really said same say see seen several shall she should show shows since some something still such take than
that the their them then there these they thing things this those though three through thus too two under
until upon use used uses using very want was way were what when where whether which while who whole whom
whose why will with within without would yes yet you your

abstract args assert async await bool boolean break byte case catch char class const continue data debug def
default del delete dict double elif elsif end enum error except exec export extends false false file files
final finally float fmt func function global goto https http implements import index info init inline input
instanceof int integer interface internal item items key keys kwargs lambda len length let list long main
map mod module mut namespace nil null number object output override package param params pass path print
printf println private protected pub public raise range result results return returns self set short signed
size static std str string struct super switch template test tests text this throw throws todo trait true
try tuple type typedef typeof undefined union unsigned use usr val value values var void volatile warning
while with www yield com org
"""
_STOP_WORDS = frozenset(_STOP_LIST.split())

"""Pointers: one line that names what a page holds and carries a handle that resolves.

Only a line where the harness puts pointers is a pointer: a text kept word for word may contain anything, also a line
that looks like one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from clawvm_runtime.pages import Provenance
from clawvm_runtime.vocabulary import PageType, Scope

__all__ = ["parse_pointer", "pointer"]

WORDS_MOST = 6
WORD_SHORTEST = 3
WORD_LONGEST = 32
LONG_WORD = 12  # A longer one says no more.
SIGNS_MOST = 64
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
_ENDS_ID = re.compile(r"[ %|\[\]]")
_BRACKETS = str.maketrans({"[": "(", "]": ")", "|": "¦"})


def _escaped(page_id: str) -> str:
    if page_id.isprintable() and not _ENDS_ID.search(page_id):
        return page_id
    return "".join(
        character if character.isprintable() and not _ENDS_ID.match(character) else f"%{ord(character):X};"
        for character in page_id
    )


def _one_line(text: str) -> str:
    """Return *text* as one printable line without brackets and bars."""
    text = text.translate(_BRACKETS)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


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
    spellings = Counter(_words(text))
    counts: dict[str, int] = {}
    spelled: dict[str, str] = {}  # As it is spelled first, where that has capitals.
    for word, count in spellings.items():
        key = word.lower()
        if key in counts:
            counts[key] += count
        else:
            counts[key] = count
            if key != word:
                spelled[key] = word
    # A word of which only the first letter is a capital is the most frequent, and not composed.
    composed = {key for key, word in spelled.items() if word[1:] != key[1:] and _COMPOSED.search(word)}
    composed.update([key for key in counts if "_" in key and "_" in spelled.get(key, key).strip("_")])
    defined = _defined(text, _KEYWORDS.intersection(spellings))
    marked = composed | defined
    for key in _STOP_WORDS.intersection(counts):
        del counts[key]
    # Whole numbers only: a score must not depend on how a machine rounds.
    scores: dict[str, int] = {}
    for key, count in counts.items():
        if count > 1 or key in marked:
            score = min(len(spelled.get(key, key)), LONG_WORD) * min(count, 15).bit_length()
            if key in marked:
                score *= (1 + (key in composed)) * (1 + (key in defined))
            scores[key] = score
    # Most texts have enough words with a score that no plain word reaches, and most of their words are plain.
    best = {key: score for key, score in scores.items() if score > LONG_WORD}
    chosen: dict[str, str] = {}
    _choose(best, spelled, origin, chosen)
    if len(chosen) < WORDS_MOST:
        # The others, in the order of the text.
        rest = {key: scores.get(key) or min(len(spelled.get(key, key)), LONG_WORD) for key in counts if key not in best}
        _choose(rest, spelled, origin, chosen)
    return list(chosen.values())


def _choose(scores: Mapping[str, int], spelled: Mapping[str, str], origin: str, chosen: dict[str, str]) -> None:
    """Add the words of the highest *scores* to those *chosen*, as they are spelled, until there are enough."""
    shown = [origin.lower(), *chosen]
    for key in sorted(scores, key=scores.__getitem__, reverse=True):  # The first of two equals stays the first.
        word = spelled.get(key, key)
        if not WORD_SHORTEST <= len(word) <= WORD_LONGEST or word[0].isdigit() or _HASH.fullmatch(key):
            continue
        if not any(key in other or other in key for other in shown):
            chosen[key] = word
            shown.append(key)
            if len(chosen) == WORDS_MOST:
                return


def _words(text: str) -> list[str]:
    """Return what ``_WORD`` finds, long words of scripts without spaces cut: to put spaces between is much faster."""
    content = text.encode("utf-8", "surrogatepass")
    signs = set(content.translate(None, _ASCII).decode("utf-8", "surrogatepass"))
    if len(signs) > SIGNS_MOST:
        words = _WORD.findall(text)
    else:
        for sign in signs:
            if not _WORD.match(sign):
                content = content.replace(sign.encode("utf-8", "surrogatepass"), b" ")
        words = content.translate(_SPACED).decode("utf-8", "surrogatepass").split()
    cut = signs and max(signs) >= FIRST_CJK
    return [word[:WORD_CJK] if word >= FIRST_CJK else word for word in words] if cut else words


def _defined(text: str, keywords: Collection[str]) -> set[str]:
    """Return the lower-case words behind those of the *keywords* in a text that no match before it has taken."""
    found = sorted((match.start(), *match.span(1)) for word in keywords for match in _DEFINING[word].finditer(text))
    defined: set[str] = set()
    end = 0
    for keyword, start, stop in found:
        if keyword >= end:
            end = stop
            defined.add(text[start:stop].lower())
    return defined


_WORD = re.compile(r"\w+")
_ASCII = bytes(range(128))
_SPACED = bytes(code if code >= 128 or _WORD.match(chr(code)) else ord(" ") for code in range(256))
_KEYWORD_LIST = "class const def enum fn func function interface module struct trait type"
_KEYWORDS = frozenset(_KEYWORD_LIST.split())
# One pattern for each: its first letters, which are literal, are searched for much faster than one of several. The
# boundary is checked behind the keyword: a pattern that begins with one would try every place of the text.
_DEFINING = {word: re.compile(rf"{word}(?<!\w{word})(?=\s+(\w{{3,32}})\b)") for word in _KEYWORDS}
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

"""The outline of a JSON text, by a scanner of tokens that no malformed text can stop.

==============  =========================================================================
JsonOutline     the outermost container of the first value, and how many values there are
Member          one value inside that container, and how it is described
outline_json    the outline of a text, however broken, deep or cut off
==============  =========================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["JsonOutline", "Member", "outline_json"]

NAMES_MOST = 12


@dataclass(slots=True)
class Member:
    """One value inside the outermost container of a JSON text: its key, its first token, what is inside."""

    key: str
    token: str
    size: int
    names: list[str]

    def described(self, cut: str) -> str:
        label = f"{self.key}: " if self.key else ""
        if self.token == "[":
            return f"{label}array of {self.size}{cut}"
        if self.token == "{":
            more = ", ..." if len(self.names) > NAMES_MOST else ""
            return f"{label}object of {self.size}{cut}: {', '.join(self.names[:NAMES_MOST])}{more}"
        return f"{label}{self.token}"


@dataclass(slots=True)
class JsonOutline:
    """The outermost container of the first value of a JSON text, and how many values there are."""

    opener: str
    records: int
    members: list[Member]


def outline_json(text: str) -> JsonOutline:
    """Return the outline of a JSON text, which may be malformed, cut off, nested to any depth, or JSON lines.

    A scanner of tokens instead of ``json.loads``: that refuses all of these.
    """
    outline = JsonOutline("", 0, [])
    nesting: list[str] = []
    key = ""
    after_colon = False
    for match in _JSON_TOKEN.finditer(text):
        token = match.group()
        depth = len(nesting)
        if token in ("}", "]"):
            if nesting:
                nesting.pop()
        elif token not in (",", ":"):
            is_name = depth > 0 and nesting[-1] == "{" and not after_colon
            if depth == 0:
                outline.records += 1
                outline.opener = outline.opener or token
            elif outline.records == 1 and depth == 1:
                if is_name:
                    key = _unquoted(token)
                else:
                    outline.members.append(Member(key, token, 0, []))
                    key = ""
            elif outline.records == 1 and depth == 2 and outline.members:
                member = outline.members[-1]
                if is_name:
                    member.names.append(_unquoted(token))
                if is_name or nesting[-1] == "[":
                    member.size += 1
            if token in ("{", "["):
                nesting.append(token)
        after_colon = token == ":"
    return outline


def _unquoted(token: str) -> str:
    return token[1:-1] if len(token) > 1 and token[0] == token[-1] == '"' else token


_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)

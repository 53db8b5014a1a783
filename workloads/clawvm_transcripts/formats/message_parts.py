"""Parts of chat messages that several formats share: texts, JSON inside texts, token counts.

==============  ==========================================================================
text_of         a text, or "" for anything else
words_of        the words of a message content: a text, or a list of parts
arguments_of    the arguments of a function call: the object inside the text, or the text
count_of        a count of tokens, or None for anything else
usage_of        the Usage in the usage object of a chat completion or a response
==============  ==========================================================================
"""

from __future__ import annotations

from typing import Any

from clawvm_transcripts.events import Usage
from clawvm_transcripts.reading import decoded

__all__ = ["arguments_of", "count_of", "text_of", "usage_of", "words_of"]

MOST_TOKENS = 10**12
"""No request takes more; what is larger is no count."""


def text_of(value: Any) -> str:
    """Return *value* if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def words_of(content: Any) -> str:
    """Return the words of a message's content; parts that hold none (images) give none."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
    return text_of(content)


def arguments_of(arguments: Any) -> Any:
    """Return the JSON inside *arguments*; what is no JSON text stays as it is."""
    if not isinstance(arguments, str):
        return arguments
    text = arguments.strip()
    try:
        value, end = decoded(text)
    except ValueError:
        return arguments
    return value if end == len(text) else arguments


def count_of(value: Any) -> int | None:
    """Return *value* if it can be a count of tokens, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else None


def usage_of(usage: Any, message: str) -> Usage | None:
    """Return the tokens in the usage object of a chat completion or a response; None where it tells no prompt.

    Its prompt tokens include the cached and the written ones.
    """
    if not isinstance(usage, dict):
        return None
    prompt = count_of(usage.get("prompt_tokens")) or count_of(usage.get("input_tokens"))
    if not prompt:
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = count_of(details.get("cached_tokens")) if isinstance(details, dict) else None
    written = count_of(usage.get("cache_creation_input_tokens"))
    output = count_of(usage.get("completion_tokens")) or count_of(usage.get("output_tokens"))
    return Usage(prompt, cached or 0, written or 0, output or 0, message)

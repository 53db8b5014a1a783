"""Damaged versions of a recording, seeded: what a disk, a crash, a new release or an enemy may do to it.

Each yields (what was done, the damaged bytes).
"""

import json

DEEP = 10_000
"""Levels of absurd nesting."""

TOKENS = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "a negative number": "-7",
    "a fraction": "0.5",
    "infinity": "1e999",
    "a negative infinity": "-1e999",
    "no number": "NaN",
    "a 5,000-digit integer": "9" * 5000,
    "an empty text": '""',
    "a text": '"kettle"',
    "a NUL character": '"\\u0000"',
    "a lone surrogate": '"\\ud800 \\uDFFF"',
    "an empty list": "[]",
    "a list": "[null]",
    "a list of texts": '["a", 1, {"type": "text"}]',
    "an empty object": "{}",
    "an object": '{"type": ["a"], "content": {}, "id": 5}',
}
"""What a value is replaced by, as it is in the file."""

ABSURD = {
    "nested lists": "[" * DEEP + "]" * DEEP,
    "nested objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "nested lists without an end": "[" * DEEP,
}
"""Large ones, tried at some places only."""

_HOLE = "\x00hole\x00"


def truncations(content, chance, most):
    for place in _sample(range(len(content)), most, chance):
        yield f"cut off at byte {place}", content[:place]


def bit_flips(content, chance, times):
    for _ in range(times):
        changed = bytearray(content)
        places = [chance.randrange(len(content) * 8) for _ in range(1 + chance.randrange(4))]
        for place in places:
            changed[place // 8] ^= 1 << place % 8
        yield f"bits {places} turned", bytes(changed)


def line_changes(content, chance, times):
    lines = content.split(b"\n")
    for _ in range(times):
        changed = list(lines)
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        changed[one], changed[other] = changed[other], changed[one]
        yield f"lines {one} and {other} swapped", b"\n".join(changed)
        yield f"line {one} twice", b"\n".join([*lines[: one + 1], *lines[one:]])
        yield f"line {one} taken out", b"\n".join([*lines[:one], *lines[one + 1 :]])
        yield f"line end {one} taken out", b"\n".join([*lines[:one], b"".join(lines[one : one + 2]), *lines[one + 2 :]])


def bad_bytes(content, chance, times):
    for _ in range(times):
        place = chance.randrange(len(content) + 1)
        for name, piece in (
            ("invalid UTF-8", b"\xff\xfe\xc3("),
            ("half a character", b"\xf0\x9f"),
            ("a surrogate", b"\xed\xa0\x80"),
            ("NUL bytes", b"\0" * 5),
            ("a line end", b"\r\n"),
        ):
            yield f"{name} at byte {place}", content[:place] + piece + content[place:]


def replacements(content, chance, most):
    """Each of *most* values meets at least one other type, at most about *most* versions in all."""
    documents = documents_in(content)
    places = [(number, path) for number, document in enumerate(documents) for path in _paths(document)]
    places = _sample(places, most, chance)
    each = max(1, min(len(TOKENS), most // max(1, len(places))))
    for number, path in places:
        for name in _sample(list(TOKENS), each, chance):
            yield _replaced(documents, number, path, name, TOKENS[name])
    for number, path in _sample(places, max(1, most // 20), chance):
        for name, token in ABSURD.items():
            yield _replaced(documents, number, path, name, token)
    for number, path in _sample(places, most // 4, chance):
        if path and isinstance(path[-1], str):
            changed = [*documents[:number], _with(documents[number], path, None, delete=True), *documents[number + 1 :]]
            yield f"{path} taken out of document {number}", _written(changed)


def _replaced(documents, number, path, name, token):
    changed = _with(documents[number], path, _HOLE)
    content = _written([*documents[:number], changed, *documents[number + 1 :]])
    return f"{path} of document {number} is {name}", content.replace(json.dumps(_HOLE).encode(), token.encode())


def documents_in(content):
    """Return the JSON documents of a file, one in each line or one in all; none where it is something else."""
    try:
        return [json.loads(content)]
    except ValueError:
        documents = []
        for line in content.split(b"\n"):
            try:
                documents.append(json.loads(line))
            except ValueError:
                continue
        return documents


def _written(documents):
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def _paths(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(item, (*path, key))


def _with(value, path, new, delete=False):
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    if delete and len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = _with(value[path[0]], path[1:], new, delete)
    return changed


def _sample(items, size, chance):
    """Return at most *size* of *items*, in their order."""
    if len(items) <= size:
        return list(items)
    taken = set()
    while len(taken) < size:
        taken.add(chance.randrange(len(items)))
    return [items[place] for place in sorted(taken)]

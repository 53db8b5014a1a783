"""The schemas of all file formats, and a validator for the part of JSON Schema 2020-12 that they use.

The standard gives every keyword its meaning. A schema with a keyword that is not implemented is refused when it is
loaded. The tests compare the verdicts with those of the package ``jsonschema``.
"""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.trace_format import BoundedLines, open_trace, parsed, read_trace

__all__ = ["SchemaError", "Schemas", "check_file", "read_document", "schema_documents"]

MAXIMUM_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Maximum size of a file that is one JSON document; in a file of lines only the lines are limited."""

_LONGEST = 200  # Characters of each part of a message, which may quote anything.
_MOST_PER_VALUE = 20

_LINE_FORMATS = ("trace", "decision_trace", "journal", "experiment_rows", "observed", "texts")
_DOCUMENT_FORMATS = (
    "gate_report",
    "sweep_summary",
    "suite_manifest",
    "experiment_results",
    "claims",
    "claims_report",
    "session",
    "conversion_report",
    "private_names",
)


class SchemaError(ValueError):
    """A schema uses what this validator does not know; the message says where."""


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One value that breaks a keyword with its argument; ``path`` is a JSON Pointer into the instance."""

    path: str
    keyword: str
    argument: Any
    value: Any

    def __str__(self) -> str:
        if isinstance(self.value, (dict, list)):
            found = f"an {'array' if isinstance(self.value, list) else 'object'} of {len(self.value)}"
        else:
            found = json.dumps(self.value)
        argument = self.argument
        if self.keyword == "required":
            argument = [name for name in argument if name not in self.value]
        names = argument if isinstance(argument, list) else [argument]
        words = (" and " if self.keyword == "required" else " or ").join(
            name if self.keyword == "type" else json.dumps(name) for name in names
        )
        expected = _EXPECTED.get(self.keyword, "{}").format(_shortened(words))
        return f"{_shortened(json.dumps(self.path)[1:-1]) or '(root)'}: expected {expected}, found {_shortened(found)}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class Schemas:
    """Schema documents that may refer to each other by their ``$id``.

    Raises SchemaError for an unknown keyword, a reference to nothing, and a reference that leads back to itself: how
    deep an evaluation goes depends on the schemas alone, never on the instance.
    """

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._names = {name: document["$id"] for name, document in documents.items()}
        self._schemas: dict[str, Any] = {}
        references: dict[str, set[str]] = {}
        for document in documents.values():
            base = document["$id"]
            parts = {f"{base}#/$defs/{name}": part for name, part in document.get("$defs", {}).items()}
            parts[base] = {keyword: value for keyword, value in document.items() if keyword != "$defs"}
            for address, part in parts.items():
                references[address] = set()
                self._schemas[address] = _loaded(part, base, address, references[address])
        for address, targets in references.items():
            for target in targets - self._schemas.keys():
                raise SchemaError(f"{address}: $ref to {target}, which is in no schema")
        try:
            graphlib.TopologicalSorter(references).prepare()
        except graphlib.CycleError as error:
            raise SchemaError(f"$ref leads back to itself: {' -> '.join(error.args[1])}") from None

    def violations(self, instance: object, name: str) -> Iterator[SchemaViolation]:
        """Yield the violations of the document *name* lazily, in time linear in the instance."""
        return self._apply(self._schemas[self._names[name]], instance, "")

    def _apply(self, schema: Any, value: object, path: str) -> Iterator[SchemaViolation]:
        if isinstance(schema, bool):
            if not schema:
                yield SchemaViolation(path, "false", None, value)
            return
        for keyword, argument in schema.items():
            if keyword in _TESTS:
                if not _TESTS[keyword](argument, value):
                    yield SchemaViolation(path, keyword, argument, value)
            elif keyword == "$ref":
                yield from self._apply(self._schemas[argument], value, path)
            elif keyword == "allOf":
                for part in argument:
                    yield from self._apply(part, value, path)
            elif keyword in ("anyOf", "oneOf"):
                yield from self._choose(keyword, argument, value, path)
            elif keyword == "not":
                if self._holds(argument, value):
                    yield SchemaViolation(path, keyword, argument, value)
            elif keyword == "if":
                branch = schema.get("then" if self._holds(argument, value) else "else", True)
                yield from self._apply(branch, value, path)
            else:
                for part, token, child in _parts(schema, keyword, value):
                    step = "/" + str(token).replace("~", "~0").replace("/", "~1")
                    yield from self._apply(part, child, path + step)

    def _holds(self, schema: Any, value: object) -> bool:
        return next(self._apply(schema, value, ""), None) is None

    def _choose(self, keyword: str, alternatives: list[Any], value: object, path: str) -> Iterator[SchemaViolation]:
        # Most alternatives fail at once; only where none fits are the rest of their violations looked for.
        evaluations = [self._apply(part, value, path) for part in alternatives]
        failures = [(first, rest) for rest in evaluations if (first := next(rest, None)) is not None]
        fitting = len(alternatives) - len(failures)
        if fitting == 0:
            yield from _nearest([[first, *islice(rest, _MOST_PER_VALUE)] for first, rest in failures], path)
        elif fitting > 1 and keyword == "oneOf":
            yield SchemaViolation(path, keyword, len(alternatives), value)


def _parts(schema: dict[str, Any], keyword: str, value: Any) -> Iterator[tuple[Any, str | int, object]]:
    """Yield (subschema, name or index, value) for every part of a value that a keyword speaks about."""
    argument = schema[keyword]
    if isinstance(value, dict):
        if keyword == "properties":
            yield from ((part, name, value[name]) for name, part in argument.items() if name in value)
        elif keyword == "additionalProperties":
            yield from ((argument, name, value[name]) for name in value if name not in schema.get("properties", ()))
        elif keyword == "propertyNames":
            yield from ((argument, name, name) for name in value)
    elif isinstance(value, list):
        if keyword == "prefixItems":
            yield from ((part, index, item) for index, (part, item) in enumerate(zip(argument, value)))
        elif keyword == "items":
            first = len(schema.get("prefixItems", ()))
            yield from ((argument, index, value[index]) for index in range(first, len(value)))


def _nearest(failures: list[list[SchemaViolation]], path: str) -> list[SchemaViolation]:
    """Return the violations of the alternative that is evidently meant.

    It has the right type, most of its own constants and enumerated values right, and then the fewest violations.
    Alternatives that ask for different constants in one place, or for different types, become one violation.
    """

    def distance(violations: list[SchemaViolation]) -> tuple[int, ...]:
        own = [violation.keyword for violation in violations if violation.path.rfind("/") == len(path)]
        return violations[0].path == path and violations[0].keyword == "type", own.count("const"), own.count("enum")

    least = min(map(distance, failures))
    nearest = [violations for violations in failures if distance(violations) == least]
    first = [min(violations, key=lambda item: item.keyword not in ("type", "const")) for violations in nearest]
    place = (first[0].path, first[0].keyword)
    if len(nearest) > 1 and place[1] in ("type", "const") and {(item.path, item.keyword) for item in first} == {place}:
        return [SchemaViolation(*place, [item.argument for item in first], first[0].value)]
    return min(nearest, key=len)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _same(constant: object, value: object) -> bool:
    # True == 1 in Python, not in JSON. Constants of our schemas are scalars.
    return constant == value and isinstance(constant, bool) == isinstance(value, bool)


def _unique(argument: bool, value: object) -> bool:
    # The arrays in question hold scalars; what their other keywords refuse need not be compared.
    scalars = [item for item in value if not isinstance(item, (list, dict))] if isinstance(value, list) else []
    return not argument or len({(item, isinstance(item, bool)) for item in scalars}) == len(scalars)


_TESTS: Mapping[str, Callable[[Any, object], bool]] = {
    "type": lambda names, value: any(_TYPES[name](value) for name in ([names] if isinstance(names, str) else names)),
    "const": _same,
    "enum": lambda constants, value: any(_same(constant, value) for constant in constants),
    "required": lambda names, value: not isinstance(value, dict) or all(name in value for name in names),
    "minimum": lambda bound, value: not _is_number(value) or value >= bound,
    "maximum": lambda bound, value: not _is_number(value) or value <= bound,
    "minLength": lambda bound, value: not isinstance(value, str) or len(value) >= bound,
    "maxLength": lambda bound, value: not isinstance(value, str) or len(value) <= bound,
    "minItems": lambda bound, value: not isinstance(value, list) or len(value) >= bound,
    "uniqueItems": _unique,
    "pattern": lambda pattern, value: not isinstance(value, str) or re.search(pattern, value) is not None,
}
"""Keywords that look at one value: whether it fits the argument."""

_EXPECTED = {
    "required": "a property {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "a length of at least {}",
    "maxLength": "a length of at most {}",
    "minItems": "a length of at least {}",
    "uniqueItems": "items that differ from each other",
    "pattern": "a match of {}",
    "false": "no such part",
    "not": "no match of {}",
    "oneOf": "exactly one of {} alternatives to fit",
}

_WITH_ONE_SCHEMA = frozenset({"additionalProperties", "propertyNames", "items", "not", "if", "then", "else"})
_WITH_SCHEMAS = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_ANNOTATIONS = frozenset({"$schema", "$id", "title", "description", "version"})


def _loaded(schema: Any, base: str, place: str, references: set[str]) -> Any:
    """Return a schema with absolute references, which are added to *references*, and without annotations."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise SchemaError(f"{place}: a schema is an object or a boolean")

    loaded: dict[str, Any] = {}
    for keyword, argument in schema.items():
        at = f"{place}/{keyword}"
        if keyword in _WITH_ONE_SCHEMA:
            loaded[keyword] = _loaded(argument, base, at, references)
        elif keyword in _WITH_SCHEMAS:
            loaded[keyword] = [_loaded(part, base, f"{at}/{n}", references) for n, part in enumerate(argument)]
        elif keyword == "properties":
            parts = argument.items()
            loaded[keyword] = {name: _loaded(part, base, f"{at}/{name}", references) for name, part in parts}
        elif keyword == "$ref":
            loaded[keyword] = base + argument if argument.startswith("#") else argument
            references.add(loaded[keyword])
        elif keyword in _TESTS:
            loaded[keyword] = argument
        elif keyword not in _ANNOTATIONS:
            raise SchemaError(f"{place}: unknown keyword {keyword!r}")
    return loaded


def _schema_directory() -> Path:
    # In an installed package the schemas are inside it, in a checkout at the top of the repository.
    here = Path(__file__).resolve().parent
    for folder in (here / "schemas", here.parent.parent / "schemas"):
        if folder.is_dir():
            return folder
    raise InputError("the schemas are missing: neither in the package nor at the top of the checkout")


@cache
def schema_documents() -> dict[str, Any]:
    """Return all schemas by file name."""
    paths = sorted(_schema_directory().glob("*.schema.json"))
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


@cache
def _schemas() -> Schemas:
    return Schemas(schema_documents())


def check_file(path: Path) -> Iterator[str]:
    """Yield one line for every problem of a file of any of our formats; raises InputError for a file of none.

    The file is read once, so that it may be a pipe, and line formats in constant memory. A trace is also read as a
    replay would read it, which finds names that were never declared and turns out of order.
    """
    with open_trace(path) as stream:
        lines = _CheckedLines(stream, str(path))
        name = _format(lines.peek())
        if name in _LINE_FORMATS:
            yield from lines.check(name)
        else:
            name, document = _document(lines)
            for violation in _violations(document, name):
                yield f"{path}: {violation}"


def read_document(path: Path, name: str) -> dict[str, Any]:
    """Return the valid JSON document in a file, which is read once; *name* is its format, such as ``sweep_summary``.

    Raises InputError with one line for a damaged file, a file in another format, and one that breaks its schema.
    """
    with open_trace(path) as stream:
        lines = BoundedLines(stream, str(path))
        found = _format(lines.peek())
        document: dict[str, Any] = {}
        if found not in _LINE_FORMATS:
            found, document = _document(lines)
    if found != name:
        raise InputError(f"{path}: is in the format clawvm.{found}, not clawvm.{name}")
    for violation in _violations(document, name):
        raise InputError(f"{path}: {violation}")
    return document


def _violations(instance: object, name: str) -> Iterator[SchemaViolation]:
    schema = "manifest" if name == "suite_manifest" else name.replace("_", "-")
    return _schemas().violations(instance, f"{schema}.schema.json")


def _format(text: bytes) -> str:
    """Return the format that a document, or the first line of a line format, names; empty for every other text."""
    try:
        record = parsed(text)
    except ValueError:
        return ""  # Such as the first line of a document, a lone brace.
    name = record.get("format") if isinstance(record, dict) else None
    return name.removeprefix("clawvm.") if isinstance(name, str) else ""


def _document(lines: BoundedLines) -> tuple[str, dict[str, Any]]:
    content = lines.rest(MAXIMUM_DOCUMENT_BYTES)
    if len(content) > MAXIMUM_DOCUMENT_BYTES:
        raise InputError(f"{lines.source}: is longer than {MAXIMUM_DOCUMENT_BYTES} bytes")
    name = _format(content)
    if name not in _DOCUMENT_FORMATS:
        known = ", ".join(f"clawvm.{name}" for name in _LINE_FORMATS + _DOCUMENT_FORMATS)
        raise InputError(f"{lines.source}: is in no known format, or damaged; known: {known}")
    return name, parsed(content)


class _CheckedLines(BoundedLines):
    """BoundedLines that are validated while a reader takes them."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        super().__init__(stream, source)
        self._format = ""
        self._problems: list[str] = []

    def take(self) -> bytes:
        line = super().take()
        if line and self._format:
            try:
                violations: Iterator[object] = _violations(parsed(line), self._format)
            except ValueError as error:
                violations = iter([f"not JSON: {error}"])
            place = f"{self.source}:{self.number}"
            self._problems += [f"{place}: {each}" for each in islice(violations, _MOST_PER_VALUE)]
        return line

    def check(self, name: str) -> Iterator[str]:
        """Yield the problems of all lines of format *name*, and those of a trace as a whole."""
        self._format = name
        if name == "trace":
            try:
                for _ in read_trace(self, self.source)[1]:
                    yield from self._found()
            except TraceError as error:
                self._problems = self._problems or [str(error)]
        for _ in self:
            yield from self._found()
        yield from self._found()

    def _found(self) -> Iterator[str]:
        yield from self._problems
        self._problems.clear()

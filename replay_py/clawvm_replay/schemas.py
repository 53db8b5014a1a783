"""The schemas of every file format: where they are, and which one judges which file.

================  ======================================================================
schema_documents  all schemas by file name
schema_store      the validator over all of them
check_file        the problems of one file, with line numbers for line formats
================  ======================================================================
"""

from __future__ import annotations

import graphlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import unquote, urljoin

from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.trace_format import MAXIMUM_LINE_BYTES, open_trace, read_trace

__all__ = ["MAXIMUM_DEPTH", "SchemaError", "SchemaStore", "Violation", "check_file", "schema_documents"]


# --- Judge JSON values by the subset of JSON Schema 2020-12 that the project's schemas use.

MAXIMUM_DEPTH = 100

# A nested evaluation takes at most three Python frames, a comparison one for each level of the instance: with
# this bound and MAXIMUM_DEPTH they stay below the interpreter's default limit of 1000 frames.
_MAXIMUM_EVALUATION_DEPTH = 240

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST_QUOTATION = 60
_LONGEST_REASON = 120
_MOST_LISTED_VALUES = 12
_MOST_LISTED_REASONS = 3


class SchemaError(ValueError):
    """A schema leaves the supported subset; `location` says where, `problem` what is wrong."""

    def __init__(self, location: str, problem: str) -> None:
        super().__init__(location, problem)
        self.location = location
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.location}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where an instance breaks its schema; `path` is a JSON Pointer into the instance."""

    path: str
    keyword: str
    message: str

    def __str__(self) -> str:
        # A property name may hold a line break; JSON's escapes keep the report on one line.
        return f"{json.dumps(self.path)[1:-1] or '(root)'}: {self.message}"


class SchemaStore:
    """Schema documents by name; each also answers to its `$id`. They must not be changed afterwards."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._documents = dict(documents)
        self._names: dict[str, str] = {}
        self._targets: dict[tuple[str, str], _Target] = {}
        self._checked: set[str] = set()
        for name, document in self._documents.items():
            self._register(name, name)
            identifier = _identifier(name, document)
            if identifier is not None:
                self._register(identifier, name)

    def check_schema(self, name: str) -> None:
        """Raise `SchemaError` for the first flaw in a document or in any it refers to; linear, once."""
        root = self._document_name(name)
        if root in self._checked:
            return
        in_place: dict[str, list[str]] = {}
        reached = [root]
        for document in reached:
            for target in self._check_document(document, in_place):
                if target not in reached:
                    reached.append(target)
        _refuse_endless_reference(in_place)
        self._checked.update(reached)

    def validate(self, instance: object, name: str) -> list[Violation]:
        """Return every violation of the named schema in document order, without repetitions."""
        self.check_schema(name)
        unfit = _first_unfit(instance, "", MAXIMUM_DEPTH)
        if unfit is not None:
            return [unfit]
        try:
            violations = list(self._evaluate(instance, name))
        except _EvaluationTooDeepError as too_deep:
            return [too_deep.violation]
        return _in_document_order(instance, violations)

    def is_valid(self, instance: object, name: str) -> bool:
        """Whether the instance has no violation of the named schema; stops at the first one."""
        self.check_schema(name)
        if _first_unfit(instance, "", MAXIMUM_DEPTH) is not None:
            return False
        try:
            return next(self._evaluate(instance, name), None) is None
        except _EvaluationTooDeepError:
            return False

    def _evaluate(self, instance: object, name: str) -> Iterator[Violation]:
        document = self._document_name(name)
        return _apply(self, document, self._documents[document], instance, "", 0)

    def _register(self, alias: str, name: str) -> None:
        known = self._names.setdefault(alias, name)
        if self._documents[known] is not self._documents[name]:
            raise SchemaError(name, f"{_quote(alias)} already names another document, {known}")

    def _document_name(self, alias: str) -> str:
        if alias not in self._names:
            known = _listing(sorted(self._names))
            raise SchemaError(alias, f"there is no schema of this name; known are {known or 'none'}")
        return self._names[alias]

    def _check_document(self, document: str, in_place: dict[str, list[str]]) -> Iterator[str]:
        """Check every schema of a document, note what each applies in place, yield documents referred to."""
        unfit = _first_unfit(self._documents[document], "", MAXIMUM_DEPTH)
        if unfit is not None:
            raise SchemaError(f"{document}#{unfit.path}", unfit.message)
        pending = [("", self._documents[document])]
        while pending:
            pointer, schema = pending.pop()
            location = f"{document}#{pointer}"
            _check_one_schema(location, schema, is_root=pointer == "")
            children = list(_children(schema))
            pending.extend((pointer + step, child) for _, step, child in reversed(children))
            in_place[location] = [location + step for keyword, step, _ in children if keyword in _APPLIED_IN_PLACE]
            if isinstance(schema, dict) and "$ref" in schema:
                target = self._resolve(document, schema["$ref"], location)
                in_place[location].append(f"{target.document}#{target.pointer}")
                yield target.document

    def _resolve(self, document: str, reference: str, location: str) -> _Target:
        """Return what a `$ref` in the document points at; looked up once, constant time afterwards."""
        key = (document, reference)
        if key not in self._targets:
            self._targets[key] = self._look_up(document, reference, location)
        return self._targets[key]

    def _look_up(self, document: str, reference: str, location: str) -> _Target:
        address, _, fragment = reference.partition("#")
        target = self._find_document(document, address)
        problem = f"cannot resolve $ref {_quote(reference)}"
        if target is None:
            raise SchemaError(location, f"{problem}: no such document in the store")
        root = self._documents[target]
        if fragment == "":
            return _Target(target, "", root)
        name = _definition_name(fragment)
        if name is None:
            raise SchemaError(location, f"{problem}: its fragment must be empty or /$defs/NAME")
        definitions = root.get("$defs") if isinstance(root, dict) else None
        if not isinstance(definitions, dict) or name not in definitions:
            raise SchemaError(location, f"{problem}: no such definition in {target}")
        return _Target(target, f"/$defs{_step(name)}", definitions[name])

    def _find_document(self, document: str, address: str) -> str | None:
        if address == "":
            return document
        base = _identifier(document, self._documents[document]) or document
        try:
            absolute = urljoin(base, address)
        except ValueError:
            return None
        return self._names.get(absolute, self._names.get(address))


@dataclass(frozen=True, slots=True)
class _Target:
    """What a reference points at: the document, the JSON Pointer inside it, the schema found there."""

    document: str
    pointer: str
    schema: Any


# Not frozen: one is made for every schema applied, and a frozen one takes several times as long to make.
@dataclass(slots=True)
class _Visit:
    """One schema object being applied to one value of the instance."""

    store: SchemaStore
    document: str
    schema: dict[str, Any]
    instance: object
    path: str
    depth: int

    def apply(self, schema: Any) -> Iterator[Violation]:
        """Yield the violations of a subschema by the same value."""
        return _apply(self.store, self.document, schema, self.instance, self.path, self.depth + 1)

    def descend(self, schema: Any, token: str | int, child: object) -> Iterator[Violation]:
        """Yield the violations of a subschema by a property or an item of the value."""
        return _apply(self.store, self.document, schema, child, self.path + _step(token), self.depth + 1)

    def resolve(self, document: str, reference: str) -> _Target:
        """Return what a reference in the given document points at."""
        return self.store._resolve(document, reference, document)

    def violation(self, keyword: str, message: str) -> Violation:
        """Return a violation at this value."""
        return Violation(self.path, keyword, message)


class _EvaluationTooDeepError(Exception):
    """Leaves the evaluation at once: reported as a mere violation, a `not` would turn it into a success."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.violation = Violation(
            path, "depth", f"needs more than {_MAXIMUM_EVALUATION_DEPTH} nested schemas to be judged"
        )


def _apply(
    store: SchemaStore, document: str, schema: Any, instance: object, path: str, depth: int
) -> Iterator[Violation]:
    """Yield the violations of one schema by one value, in the order of the schema's keywords."""
    if isinstance(schema, bool):
        if not schema:
            yield Violation(path, "false", f"no value is allowed here, found {_describe(instance)}")
        return
    if depth >= _MAXIMUM_EVALUATION_DEPTH:
        raise _EvaluationTooDeepError(path)
    visit = _Visit(store, document, schema, instance, path, depth)
    for keyword in schema:
        rule = _RULES.get(keyword)
        if rule is not None:
            yield from rule.evaluate(visit)


# Any value


def _evaluate_type(visit: _Visit) -> Iterator[Violation]:
    """Hold the value's type against one type name or several."""
    names = _type_names(visit.schema["type"])
    if not _has_any_type(visit.instance, names):
        expected = _enumeration(names, "or")
        yield visit.violation("type", f"expected {expected}, found {_describe(visit.instance)}")


def _evaluate_enum(visit: _Visit) -> Iterator[Violation]:
    """Accept only values equal to a listed one; linear in the list."""
    allowed = visit.schema["enum"]
    if not _is_among(visit.instance, allowed):
        yield visit.violation("enum", _expected_one_of(allowed, visit.instance))


def _evaluate_const(visit: _Visit) -> Iterator[Violation]:
    """Accept only the one value."""
    allowed = [visit.schema["const"]]
    if not _is_among(visit.instance, allowed):
        yield visit.violation("const", _expected_one_of(allowed, visit.instance))


# Objects


def _evaluate_properties(visit: _Visit) -> Iterator[Violation]:
    """Apply to each named property that is present its own schema."""
    if isinstance(visit.instance, dict):
        for name, schema in visit.schema["properties"].items():
            if name in visit.instance:
                yield from visit.descend(schema, name, visit.instance[name])


def _evaluate_pattern_properties(visit: _Visit) -> Iterator[Violation]:
    """Apply each schema to all properties whose name its pattern matches."""
    if isinstance(visit.instance, dict):
        for pattern, schema in visit.schema["patternProperties"].items():
            for name, value in visit.instance.items():
                if re.search(pattern, name):
                    yield from visit.descend(schema, name, value)


def _evaluate_additional_properties(visit: _Visit) -> Iterator[Violation]:
    """Apply the schema to the properties that neither `properties` nor `patternProperties` speaks about."""
    if isinstance(visit.instance, dict):
        schema = visit.schema["additionalProperties"]
        for name in _additional_names(visit.schema, visit.instance):
            if schema is False:
                message = f"property {_quote(name)} is not allowed"
                yield Violation(visit.path + _step(name), "additionalProperties", message)
            else:
                yield from visit.descend(schema, name, visit.instance[name])


def _evaluate_property_names(visit: _Visit) -> Iterator[Violation]:
    """Apply the schema to every property name, as a string; reported at the property."""
    if isinstance(visit.instance, dict):
        for name in visit.instance:
            for violation in visit.descend(visit.schema["propertyNames"], name, name):
                yield Violation(violation.path, "propertyNames", f"in the property name: {violation.message}")


def _evaluate_required(visit: _Visit) -> Iterator[Violation]:
    """Miss each required property that is absent; reported at the object."""
    if isinstance(visit.instance, dict):
        for name in visit.schema["required"]:
            if name not in visit.instance:
                yield visit.violation("required", f"missing property {_quote(name)}")


def _evaluate_minimum_properties(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of properties from below."""
    if isinstance(visit.instance, dict):
        yield from _bound_below(visit, "minProperties", len(visit.instance), "property", "properties")


def _evaluate_maximum_properties(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of properties from above."""
    if isinstance(visit.instance, dict):
        yield from _bound_above(visit, "maxProperties", len(visit.instance), "property", "properties")


# Arrays


def _evaluate_items(visit: _Visit) -> Iterator[Violation]:
    """Apply the schema to every item that `prefixItems` does not speak about."""
    if isinstance(visit.instance, list):
        for index in range(len(visit.schema.get("prefixItems", ())), len(visit.instance)):
            yield from visit.descend(visit.schema["items"], index, visit.instance[index])


def _evaluate_prefix_items(visit: _Visit) -> Iterator[Violation]:
    """Apply the schemas one by one to the leading items."""
    if isinstance(visit.instance, list):
        pairs = zip(visit.schema["prefixItems"], visit.instance, strict=False)
        for index, (schema, item) in enumerate(pairs):
            yield from visit.descend(schema, index, item)


def _evaluate_minimum_items(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of items from below."""
    if isinstance(visit.instance, list):
        yield from _bound_below(visit, "minItems", len(visit.instance), "item", "items")


def _evaluate_maximum_items(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of items from above."""
    if isinstance(visit.instance, list):
        yield from _bound_above(visit, "maxItems", len(visit.instance), "item", "items")


def _evaluate_unique_items(visit: _Visit) -> Iterator[Violation]:
    """Report the first item that equals an earlier one, at the array; linear in the array's size."""
    if not isinstance(visit.instance, list) or not visit.schema["uniqueItems"]:
        return
    first_index: dict[object, int] = {}
    for index, item in enumerate(visit.instance):
        earlier = first_index.setdefault(_identity(item), index)
        if earlier != index:
            message = f"expected unique items, found {_describe(item)} at {earlier} and at {index}"
            yield visit.violation("uniqueItems", message)
            return


# Strings


def _evaluate_minimum_length(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of code points from below."""
    if isinstance(visit.instance, str):
        yield from _bound_below(visit, "minLength", len(visit.instance), "character", "characters")


def _evaluate_maximum_length(visit: _Visit) -> Iterator[Violation]:
    """Bound the number of code points from above."""
    if isinstance(visit.instance, str):
        yield from _bound_above(visit, "maxLength", len(visit.instance), "character", "characters")


def _evaluate_pattern(visit: _Visit) -> Iterator[Violation]:
    """Require a match of the regular expression anywhere in the string."""
    if isinstance(visit.instance, str) and not re.search(visit.schema["pattern"], visit.instance):
        expected = f"a string matching {_quote(visit.schema['pattern'])}"
        yield visit.violation("pattern", f"expected {expected}, found {_describe(visit.instance)}")


# Numbers


def _evaluate_minimum(visit: _Visit) -> Iterator[Violation]:
    """Bound the number from below, the bound included."""
    if _is_number(visit.instance) and visit.instance < visit.schema["minimum"]:
        yield _out_of_range(visit, "minimum", "at least")


def _evaluate_maximum(visit: _Visit) -> Iterator[Violation]:
    """Bound the number from above, the bound included."""
    if _is_number(visit.instance) and visit.instance > visit.schema["maximum"]:
        yield _out_of_range(visit, "maximum", "at most")


def _evaluate_exclusive_minimum(visit: _Visit) -> Iterator[Violation]:
    """Bound the number from below, the bound excluded."""
    if _is_number(visit.instance) and visit.instance <= visit.schema["exclusiveMinimum"]:
        yield _out_of_range(visit, "exclusiveMinimum", "more than")


def _evaluate_exclusive_maximum(visit: _Visit) -> Iterator[Violation]:
    """Bound the number from above, the bound excluded."""
    if _is_number(visit.instance) and visit.instance >= visit.schema["exclusiveMaximum"]:
        yield _out_of_range(visit, "exclusiveMaximum", "less than")


# Combinations


def _evaluate_reference(visit: _Visit) -> Iterator[Violation]:
    """Apply the schema that is referred to, as a part of its own document."""
    target = visit.resolve(visit.document, visit.schema["$ref"])
    return _apply(visit.store, target.document, target.schema, visit.instance, visit.path, visit.depth + 1)


def _evaluate_all_of(visit: _Visit) -> Iterator[Violation]:
    """Apply every subschema."""
    for schema in visit.schema["allOf"]:
        yield from visit.apply(schema)


def _evaluate_any_of(visit: _Visit) -> Iterator[Violation]:
    """Accept a match of at least one alternative; otherwise explain."""
    failures = _failures(visit, "anyOf")
    if len(failures) == len(visit.schema["anyOf"]):
        return _explain(visit, "anyOf", failures)
    return iter(())


def _evaluate_one_of(visit: _Visit) -> Iterator[Violation]:
    """Accept a match of exactly one alternative; otherwise explain or say which ones match."""
    alternatives = visit.schema["oneOf"]
    failures = _failures(visit, "oneOf")
    matches = len(alternatives) - len(failures)
    if matches == 0:
        return _explain(visit, "oneOf", failures)
    if matches == 1:
        return iter(())
    failed = {failure.index for failure in failures}
    matching = [f"/oneOf/{index}" for index in range(len(alternatives)) if index not in failed]
    message = f"matches {_enumeration(matching, 'and')}, expected exactly one to match"
    return iter([visit.violation("oneOf", message)])


def _evaluate_not(visit: _Visit) -> Iterator[Violation]:
    """Refuse what the subschema accepts."""
    if next(visit.apply(visit.schema["not"]), None) is None:
        message = f"must not match {_quote(visit.schema['not'])}, found {_describe(visit.instance)}"
        yield visit.violation("not", message)


def _evaluate_if(visit: _Visit) -> Iterator[Violation]:
    """Apply `then` to what the condition accepts and `else` to what it refuses."""
    holds = next(visit.apply(visit.schema["if"]), None) is None
    return visit.apply(visit.schema.get("then" if holds else "else", True))


def _evaluate_elsewhere(_visit: _Visit) -> Iterator[Violation]:
    """Yield nothing: `if` applies `then` and `else`."""
    return iter(())


# Explaining why no alternative matches


@dataclass(frozen=True, slots=True)
class _Failure:
    """An alternative that does not match: its first violation, and a lazy iterator over the others."""

    index: int
    schema: Any
    first: Violation
    others: Iterator[Violation]


def _failures(visit: _Visit, keyword: str) -> list[_Failure]:
    """Return the alternatives that do not match, each evaluated up to its first violation."""
    failures = []
    for index, schema in enumerate(visit.schema[keyword]):
        violations = visit.apply(schema)
        first = next(violations, None)
        if first is not None:
            # The suspended evaluation is kept: starting it again in order to explain the failure would take
            # time exponential in the depth of nested alternatives.
            failures.append(_Failure(index, schema, first, violations))
    return failures


def _explain(visit: _Visit, keyword: str, failures: list[_Failure]) -> Iterator[Violation]:
    """Return the violations of the alternative that is evidently meant, or one that says why none can be."""
    candidates = [failure for failure in failures if _may_be_meant(visit, failure)]
    if not candidates:
        return iter([_no_type_fits(visit, keyword, failures)])
    considered: set[str] = set()
    while len(candidates) > 1 and isinstance(visit.instance, dict):
        constants = [_constant_properties(visit, candidate.schema) for candidate in candidates]
        name = next((name for name in _discriminators(constants) if name not in considered), None)
        if name is None:
            break
        considered.add(name)
        allowed = _without_repetitions([value for constant in constants for value in constant[name]])
        if name in visit.instance:
            value = visit.instance[name]
            if not _is_among(value, allowed):
                return iter([Violation(visit.path + _step(name), keyword, _expected_one_of(allowed, value))])
            pairs = zip(candidates, constants, strict=True)
            candidates = [candidate for candidate, constant in pairs if _is_among(value, constant[name])]
        elif all(_requires(visit, candidate.schema, name) for candidate in candidates):
            message = f"missing property {_quote(name)}, expected {_one_of(allowed)}"
            return iter([visit.violation(keyword, message)])
    if len(candidates) == 1:
        return itertools.chain([candidates[0].first], candidates[0].others)
    return iter([_no_alternative_fits(visit, keyword, candidates)])


def _no_type_fits(visit: _Visit, keyword: str, failures: list[_Failure]) -> Violation:
    """Return a violation that names the types that the alternatives declare."""
    names = [name for failure in failures for name in _declared_types(visit, failure.schema) or ()]
    expected = _enumeration(list(dict.fromkeys(names)), "or")
    return visit.violation(keyword, f"expected {expected}, found {_describe(visit.instance)}")


def _no_alternative_fits(visit: _Visit, keyword: str, candidates: list[_Failure]) -> Violation:
    """Return a violation that gives for the first few alternatives one reason each."""
    reasons = [
        _shorten(f"/{keyword}/{candidate.index} because {candidate.first}", _LONGEST_REASON)
        for candidate in candidates[:_MOST_LISTED_REASONS]
    ]
    if len(candidates) > len(reasons):
        reasons.append(f"and {len(candidates) - len(reasons)} more")
    count = _count(len(visit.schema[keyword]), "alternative", "alternatives")
    return visit.violation(keyword, f"matches none of {count}: {'; '.join(reasons)}")


def _may_be_meant(visit: _Visit, failure: _Failure) -> bool:
    """Whether the alternative's declared type, if any, admits the value."""
    names = _declared_types(visit, failure.schema)
    return names is None or _has_any_type(visit.instance, names)


def _conjuncts(visit: _Visit, document: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a schema and those it includes by `$ref` and `allOf`, each with its document."""
    pending = [(document, schema)]
    while pending:
        document, schema = pending.pop()
        if isinstance(schema, dict):
            yield document, schema
            pending.extend((document, part) for part in reversed(schema.get("allOf", [])))
            if "$ref" in schema:
                target = visit.resolve(document, schema["$ref"])
                pending.append((target.document, target.schema))


def _declared_types(visit: _Visit, schema: Any) -> list[str] | None:
    """Return the type names that a schema, or the first schema it includes that has any, declares."""
    for _, part in _conjuncts(visit, visit.document, schema):
        if "type" in part:
            return _type_names(part["type"])
    return None


def _constant_properties(visit: _Visit, schema: Any) -> dict[str, list[Any]]:
    """Return by name the allowed values of the properties that a schema fixes by `const` or `enum`."""
    constants: dict[str, list[Any]] = {}
    for document, part in _conjuncts(visit, visit.document, schema):
        for name, value_schema in part.get("properties", {}).items():
            allowed = _allowed_values(visit, document, value_schema)
            if allowed is not None:
                constants.setdefault(name, allowed)
    return constants


def _allowed_values(visit: _Visit, document: str, schema: Any) -> list[Any] | None:
    """Return the values that a schema allows by `const` or `enum`, if it has either."""
    for _, part in _conjuncts(visit, document, schema):
        if "const" in part:
            return [part["const"]]
        if "enum" in part:
            return list(part["enum"])
    return None


def _requires(visit: _Visit, schema: Any, name: str) -> bool:
    """Whether a schema lists the property as required."""
    return any(name in part.get("required", []) for _, part in _conjuncts(visit, visit.document, schema))


def _discriminators(constants: list[dict[str, list[Any]]]) -> list[str]:
    """Return the property names that all alternatives fix, those fixed to the fewest values first."""
    shared = [name for name in constants[0] if all(name in constant for constant in constants)]
    return sorted(shared, key=lambda name: max(len(constant[name]) for constant in constants))


def _without_repetitions(values: list[Any]) -> list[Any]:
    """Return the values in order, equal ones once."""
    distinct: dict[object, Any] = {}
    for value in values:
        distinct.setdefault(_identity(value), value)
    return list(distinct.values())


# Values of JSON


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether the value is a number; Python's booleans are integers, those of JSON are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: object) -> TypeGuard[int | float]:
    """Whether the value is a number without a fractional part, such as 1 or 1.0."""
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPE_TESTS: dict[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _has_any_type(value: object, names: list[str]) -> bool:
    """Whether the value has one of the named types."""
    return any(_TYPE_TESTS[name](value) for name in names)


def _type_names(value: str | list[str]) -> list[str]:
    """Return the type names of a `type` keyword as a list."""
    return [value] if isinstance(value, str) else value


def _identity(value: object) -> object:
    """Return a hashable that is equal for equal JSON values only, as 1 and 1.0 but not 1 and true; linear."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(map(_identity, value)))
    if isinstance(value, dict):
        return ("object", frozenset(zip(value, map(_identity, value.values()), strict=True)))
    return value


def _is_among(value: object, allowed: list[Any]) -> bool:
    """Whether the value equals one of the allowed ones."""
    identity = _identity(value)
    return any(identity == _identity(candidate) for candidate in allowed)


def _additional_names(schema: dict[str, Any], instance: dict[str, object]) -> Iterator[str]:
    """Yield the property names of the instance that the schema neither lists nor matches by a pattern."""
    listed = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name in instance:
        if name not in listed and not any(re.search(pattern, name) for pattern in patterns):
            yield name


def _members(value: object) -> Iterable[tuple[Any, object]]:
    """Return the (token, child) pairs of an array or object, in document order."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list):
        return enumerate(value)
    return ()


def _first_unfit(value: object, path: str, levels: int) -> Violation | None:
    """Return a violation for the first part of a value that is not JSON or too many levels deep; linear.

    Everything else may recurse into a value that passed; this function never recurses deeper than that.
    """
    if isinstance(value, (dict, list)):
        if levels == 0:
            return Violation(path, "depth", f"nested deeper than {MAXIMUM_DEPTH} arrays and objects")
        for token, child in _members(value):
            if isinstance(value, dict) and not isinstance(token, str):
                return Violation(path, "json", f"expected string property names, found a {_class(token)}")
            unfit = _first_unfit(child, "", levels - 1)
            if unfit is not None:
                return Violation(path + _step(token) + unfit.path, unfit.keyword, unfit.message)
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return Violation(path, "json", f"expected a finite number, found {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return None
    return Violation(path, "json", f"expected a JSON value, found a {_class(value)}")


def _paths(value: object, path: str) -> Iterator[str]:
    """Yield the path of a value and of everything inside it, in document order."""
    yield path
    for token, child in _members(value):
        yield from _paths(child, path + _step(token))


def _in_document_order(instance: object, violations: list[Violation]) -> list[Violation]:
    """Return the violations by their place in the instance, equal ones once; linear in the instance."""
    if not violations:
        return []
    place = {path: number for number, path in enumerate(_paths(instance, ""))}
    return sorted(dict.fromkeys(violations), key=lambda violation: place[violation.path])


# Wording


def _step(token: str | int) -> str:
    """Return one step of a JSON Pointer, escaped."""
    return "/" + str(token).replace("~", "~0").replace("/", "~1")


def _shorten(text: str, longest: int) -> str:
    """Return the text, cut to a length with an ellipsis."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _quote(value: object) -> str:
    """Return a short JSON text of a value that comes from a schema."""
    return _shorten(json.dumps(value), _LONGEST_QUOTATION)


def _describe(value: object) -> str:
    """Return the type of a value of the instance and the value or its beginning or its size."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean {json.dumps(value)}"
    if isinstance(value, str):
        rest = f"... ({len(value)} characters)" if len(value) > _LONGEST_QUOTATION else ""
        return f"string {json.dumps(value[:_LONGEST_QUOTATION])}{rest}"
    if isinstance(value, list):
        return f"array of {_count(len(value), 'item', 'items')}"
    if isinstance(value, dict):
        return f"object of {_count(len(value), 'property', 'properties')}"
    return f"{'integer' if isinstance(value, int) else 'number'} {_quote(value)}"


def _count(number: int | float, singular: str, plural: str) -> str:
    """Return a number with its noun."""
    return f"{number} {singular if number == 1 else plural}"


def _enumeration(names: list[str], conjunction: str) -> str:
    """Return names joined as in `a, b or c`."""
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def _listing(values: list[Any]) -> str:
    """Return JSON texts of the first few values and how many there are."""
    shown = ", ".join(_quote(value) for value in values[:_MOST_LISTED_VALUES])
    return shown + (f", ... ({len(values)} in all)" if len(values) > _MOST_LISTED_VALUES else "")


def _expected_one_of(allowed: list[Any], value: object) -> str:
    """Return the message for a value that is not among the allowed ones."""
    if not allowed:
        return f"no value is allowed here, found {_describe(value)}"
    return f"expected {_one_of(allowed)}, found {_describe(value)}"


def _one_of(allowed: list[Any]) -> str:
    """Return the allowed values, introduced by `one of` if there are several."""
    return f"{'one of ' if len(allowed) > 1 else ''}{_listing(allowed)}"


def _class(value: object) -> str:
    """Return the name of a value's class, as Python calls it."""
    return f"Python {type(value).__name__}"


def _bound_below(visit: _Visit, keyword: str, size: int, singular: str, plural: str) -> Iterator[Violation]:
    """Yield a violation if there are fewer parts than the keyword's bound."""
    bound = visit.schema[keyword]
    if size < bound:
        expected = f"at least {_count(bound, singular, plural)}"
        yield visit.violation(keyword, f"expected {expected}, found {_describe(visit.instance)}")


def _bound_above(visit: _Visit, keyword: str, size: int, singular: str, plural: str) -> Iterator[Violation]:
    """Yield a violation if there are more parts than the keyword's bound."""
    bound = visit.schema[keyword]
    if size > bound:
        expected = f"at most {_count(bound, singular, plural)}"
        yield visit.violation(keyword, f"expected {expected}, found {_describe(visit.instance)}")


def _out_of_range(visit: _Visit, keyword: str, relation: str) -> Violation:
    """Return the violation of a number that is beyond the keyword's bound."""
    expected = f"{relation} {_quote(visit.schema[keyword])}"
    return visit.violation(keyword, f"expected {expected}, found {_describe(visit.instance)}")


# Shapes: what is wrong with the value of a keyword, or None


def _shape_type(value: object) -> str | None:
    """Accept a type name or a list of distinct ones."""
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or name not in _TYPE_TESTS:
            return f"has the unsupported type name {_quote(name)}; supported are {', '.join(_TYPE_TESTS)}"
    if not names or len(set(names)) < len(names):
        return "must be a type name or a non-empty list of distinct ones"
    return None


def _shape_list(value: object) -> str | None:
    """Accept an array."""
    return None if isinstance(value, list) else "must be an array"


def _shape_anything(_value: object) -> str | None:
    """Accept every JSON value."""
    return None


def _shape_names(value: object) -> str | None:
    """Accept an array of distinct strings."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return "must be an array of strings"
    return None if len(set(value)) == len(value) else "must not name a property twice"


def _shape_schema(value: object) -> str | None:
    """Accept what may be one schema."""
    return None if isinstance(value, (bool, dict)) else "must be a schema, that is an object or a boolean"


def _shape_schema_list(value: object) -> str | None:
    """Accept a non-empty array."""
    return None if isinstance(value, list) and value else "must be a non-empty array of schemas"


def _shape_schema_map(value: object) -> str | None:
    """Accept an object."""
    return None if isinstance(value, dict) else "must be an object whose values are schemas"


def _shape_pattern_map(value: object) -> str | None:
    """Accept an object whose property names are regular expressions."""
    if not isinstance(value, dict):
        return _shape_schema_map(value)
    return next((problem for problem in map(_shape_pattern, value) if problem is not None), None)


def _shape_pattern(value: object) -> str | None:
    """Accept a regular expression."""
    if not isinstance(value, str):
        return "must be a string"
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        return f"has the bad regular expression {_quote(value)}: {error}"
    return None


def _shape_count(value: object) -> str | None:
    """Accept a whole number that is not negative."""
    return None if _is_integer(value) and value >= 0 else "must be a non-negative integer"


def _shape_number(value: object) -> str | None:
    """Accept a number."""
    return None if _is_number(value) else "must be a number"


def _shape_boolean(value: object) -> str | None:
    """Accept a boolean."""
    return None if isinstance(value, bool) else "must be a boolean"


def _shape_string(value: object) -> str | None:
    """Accept a string."""
    return None if isinstance(value, str) else "must be a string"


def _shape_dialect(value: object) -> str | None:
    """Accept the address of the one dialect whose meaning is implemented here."""
    return None if value == _DIALECT else f"must be {_quote(_DIALECT)}"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A keyword: the check of its value in a schema, and its effect on an instance."""

    shape: Callable[[object], str | None]
    evaluate: Callable[[_Visit], Iterator[Violation]]


_RULES: dict[str, _Rule] = {
    "type": _Rule(_shape_type, _evaluate_type),
    "enum": _Rule(_shape_list, _evaluate_enum),
    "const": _Rule(_shape_anything, _evaluate_const),
    "properties": _Rule(_shape_schema_map, _evaluate_properties),
    "patternProperties": _Rule(_shape_pattern_map, _evaluate_pattern_properties),
    "additionalProperties": _Rule(_shape_schema, _evaluate_additional_properties),
    "propertyNames": _Rule(_shape_schema, _evaluate_property_names),
    "required": _Rule(_shape_names, _evaluate_required),
    "minProperties": _Rule(_shape_count, _evaluate_minimum_properties),
    "maxProperties": _Rule(_shape_count, _evaluate_maximum_properties),
    "items": _Rule(_shape_schema, _evaluate_items),
    "prefixItems": _Rule(_shape_schema_list, _evaluate_prefix_items),
    "minItems": _Rule(_shape_count, _evaluate_minimum_items),
    "maxItems": _Rule(_shape_count, _evaluate_maximum_items),
    "uniqueItems": _Rule(_shape_boolean, _evaluate_unique_items),
    "minLength": _Rule(_shape_count, _evaluate_minimum_length),
    "maxLength": _Rule(_shape_count, _evaluate_maximum_length),
    "pattern": _Rule(_shape_pattern, _evaluate_pattern),
    "minimum": _Rule(_shape_number, _evaluate_minimum),
    "maximum": _Rule(_shape_number, _evaluate_maximum),
    "exclusiveMinimum": _Rule(_shape_number, _evaluate_exclusive_minimum),
    "exclusiveMaximum": _Rule(_shape_number, _evaluate_exclusive_maximum),
    "$ref": _Rule(_shape_string, _evaluate_reference),
    "allOf": _Rule(_shape_schema_list, _evaluate_all_of),
    "anyOf": _Rule(_shape_schema_list, _evaluate_any_of),
    "oneOf": _Rule(_shape_schema_list, _evaluate_one_of),
    "not": _Rule(_shape_schema, _evaluate_not),
    "if": _Rule(_shape_schema, _evaluate_if),
    "then": _Rule(_shape_schema, _evaluate_elsewhere),
    "else": _Rule(_shape_schema, _evaluate_elsewhere),
}

_ANNOTATIONS: dict[str, Callable[[object], str | None]] = {
    "$schema": _shape_dialect,
    "$id": _shape_string,
    "$defs": _shape_schema_map,
    "$comment": _shape_string,
    "title": _shape_string,
    "description": _shape_string,
    "examples": _shape_list,
    "default": _shape_anything,
    "version": _shape_anything,
}

_SCHEMA_LISTS = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "$defs"})
_SINGLE_SCHEMAS = frozenset({"additionalProperties", "propertyNames", "items", "not", "if", "then", "else"})

# `$ref` belongs here too, but its subschema lies elsewhere.
_APPLIED_IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else"})


# Checking schemas


def _identifier(name: str, document: Any) -> str | None:
    """Return the `$id` of a document, if it has one."""
    if not isinstance(document, dict) or "$id" not in document:
        return None
    identifier = document["$id"]
    if not isinstance(identifier, str) or not identifier or "#" in identifier:
        raise SchemaError(f"{name}#", "$id must be a non-empty string without a fragment")
    return identifier


def _definition_name(fragment: str) -> str | None:
    """Return NAME of the fragment `/$defs/NAME`, unescaped, or None for any other fragment."""
    steps = unquote(fragment).split("/")
    if len(steps) != 3 or steps[:2] != ["", "$defs"]:
        return None
    return steps[2].replace("~1", "/").replace("~0", "~")


def _check_one_schema(location: str, schema: object, *, is_root: bool) -> None:
    """Refuse a schema with an unknown, misplaced or malformed keyword; leaves its subschemas alone."""
    problem = _shape_schema(schema)
    if problem is not None:
        raise SchemaError(location, problem)
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        shape = _RULES[keyword].shape if keyword in _RULES else _ANNOTATIONS.get(keyword)
        if shape is None:
            raise SchemaError(location, f"unknown keyword {_quote(keyword)}")
        problem = shape(value)
        if problem is not None:
            raise SchemaError(location, f"{keyword} {problem}")
        if keyword in ("$id", "$schema") and not is_root:
            raise SchemaError(location, f"{keyword} is supported at the root of a document only")
        if keyword in ("then", "else") and "if" not in schema:
            raise SchemaError(location, f"{keyword} has no effect without if")


def _children(schema: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (keyword, step of a JSON Pointer, subschema) for every direct subschema, in document order."""
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        if keyword in _SINGLE_SCHEMAS:
            yield keyword, _step(keyword), value
        elif keyword in _SCHEMA_LISTS or keyword in _SCHEMA_MAPS:
            for token, child in _members(value):
                yield keyword, _step(keyword) + _step(token), child


def _refuse_endless_reference(in_place: dict[str, list[str]]) -> None:
    """Refuse schemas that apply themselves to the same value again, which no evaluation would ever leave."""
    try:
        graphlib.TopologicalSorter(in_place).prepare()
    except graphlib.CycleError as error:
        # The error lists every schema before those that apply it; readers follow references the other way.
        cycle = error.args[1][::-1]
        raise SchemaError(cycle[0], f"refers to itself without end: {' -> '.join(cycle)}") from None


# --- The schemas of every file format: where they are, and which one judges which file.

_SCHEMA_OF_FORMAT = {
    "clawvm.trace": "trace.schema.json",
    "clawvm.decision_trace": "decision-trace.schema.json",
    "clawvm.journal": "journal.schema.json",
    "clawvm.gate_report": "gate-report.schema.json",
    "clawvm.sweep_summary": "sweep-summary.schema.json",
    "clawvm.suite_manifest": "manifest.schema.json",
    "clawvm.experiment_rows": "experiment-rows.schema.json",
    "clawvm.experiment_results": "experiment-results.schema.json",
    "clawvm.claims": "claims.schema.json",
    "clawvm.claims_report": "claims-report.schema.json",
    "clawvm.session": "session.schema.json",
    "clawvm.observed": "observed.schema.json",
    "clawvm.texts": "texts.schema.json",
    "clawvm.conversion_report": "conversion-report.schema.json",
}
_LINE_FORMATS = (
    "clawvm.trace",
    "clawvm.decision_trace",
    "clawvm.journal",
    "clawvm.experiment_rows",
    "clawvm.observed",
    "clawvm.texts",
)


def _schema_directory() -> Path:
    # In an installed package the schemas lie inside it, in a checkout at the top of the repository.
    here = Path(__file__).resolve().parent
    for folder in (here / "schemas", here.parent.parent / "schemas"):
        if folder.is_dir():
            return folder
    raise InputError("the schemas are missing: neither beside the package nor at the top of the checkout")


@cache
def schema_documents() -> dict[str, Any]:
    """Return all schemas by file name."""
    return {
        path.name: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(_schema_directory().glob("*.schema.json"))
    }


@cache
def schema_store() -> SchemaStore:
    """Return the validator over all schemas."""
    return SchemaStore(schema_documents())


def check_file(path: Path) -> Iterator[str]:
    """Yield one line for every problem of a file of any of our formats; raises InputError for a file of none.

    Line formats are read line by line, in constant memory. A trace that its schema accepts is also read as a replay
    would read it, which finds names that were never declared and turns out of order.
    """
    with open_trace(path) as stream:
        first = stream.readline(MAXIMUM_LINE_BYTES + 1)
    header = _json(first)
    name = header.get("format") if isinstance(header, dict) else None
    if name not in _LINE_FORMATS:
        yield from _check_document(path)
        return
    problems = 0
    for problem in _check_lines(path, _SCHEMA_OF_FORMAT[name]):
        problems += 1
        yield problem
    if name == "clawvm.trace" and not problems:
        with open_trace(path) as stream:
            try:
                for _ in read_trace(stream, str(path))[1]:
                    pass
            except TraceError as error:
                yield str(error)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _check_lines(path: Path, schema: str) -> Iterator[str]:
    store = schema_store()
    with open_trace(path) as stream:
        number = 0
        while line := stream.readline(MAXIMUM_LINE_BYTES + 1):
            number += 1
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield f"{path}:{number}: not JSON: {error}"
                return
            for violation in store.validate(record, schema):
                yield f"{path}:{number}: {violation}"


def _check_document(path: Path) -> Iterator[str]:
    with open_trace(path) as stream:
        document = _json(stream.read())
    name = document.get("format") if isinstance(document, dict) else None
    schema = _SCHEMA_OF_FORMAT.get(name) if isinstance(name, str) else None
    if schema is None:
        known = ", ".join(_SCHEMA_OF_FORMAT)
        raise InputError(f"{path}: is in no known format; known: {known}")
    for violation in schema_store().validate(document, schema):
        yield f"{path}: {violation}"

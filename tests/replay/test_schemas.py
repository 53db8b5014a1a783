"""The committed schemas: what the code writes is valid, what is broken is refused, another implementation agrees."""

import contextlib
import copy
import functools
import importlib
import io
import itertools
import json
import random
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from clawvm_cli import main
from clawvm_experiments import claims
from clawvm_replay.gates import GATES
from clawvm_replay.replay import replay_trace
from clawvm_replay.schemas import Schemas, schema_documents
from clawvm_replay.trace_format import (
    BoundaryEvent,
    FlushEvent,
    RecallQuery,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
    write_trace,
)
from clawvm_runtime.decision_trace import EVENT_KINDS, DecisionTrace
from clawvm_runtime.errors import PageError
from clawvm_runtime.journal import Journal, MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.updates import Rejection, Update
from clawvm_runtime.vocabulary import Boundary, Level, PageType, RecallOutcome, RejectCode, Scope, ToolOutcome
from clawvm_transcripts.conversion_report import Conversion
from clawvm_transcripts.jobs import jobs_for
from clawvm_transcripts.output import convert
from clawvm_transcripts.private_names import private_record
from clawvm_workloads.families import FAMILIES
from tests.support import ROOT, not_checked

SUFFIX = ".schema.json"
BUDGET = 120
SAMPLES_PER_SHAPE = 2
MUTATIONS = 2
SEED = 12026
WRONG = (None, True, False, 0, 1, -1, 1.0, 1.5, 10**30, "", "x", "full", "none", [], [1], [[]], {}, {"a": 1})

Documents = dict[str, dict[str, Any]]
Change = Callable[[Any], object]


@functools.cache
def documents() -> Documents:
    """Return every committed schema by its name."""
    return {name.removesuffix(SUFFIX): document for name, document in schema_documents().items()}


@functools.cache
def store() -> Schemas:
    """Return the validator over all schemas."""
    return Schemas(schema_documents())


def page(page_type: PageType = PageType.EVIDENCE, **more: Any) -> Page:
    """Return a small page."""
    return Page("a", page_type, {Level.STRUCTURED: 2, Level.FULL: 5}, Provenance("file", "a.md"), **more)


def trace_lines(trace: Trace) -> list[Any]:
    """Return the records of a trace as a reader of its file gets them."""
    return [json.loads(line) for line in write_trace(trace.header, trace.turns)]


def small_trace() -> list[Any]:
    """Return a trace with the kinds of record that no workload has to contain."""
    events_before = (
        page(PageType.PLAN, active=False),
        Replacement(page(PageType.PLAN)),
        ToolDeclaration(
            tool="run",
            signature='run({"n":1})',
            outcome=ToolOutcome.ERROR,
            page=None,
            deterministic=False,
            arguments={"n": 1, "timeout": 5},
            presentation=("timeout",),
        ),
        BoundaryEvent(Boundary.COMPACTION),
        BoundaryEvent(Boundary.RESET, "session-2"),
        FlushEvent(),
    )
    return trace_lines(Trace(TraceHeader("small", BUDGET), (Turn(1, events_before=events_before),)))


@functools.cache
def written() -> dict[str, list[Any]]:
    """Return the records of every file that two commands write, by the name of their schema."""
    policies = ("--policies", "retrieval,compaction_hybrid,oracle_h3")
    commands = (
        ["suite", "--budgets", str(BUDGET), "--workloads", "daily_assistant", *policies, "--jobs", "1"],
        ["experiment", "gates", "--jobs", "1"],
    )
    records: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for number, command in enumerate(commands):
            out = Path(folder) / str(number)
            with contextlib.redirect_stderr(io.StringIO()):
                assert main([*command, "--out-root", str(out)]) == 0
            for path in sorted(out.rglob("*.json*")):
                if path.parent.name == "timings":
                    continue
                content = path.read_bytes()
                found = (
                    list(map(json.loads, content.splitlines())) if path.suffix == ".jsonl" else [json.loads(content)]
                )
                name = found[0]["format"].removeprefix("clawvm.").replace("_", "-").replace("suite-m", "m")
                records.setdefault(name, []).extend(found)
    return records


def decisions_under_pressure() -> list[Any]:
    """Return the decisions on a demand that exceeds the whole budget, and on every kind of empty recall."""
    recalls = tuple(RecallQuery("why", outcome) for outcome in RecallOutcome)
    turn = Turn(1, events_before=(page(),), demands=(("a", Level.FULL),), recalls=recalls)
    decisions = DecisionTrace()
    replay_trace(Trace(TraceHeader("pressure", 4), (turn,)), POLICIES["retrieval"], decisions=decisions)
    return decisions.events


def journal_records() -> list[Any]:
    """Return the records of a journal in which everything happens that can happen."""
    storage = MemoryJournalStorage()
    journal = Journal(storage)
    for number, operation in enumerate(("append", "merge", "burn")):
        value: Any = {"k": [None, number]}
        journal.stage(Update("a", "notes", operation, value, "session", "a", update_id=f"u{number}"))
    # Validation decides what an update's words mean, so the journal holds them all.
    journal.stage(Update("a", "", 7, None, None, [], principal=True, base_version="x"))  # type: ignore[arg-type]
    codes = {"merge": RejectCode.POLICY_VIOLATION, "burn": RejectCode.DESTRUCTIVE_OP, 7: RejectCode.SCHEMA_INVALID}
    journal.write_back(
        lambda update, version, value: Rejection(codes[update.operation], "why") if update.operation in codes else None
    )
    journal.stage(Update("a", "notes", "set_with_version", "text", "session", "a", base_version=1))
    journal.abandon(Boundary.RESET.value)
    return storage.read()


def manifests_of_sessions() -> list[Any]:
    """Return the manifests of a conversion and of replays of recorded sessions."""
    conversion = {"chain": "project", "keep_text": False}
    replays = {
        **conversion,
        "experiments": ["sessions"],
        "quick": False,
        "code": "0" * 64,
        "budgets": ["20 %", "real window"],
        "cuts": ["cut0100", "whole"],
        "policies": ["clawvm"],
        "views": ["resources"],
    }
    return [{**written()["manifest"][0], "configuration": each} for each in (conversion, replays)]


@functools.cache
def conversion() -> tuple[Any, Any, dict[str, list[Any]]]:
    """Return a conversion's report and private map, and the records of its line files by the end of their names."""
    fixtures = ROOT / "tests/transcripts/fixtures"
    with tempfile.TemporaryDirectory() as folder:
        jobs = jobs_for([fixtures / "openhands"], Path(folder), keep_text=True)
        results = Conversion.of([convert(job) for job in jobs])
        records: dict[str, list[Any]] = {}
        for path in sorted(Path(folder).rglob("*.jsonl")):
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            records.setdefault(path.name.split(".")[-2], []).extend(lines)
    return *(json.loads(json.dumps(each)) for each in (results.to_record(), private_record(results))), records


@functools.cache
def instances() -> dict[str, list[Any]]:
    """Return what the code writes, by the name of the schema that describes it."""
    traces = [FAMILIES[name](BUDGET) for name in ("multi_session", "daily_assistant")]
    lines = [*(record for trace in traces for record in trace_lines(trace)), *small_trace()]
    report, private, records = conversion()
    every = {
        **written(),
        "claims": [json.loads((Path(claims.__file__).parent / "claims.json").read_bytes())],
        "conversion-report": [report],
        "decision-trace": written()["decision-trace"] + decisions_under_pressure(),
        "journal": journal_records(),
        "manifest": written()["manifest"] + manifests_of_sessions(),
        "observed": records["observed"],
        "private-names": [private],
        "session": report["sessions"],
        "texts": records["texts"],
        "tool-simulator": [record for record in lines if record["record"] == "tool"],
        "trace": [*lines, *records["trace"]],
    }
    return {name: list(distinct(records)) for name, records in every.items()}


def distinct(records: Iterable[Any]) -> Iterator[Any]:
    """Yield the first few records of every shape."""
    seen: Counter[str] = Counter()
    for record in records:
        shape = f"{kind(record)} {record.get('fault')} {sorted(record)} {[type(value) for value in record.values()]}"
        seen[shape] += 1
        if seen[shape] <= SAMPLES_PER_SHAPE:
            yield record


def kind(record: Any) -> str:
    """Return what distinguishes the records of one schema."""
    return str(record.get("event") or record.get("record") or record["format"])


def first(schema: str, wanted: str) -> Any:
    """Return a copy of the first instance of one kind."""
    return copy.deepcopy(next(record for record in instances()[schema] if kind(record) == wanted))


def value_at(record: Any, *path: Any) -> Any:
    """Return the part of a record at a path."""
    return functools.reduce(lambda part, token: part[token], path, record)


def put(*path_and_value: Any) -> Change:
    """Return a change that puts the last argument at the path before it."""
    *path, token, value = path_and_value
    return lambda record: value_at(record, *path).__setitem__(token, value)


def drop(*path: Any) -> Change:
    """Return a change that removes a field."""
    return lambda record: value_at(record, *path[:-1]).__delitem__(path[-1])


# Schema, kind of record, what is done to a valid one, where the violation is reported, by which keyword.
BROKEN: tuple[tuple[str, str, Change, str, str], ...] = (
    ("trace", "header", drop("workload"), "", "required"),
    ("trace", "header", put("version", 2), "/version", "const"),
    ("trace", "page", put("page", "type", "memo"), "/page/type", "enum"),
    ("trace", "page", put("page", "costs", "compressed", 9), "/page/costs/compressed", "enum"),
    ("trace", "page", put("page", "minimum", "pointer"), "/page/minimum", "enum"),
    ("trace", "turn", put("transcript_tokens", -1), "/transcript_tokens", "minimum"),
    ("trace", "turn", put("demands", [{"level": "none", "page": "a"}]), "/demands/0/level", "enum"),
    ("trace", "flush", put("at", 1), "/at", "false"),
    ("tool-simulator", "tool", put("outcome", "error"), "/page", "type"),
    ("decision-trace", "demand", put("verdict", "miss"), "/verdict", "enum"),
    ("decision-trace", "assemble", put("steps", [["a", "full", 3, 0.5]]), "/steps/0", "minItems"),
    ("decision-trace", "fault", put("page_fault", 1), "/page_fault", "false"),
    ("journal", "rejected", put("code", "BAD"), "/code", "enum"),
    ("journal", "commit", put("sequences", []), "/sequences", "minItems"),
    ("gate-report", "clawvm.gate_report", drop("gates", 0, "halves", 1), "/gates/0/halves", "minItems"),
    ("sweep-summary", "clawvm.sweep_summary", drop("aggregates", 0, "served_cells"), "/aggregates/0", "required"),
    ("sweep-summary", "clawvm.sweep_summary", put("rows", 0, "prefix_reuse", 1.5), "/rows/0/prefix_reuse", "maximum"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "sha256", "A" * 64), "/files/0/sha256", "pattern"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "path", "a/../../b"), "/files/0/path", "not"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "path", "/etc/passwd"), "/files/0/path", "pattern"),
    ("observed", "observed", put("novelty", "new"), "/novelty", "enum"),
    ("texts", "text", drop("page"), "", "required"),
    ("session", "clawvm.session", put("sources", 0, "path", "a"), "/sources/0/path", "false"),
    ("session", "clawvm.session", put("pages", "memo", 1), "/pages/memo", "enum"),
    ("private-names", "clawvm.private_names", drop("private"), "", "required"),
    ("conversion-report", "clawvm.conversion_report", drop("sessions", 0, "name"), "/sessions/0", "required"),
)


def broken() -> Iterator[tuple[str, Any, str, str]]:
    """Yield (schema, broken instance, path, keyword) for every row of BROKEN."""
    for schema, wanted, change, path, keyword in BROKEN:
        record = first(schema, wanted)
        change(record)
        yield schema, record, path, keyword


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from subschemas(part)


class SchemasTest(unittest.TestCase):
    def test_the_schemas_are_those_that_the_code_needs(self) -> None:
        self.assertEqual(set(documents()), set(instances()))

    def test_every_schema_says_what_it_is(self) -> None:
        for name, document in documents().items():
            with self.subTest(schema=name):
                self.assertEqual(document["$schema"], "https://json-schema.org/draft/2020-12/schema")
                self.assertEqual(document["$id"], f"https://clawvm.dev/schemas/{name}/{document['version']}")
                self.assertTrue(document["title"] and document["description"])

    def test_every_object_with_named_properties_refuses_others(self) -> None:
        for name, document in documents().items():
            for schema in subschemas(document):
                if schema.get("type") == "object" and "properties" in schema and "required" in schema:
                    self.assertIs(schema.get("additionalProperties"), False, (name, list(schema["properties"])))

    def test_the_samples_show_every_kind_of_record(self) -> None:
        kinds = {name: {kind(record) for record in records} for name, records in instances().items()}
        self.assertEqual(kinds["trace"], {"header", "page", "replace", "tool", "boundary", "flush", "turn", "end"})
        self.assertEqual(kinds["observed"], {"header", "observed", "end"})
        self.assertEqual(kinds["texts"], {"header", "text", "end"})
        self.assertEqual(kinds["journal"], {"header", "staged", "validated", "rejected", "commit", "lost"})
        events = [schema for schema in documents()["decision-trace"]["$defs"].values() if "properties" in schema]
        described = {schema["properties"]["event"]["const"] for schema in events}
        self.assertEqual(described, set(EVENT_KINDS))
        self.assertEqual(described, kinds["decision-trace"])

    def test_a_page_is_valid_exactly_when_it_can_be_made(self) -> None:
        # Only what a single field and the type decide: that costs rise with the level is beyond a schema.
        cheaper = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED)
        choices = itertools.product(PageType, Level, (True, False), (Scope.SESSION, Scope.PROJECT), cheaper)
        for page_type, minimum, active, scope, cheap in choices:
            record = page().to_record()
            record.update(type=page_type.value, minimum=minimum.label, active=active, scope=scope.value, pin="none")
            record["costs"] = {cheap.label: 2, "full": 5}
            try:
                Page.from_record(record)
            except PageError:
                possible = False
            else:
                possible = True
            found = list(store().violations({"page": record, "record": "page"}, "trace" + SUFFIX))
            self.assertIs(not found, possible, (record, found))


class AcceptanceTest(unittest.TestCase):
    def assert_valid(self, name: str, records: Iterable[Any]) -> None:
        checked = list(records)
        self.assertTrue(checked, "nothing was checked")
        for record in checked:
            self.assertEqual(list(map(str, store().violations(record, name + SUFFIX))), [], (name, kind(record)))

    def test_everything_that_the_code_writes_is_valid(self) -> None:
        for name, records in instances().items():
            self.assert_valid(name, records)

    def test_every_gate_scenario_is_a_valid_trace(self) -> None:
        self.assert_valid("trace", (record for gate in GATES for record in trace_lines(gate.trace())))

    def test_optional_fields_may_be_left_out(self) -> None:
        source = {"kind": "file", "reference": "a.md"}
        declaration = {"costs": {"full": 1}, "id": "a", "provenance": source, "type": "evidence"}
        header = {"budget": 1, "format": "clawvm.trace", "record": "header", "version": 1, "workload": "w"}
        tool = {"outcome": "denied", "record": "tool", "signature": "run({})", "tool": "run"}
        turn = {"record": "turn", "transcript_tokens": 0, "turn": 1}
        self.assert_valid("trace", [header, {"page": declaration, "record": "page"}, tool, turn])


class RefusalTest(unittest.TestCase):
    def test_what_is_broken_is_refused_where_it_is_broken(self) -> None:
        for schema, record, path, keyword in broken():
            with self.subTest(schema=schema, path=path, keyword=keyword):
                found = [(item.path, item.keyword) for item in store().violations(record, schema + SUFFIX)]
                self.assertIn((path, keyword), found)

    def test_every_kind_of_record_refuses_a_field_too_many_and_a_missing_name(self) -> None:
        for name, records in instances().items():
            for record in {kind(record): record for record in records}.values():
                mark = next(field for field in ("event", "record", "format") if field in record)
                unmarked = {field: value for field, value in record.items() if field != mark}
                for wrong in ({**record, "unknown": 1}, {**record, mark: "unknown"}, unmarked, {}, [record], None):
                    self.assertTrue(list(store().violations(wrong, name + SUFFIX)), (name, wrong))

    def test_no_record_passes_for_one_of_another_file(self) -> None:
        for name, records in instances().items():
            for other in documents().keys() - {name, "trace", "tool-simulator"}:
                self.assertTrue(list(store().violations(records[0], other + SUFFIX)), (name, other))


class AgreementTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        try:
            jsonschema = importlib.import_module("jsonschema")
            referencing = importlib.import_module("referencing")
        except ImportError as error:
            raise not_checked(f"no other validator was asked: install the package jsonschema ({error})") from None
        resources = [referencing.Resource.from_contents(document) for document in documents().values()]
        registry = referencing.Registry().with_resources([(item.id(), item) for item in resources])
        cls.validators = {}
        for name, document in documents().items():
            cls.validators[name] = jsonschema.Draft202012Validator(document, registry=registry)

    def assert_agreement(self, name: str, record: Any) -> bool:
        ours = not any(store().violations(record, name + SUFFIX))
        self.assertIs(self.validators[name].is_valid(record), ours, (name, record))
        return ours

    def test_another_implementation_agrees_about_valid_and_broken_documents(self) -> None:
        for name, record in small_samples():
            self.assertTrue(self.assert_agreement(name, record))
        for name, record, _, _ in broken():
            self.assertFalse(self.assert_agreement(name, record))

    def test_another_implementation_agrees_about_mutated_documents(self) -> None:
        draw = random.Random(SEED)
        refused = 0
        for name, original in small_samples():
            every = list(places(original))
            for place in draw.sample(every, min(len(every), MUTATIONS)):
                record = copy.deepcopy(original)
                put(*place, draw.choice(WRONG))(record)
                refused += not self.assert_agreement(name, record)
        self.assertGreater(refused, 80)


def small_samples() -> Iterator[tuple[str, Any]]:
    """Yield schema and record, one of every kind, with the first two of many things in a list."""
    for name, records in instances().items():
        for record in {kind(record) + str(record.get("fault")): record for record in records}.values():
            yield name, small(record)


def small(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: small(part) for name, part in value.items()}
    if isinstance(value, list):
        return [small(part) for part in (value[:2] if value and isinstance(value[0], dict) else value)]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for token, part in items:
        yield (*path, token)
        yield from places(part, (*path, token))

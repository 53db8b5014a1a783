"""The committed schemas: what the code writes is valid, what is broken is refused, another implementation agrees."""

import copy
import dataclasses
import functools
import importlib
import itertools
import json
import tempfile
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from clawvm_experiments import claims
from clawvm_experiments.finishing import results_documents
from clawvm_experiments.registry import EXPERIMENTS
from clawvm_experiments.running import Plan, Rows, end_record, header_record, row_record
from clawvm_replay.gates import GATES, report_record, run_gates
from clawvm_replay.output import WrittenFile
from clawvm_replay.replay import replay_trace
from clawvm_replay.schemas import SchemaStore
from clawvm_replay.sweep import Cell, CellOutcome, Summary, run_cell
from clawvm_replay.trace_format import (
    BoundaryEvent,
    FlushEvent,
    Lookup,
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
from clawvm_transcripts.jobs import Conversion, jobs_for
from clawvm_transcripts.output import convert
from clawvm_workloads.families import FAMILIES

SUFFIX = ".schema.json"
BUDGET = 120
SAMPLES_PER_SHAPE = 8
CONFIGURATION: dict[str, Any] = {
    "budgets": [BUDGET],
    "horizon": 3,
    "policies": list(POLICIES),
    "workloads": ["evidence_heavy", "multi_session"],
}

Documents = dict[str, dict[str, Any]]
Change = Callable[[Any], object]


@functools.cache
def documents() -> Documents:
    """Return every committed schema by its name."""
    folder = Path(__file__).resolve().parents[2] / "schemas"
    paths = sorted(folder.glob("*" + SUFFIX))
    return {path.name.removesuffix(SUFFIX): json.loads(path.read_bytes()) for path in paths}


@functools.cache
def store() -> SchemaStore:
    """Return the schemas under their file names."""
    return SchemaStore({name + SUFFIX: document for name, document in documents().items()})


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
def outcomes() -> tuple[CellOutcome, ...]:
    """Return a few cells of the sweep."""
    traces = [FAMILIES[name](BUDGET) for name in CONFIGURATION["workloads"]]
    return tuple(run_cell(Cell(trace, policy)) for trace in traces for policy in POLICIES.values())


@functools.cache
def gate_reports() -> tuple[Any, ...]:
    """Return the reports of all gates."""
    return tuple(run_gates(GATES, POLICIES["clawvm"]))


@functools.cache
def gates_run() -> tuple[Plan, Rows]:
    """Return one small experiment and its rows."""
    plan = Plan.of([EXPERIMENTS["gates"]], True)
    cells = plan.cells["gates"]
    return plan, {"gates": [json.loads(json.dumps(EXPERIMENTS["gates"].run_cell(cell))) for cell in cells]}


def rows_of_a_run() -> list[Any]:
    """Return the records of a file of rows."""
    plan, rows = gates_run()
    header = header_record(plan.header("gates"))
    return [header, *(row_record(str(number), row) for number, row in enumerate(rows["gates"])), end_record(6)]


def claims_report() -> Any:
    """Return verdicts of every kind."""
    documents = results_documents(*gates_run())
    every = claims.read_claims()
    judged = [claims.judge(claim, documents) for claim in every]
    holding = next(item.claim for item in judged if item.holds)
    wrong = {"at_most": -1}
    for must_hold in (True, False):
        altered = dataclasses.replace(holding, expected=wrong, must_hold=must_hold)
        judged.append(claims.judge(altered, documents))
    return json.loads(json.dumps(claims.claims_record(judged)))


def decisions_under_pressure() -> list[Any]:
    """Return the decisions on a demand that exceeds the whole budget, and on every kind of empty look-up."""
    lookups = tuple(Lookup("why", outcome) for outcome in RecallOutcome)
    turn = Turn(1, events_before=(page(),), demands=(("a", Level.FULL),), lookups=lookups)
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
    # What the words of an update are worth is for validation to say, so the journal holds them all.
    journal.stage(Update("a", "", 7, None, None, [], principal=True, base_version="x"))  # type: ignore[arg-type]
    codes = {"merge": RejectCode.POLICY_VIOLATION, "burn": RejectCode.DESTRUCTIVE_OP, 7: RejectCode.SCHEMA_INVALID}
    journal.write_back(
        lambda update, version, value: Rejection(codes[update.operation], "why") if update.operation in codes else None
    )
    journal.stage(Update("a", "notes", "set_with_version", "text", "session", "a", base_version=1))
    journal.abandon(Boundary.RESET.value)
    return storage.read()


def manifest() -> dict[str, Any]:
    """Return a manifest of one file."""
    schemas = [{"id": item["$id"], "name": name, "version": item["version"]} for name, item in documents().items()]
    return {
        "configuration": CONFIGURATION,
        "files": [WrittenFile.of("decisions/a.decisions.jsonl", b"{}\n").to_record()],
        "format": "clawvm.suite_manifest",
        "schemas": schemas,
        "version": 1,
    }


def manifest_of_sessions() -> dict[str, Any]:
    """Return the manifest of replays of recorded sessions."""
    configuration = {
        **manifest_of_conversion()["configuration"],
        "experiments": ["sessions"],
        "quick": False,
        "code": "0" * 64,
        "budgets": ["20 %", "real window"],
        "cuts": ["cut0100", "whole"],
        "policies": ["clawvm"],
        "views": ["resources"],
    }
    return {**manifest(), "configuration": configuration}


def manifest_of_conversion() -> dict[str, Any]:
    """Return the manifest of a conversion."""
    return {**manifest(), "configuration": {"chain": "project", "keep_text": False}}


@functools.cache
def conversion() -> tuple[Any, dict[str, list[Any]]]:
    """Return the report of a conversion with texts, and the records of its line files by the end of their names."""
    fixtures = Path(__file__).resolve().parents[1] / "transcripts" / "fixtures"
    with tempfile.TemporaryDirectory() as folder:
        jobs = jobs_for([fixtures / "claude-code", fixtures / "openhands"], Path(folder), keep_text=True)
        results = Conversion.of([convert(job) for job in jobs])
        records: dict[str, list[Any]] = {}
        for path in sorted(Path(folder).rglob("*.jsonl")):
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            records.setdefault(path.name.split(".")[-2], []).extend(lines)
    return json.loads(json.dumps(results.to_record())), records


@functools.cache
def instances() -> dict[str, list[Any]]:
    """Return what the code writes, by the name of the schema that describes it."""
    traces = [trace_lines(family(BUDGET)) for family in FAMILIES.values()]
    traces.append(small_trace())
    lines = [record for trace in traces for record in trace]
    summary = Summary((outcome.metrics for outcome in outcomes()), tuple(POLICIES.values()))
    without_oracle = Summary((outcomes()[0].metrics,), (POLICIES["retrieval"],))
    decisions = [json.loads(line) for outcome in outcomes() for line in outcome.decisions.splitlines()]
    decisions += [event for report in gate_reports() for half in report.halves for event in half.events]
    decisions += decisions_under_pressure()
    report, records = conversion()
    return {
        "claims": [json.loads((Path(claims.__file__).parent / "claims.json").read_bytes())],
        "claims-report": [claims_report()],
        "conversion-report": [report],
        "decision-trace": decisions,
        "experiment-results": list(results_documents(*gates_run()).values()),
        "experiment-rows": rows_of_a_run(),
        "gate-report": [json.loads(json.dumps(report_record(gate_reports())))],
        "journal": journal_records(),
        "manifest": [manifest(), manifest_of_conversion(), manifest_of_sessions()],
        "observed": records["observed"],
        "session": report["sessions"],
        "sweep-summary": [summary.to_record(CONFIGURATION), without_oracle.to_record(CONFIGURATION)],
        "texts": records["texts"],
        "tool-simulator": [record for record in lines if record["record"] == "tool"],
        "trace": [*lines, *records["trace"]],
    }


def kind(record: Any) -> str:
    """Return what tells apart the records of one schema."""
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


# (schema, kind of record, what is done to a valid one, where the violation is reported, by which keyword)
BROKEN: tuple[tuple[str, str, Change, str, str], ...] = (
    ("trace", "header", drop("workload"), "", "required"),
    ("trace", "header", put("version", 2), "/version", "const"),
    ("trace", "header", put("budget", 0), "/budget", "minimum"),
    ("trace", "header", put("seed", 1), "/seed", "additionalProperties"),
    ("trace", "page", put("page", "type", "memo"), "/page/type", "enum"),
    ("trace", "page", drop("page", "costs", "full"), "/page/costs", "required"),
    ("trace", "page", put("page", "costs", "compressed", 9), "/page/costs/compressed", "propertyNames"),
    ("trace", "page", put("page", "minimum", "pointer"), "/page/minimum", "enum"),
    ("trace", "turn", put("transcript_tokens", -1), "/transcript_tokens", "minimum"),
    ("trace", "turn", put("transcript_tokens", "1"), "/transcript_tokens", "type"),
    ("trace", "turn", put("demands", [{"level": "none", "page": "a"}]), "/demands/0/level", "enum"),
    ("trace", "flush", put("at", 1), "/at", "additionalProperties"),
    ("trace", "turn", put("time", 0), "/time", "additionalProperties"),
    ("trace", "end", drop("turns"), "", "required"),
    ("tool-simulator", "tool", drop("signature"), "", "required"),
    ("tool-simulator", "tool", put("outcome", "timeout"), "/outcome", "enum"),
    ("tool-simulator", "tool", put("outcome", "error"), "/page", "type"),
    ("tool-simulator", "tool", put("page", None), "/page", "type"),
    ("tool-simulator", "tool", put("cost", 1), "/cost", "additionalProperties"),
    ("decision-trace", "header", put("version", "1"), "/version", "const"),
    ("decision-trace", "demand", put("verdict", "miss"), "/verdict", "enum"),
    ("decision-trace", "demand", drop("sequence"), "", "required"),
    ("decision-trace", "assemble", put("steps", [["a", "full", 3, 0.5]]), "/steps/0", "minItems"),
    ("decision-trace", "assemble", put("levels", {"a": "none"}), "/levels/a", "enum"),
    ("decision-trace", "fault", put("page_fault", 1), "/page_fault", "additionalProperties"),
    ("decision-trace", "fault", put("controllable", 1), "/controllable", "type"),
    ("journal", "staged", drop("update", "value"), "/update", "required"),
    ("journal", "staged", put("sequence", 0), "/sequence", "minimum"),
    ("journal", "rejected", put("code", "BAD"), "/code", "enum"),
    ("journal", "commit", put("sequences", []), "/sequences", "minItems"),
    ("journal", "lost", put("boundary", "crash"), "/boundary", "enum"),
    ("journal", "header", put("time", 0), "/time", "additionalProperties"),
    ("gate-report", "clawvm.gate_report", drop("gates", 0, "scenario"), "/gates/0", "required"),
    ("gate-report", "clawvm.gate_report", put("verdict", "skip"), "/verdict", "enum"),
    ("gate-report", "clawvm.gate_report", drop("gates", 0, "halves", 1), "/gates/0/halves", "minItems"),
    (
        "gate-report",
        "clawvm.gate_report",
        put("gates", 0, "halves", 1, "observation", "faults", {"oops": 1}),
        "/gates/0/halves/1/observation/faults/oops",
        "additionalProperties",
    ),
    ("sweep-summary", "clawvm.sweep_summary", drop("rows", 0, "thrash_index"), "/rows/0", "required"),
    ("sweep-summary", "clawvm.sweep_summary", put("rows", 0, "prefix_reuse", 1.5), "/rows/0/prefix_reuse", "maximum"),
    ("sweep-summary", "clawvm.sweep_summary", put("rows", 0, "date", ""), "/rows/0/date", "additionalProperties"),
    ("sweep-summary", "clawvm.sweep_summary", put("configuration", "horizon", -1), "/configuration/horizon", "minimum"),
    ("manifest", "clawvm.suite_manifest", drop("files", 0, "sha256"), "/files/0", "required"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "sha256", "A" * 64), "/files/0/sha256", "pattern"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "path", "a/../../b"), "/files/0/path", "not"),
    ("manifest", "clawvm.suite_manifest", put("files", 0, "path", "/etc/passwd"), "/files/0/path", "pattern"),
    ("observed", "header", put("view", "paths"), "/view", "enum"),
    ("observed", "observed", put("novelty", "new"), "/novelty", "enum"),
    ("observed", "observed", put("pages", []), "/pages", "minItems"),
    ("observed", "observed", put("kept", 1), "/kept", "type"),
    ("observed", "observed", put("turn", 0), "/turn", "minimum"),
    ("observed", "end", put("records", -1), "/records", "minimum"),
    ("texts", "text", drop("page"), "", "required"),
    ("session", "clawvm.session", drop("sources", 0, "sha256"), "/sources/0", "required"),
    ("session", "clawvm.session", put("sources", 0, "path", "a"), "/sources/0/path", "additionalProperties"),
    ("session", "clawvm.session", put("pages", "memo", 1), "/pages/memo", "propertyNames"),
    ("session", "clawvm.session", put("recorded", "window", 0), "/recorded/window", "minimum"),
    ("session", "clawvm.session", put("sessions", 0, "lines", "3"), "/sessions/0/lines", "type"),
    ("conversion-report", "clawvm.conversion_report", put("sessions", []), "/sessions", "minItems"),
    ("conversion-report", "clawvm.conversion_report", drop("sessions", 0, "name"), "/sessions/0", "required"),
    ("manifest", "clawvm.suite_manifest", put("format", "clawvm.trace"), "/format", "const"),
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

    def test_every_schema_stays_in_the_supported_subset_and_its_references_resolve(self) -> None:
        for name in documents():
            store().check_schema(name + SUFFIX)

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
        cheaper = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)
        choices = itertools.product(PageType, Level, (True, False), Scope, cheaper)
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
            self.assertIs(store().is_valid({"page": record, "record": "page"}, "trace" + SUFFIX), possible, record)


class AcceptanceTest(unittest.TestCase):
    def assert_valid(self, name: str, records: Iterable[Any]) -> None:
        checked = list(records)
        self.assertTrue(checked, "nothing was checked")
        for record in checked:
            if not store().is_valid(record, name + SUFFIX):
                self.fail(f"{name}, {kind(record)}: {[str(item) for item in store().validate(record, name + SUFFIX)]}")

    def test_every_line_of_every_workload_is_valid(self) -> None:
        self.assert_valid("trace", instances()["trace"])

    def test_every_gate_scenario_is_a_valid_trace(self) -> None:
        self.assert_valid("trace", (record for gate in GATES for record in trace_lines(gate.trace())))

    def test_every_tool_declaration_is_valid(self) -> None:
        self.assert_valid("tool-simulator", instances()["tool-simulator"])

    def test_every_decision_of_every_policy_is_valid(self) -> None:
        self.assert_valid("decision-trace", instances()["decision-trace"])

    def test_every_record_of_a_journal_is_valid(self) -> None:
        self.assert_valid("journal", instances()["journal"])

    def test_the_gate_report_is_valid(self) -> None:
        self.assert_valid("gate-report", instances()["gate-report"])

    def test_the_summary_is_valid_with_and_without_an_oracle(self) -> None:
        self.assert_valid("sweep-summary", instances()["sweep-summary"])

    def test_a_converted_session_is_valid(self) -> None:
        for name in ("session", "observed", "texts", "conversion-report"):
            self.assert_valid(name, instances()[name])

    def test_the_manifest_is_valid(self) -> None:
        self.assert_valid("manifest", instances()["manifest"])

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
                found = [(item.path, item.keyword) for item in store().validate(record, schema + SUFFIX)]
                self.assertIn((path, keyword), found)

    def test_every_kind_of_record_refuses_a_field_too_many_and_a_missing_name(self) -> None:
        for name, records in instances().items():
            for record in {kind(record): record for record in records}.values():
                mark = next(field for field in ("event", "record", "format") if field in record)
                unmarked = {field: value for field, value in record.items() if field != mark}
                for wrong in ({**record, "unknown": 1}, {**record, mark: "unknown"}, unmarked, {}, [record], None):
                    self.assertFalse(store().is_valid(wrong, name + SUFFIX), (name, wrong))

    def test_no_record_passes_for_one_of_another_file(self) -> None:
        for name, records in instances().items():
            for other in documents().keys() - {name, "trace", "tool-simulator"}:
                self.assertFalse(store().is_valid(records[0], other + SUFFIX), (name, other))


class AgreementTest(unittest.TestCase):
    def setUp(self) -> None:
        try:
            jsonschema = importlib.import_module("jsonschema")
            referencing = importlib.import_module("referencing")
        except ImportError as error:
            message = f"NOTHING WAS COMPARED: install the package jsonschema to compare ({error})"
            warnings.warn(message, stacklevel=2)
            self.skipTest(message)
        resources = [referencing.Resource.from_contents(document) for document in documents().values()]
        registry = referencing.Registry().with_resources([(item.id(), item) for item in resources])
        self.validators = {}
        for name, document in documents().items():
            jsonschema.Draft202012Validator.check_schema(document)
            self.validators[name] = jsonschema.Draft202012Validator(document, registry=registry)

    def assert_agreement(self, name: str, record: Any) -> None:
        ours = store().is_valid(record, name + SUFFIX)
        self.assertIs(self.validators[name].is_valid(record), ours, (name, record))

    def test_another_implementation_accepts_what_is_accepted_here(self) -> None:
        for name, records in instances().items():
            seen: dict[str, int] = {}
            for record in records:
                shape = kind(record) + str(record.get("fault", ""))
                seen[shape] = seen.get(shape, 0) + 1
                if seen[shape] <= SAMPLES_PER_SHAPE:
                    self.assert_agreement(name, record)

    def test_another_implementation_refuses_what_is_refused_here(self) -> None:
        for name, record, _, _ in broken():
            self.assertFalse(self.validators[name].is_valid(record), (name, record))
            self.assert_agreement(name, record)


if __name__ == "__main__":
    unittest.main()

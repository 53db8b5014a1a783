"""The schemas of every file format: where they are, and which one judges which file.

================  ======================================================================
schema_documents  all schemas by file name
schema_store      the validator over all of them
check_file        the problems of one file, with line numbers for line formats
================  ======================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.schema_validation import SchemaStore
from clawvm_replay.trace_format import MAXIMUM_LINE_BYTES, open_trace, read_trace

__all__ = ["check_file", "schema_documents", "schema_store"]

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

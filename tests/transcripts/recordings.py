"""Fixtures, and what every reader's events have to look like: shared by the tests of this folder."""

import dataclasses
import io
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import get_args

from clawvm_transcripts import events as stream
from clawvm_transcripts.detection import FORMATS, head_of
from clawvm_transcripts.foreign_formats import FOREIGN_FORMATS

FIXTURES = Path(__file__).parent / "fixtures"

EVENTS = get_args(stream.Event)

FIELDS = {kind: {item.name: item.type for item in dataclasses.fields(kind)} for kind in EVENTS}
"""The fields of every event, with the names of their types."""


def fixtures_of(file_format):
    """Return the files right below the format's folder, in order; none where there is no folder."""
    folder = FIXTURES / file_format.id
    return sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []


def content_of(path):
    """Return the bytes of a fixture; one in SQL is the database that it makes."""
    if path.suffix != ".sql":
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.sqlite")
        with closing(sqlite3.connect(made)) as database:
            database.executescript(path.read_text(encoding="utf-8"))
        return made.read_bytes()


def events_in(file_format, content):
    """Return the events of *content*, which is in a file where the format needs one."""
    if not file_format.needs_path:
        return list(file_format.read(io.BufferedReader(io.BytesIO(content))))
    with tempfile.NamedTemporaryFile(prefix="clawvm-") as file:
        file.write(content)
        file.flush()
        return list(file_format.read(file))


def detected(content):
    """Return the ids of all formats that say yes to *content*, and the titles of those that are not read."""
    head = head_of(io.BytesIO(content))
    foreign = [item.title for item in FOREIGN_FORMATS if item.recognizes(head)]
    return [item.id for item in FORMATS if item.recognizes(head)] + foreign


def frame_errors(events):
    """Return in words what is wrong with the events of a file, "" for nothing."""
    running = False
    for event in events:
        if type(event) not in FIELDS:
            return f"{event!r} is no event"
        if isinstance(event, stream.SessionStart) == running:
            return "a session begins inside another" if running else f"{event!r} is outside of a session"
        running = not isinstance(event, stream.SessionEnd)
        for name, kind in FIELDS[type(event)].items():
            value = getattr(event, name)
            if not _fits(value, kind):
                return f"{type(event).__name__}.{name} is {value!r:.100}"
    if running or not events:
        return "the last session has no end"
    return ""


def _fits(value, kind):
    if kind == "str":
        return _can_be_written(value)
    if kind == "bool":
        return isinstance(value, bool)
    if kind in ("int", "int | None"):
        return (value is None and kind == "int | None") or (type(value) is int and value >= 0)
    # Arguments: plain JSON data that can be written again.
    return _can_be_written(json.dumps(value, ensure_ascii=False))


def _can_be_written(value):
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

"""Behaviour of the journal over both storages: staged, validated, committed; crashes, full disks, second writers."""

import contextlib
import errno
import json
import os
import random
import stat
import unittest
from typing import Any
from unittest import mock

from clawvm_runtime import journal as journal_storage
from clawvm_runtime.errors import JournalCorruptError, JournalError
from clawvm_runtime.journal import (
    CommittedField,
    EntryStatus,
    FileJournalStorage,
    Journal,
    JournalStorage,
    MemoryJournalStorage,
    Writeback,
)
from clawvm_runtime.updates import Rejection, Update, ValidationContext, check_update, merged
from clawvm_runtime.vocabulary import RejectCode
from tests.runtime.support import make_page
from tests.support import temporary_folder

SEED = 20268
NO = Rejection(RejectCode.POLICY_VIOLATION, "no")


def make_update(value: Any = "x", field: str = "text", **attributes: Any) -> Update:
    """Return an update of page p."""
    return Update(
        **{
            "page_id": "p",
            "field": field,
            "operation": "append",
            "value": value,
            "scope": "session",
            "evidence_ref": "p",
            **attributes,
        }
    )


def accept(_update: Update, _version: int, _value: Any) -> Rejection | None:
    """Accept everything."""
    return None


def refuse_bad(update: Update, _version: int, _value: Any) -> Rejection | None:
    """Refuse the value "bad"."""
    return NO if update.value == "bad" else None


def full_check(update: Update, version: int, value: Any) -> Rejection | None:
    """Run every check of the runtime."""
    page = make_page("p")
    return check_update(update, version, value, ValidationContext({"p": page}.get, lambda reference: reference == "p"))


def picture(journal: Journal) -> list[Any]:
    """Return everything that one can see of a journal."""
    journal._check()
    keys = sorted({(entry.update.page_id, entry.update.field) for entry in journal.entries})
    return [
        [(entry.sequence, entry.update, entry.status, entry.rejection) for entry in journal.entries],
        [entry.sequence for entry in journal.staged],
        [journal.committed(*key) for key in keys],
    ]


class _JournalBehaviour:
    """One suite for every storage; a test case says how to ``open`` it and how to ``reopen`` it."""

    def test_staging_changes_nothing_that_was_committed(self: Any) -> None:
        journal = self.open()
        entry = journal.stage(make_update())
        self.assertEqual((entry.sequence, entry.status), (1, EntryStatus.STAGED))
        self.assertEqual(journal.committed("p", "text"), CommittedField(0, None))
        self.assertEqual(journal.committed_fields("p"), {})
        self.assertEqual((journal.staged, journal.expected_version("p", "text")), ((entry,), 1))
        self.assertEqual(picture(self.reopen(journal)), picture(journal))

    def test_a_commit_applies_in_journal_order_and_raises_the_version_by_one_each(self: Any) -> None:
        journal = self.open()
        for value in ("a", "b"):
            journal.stage(make_update(value))
        journal.stage(make_update({"k": 1}, "facts", operation="merge"))
        result = journal.write_back(accept)
        self.assertEqual((result.commit, len(result.committed), result.rejected), (1, 3, ()))
        self.assertEqual(journal.committed("p", "text"), CommittedField(2, "ab"))
        self.assertEqual(journal.committed_fields("p"), {"facts": {"k": 1}, "text": "ab"})
        self.assertEqual(journal.committed_fields("other"), {})
        self.assertEqual(picture(self.reopen(journal)), picture(journal))

    def test_each_entry_is_validated_against_what_those_before_it_would_commit(self: Any) -> None:
        journal, seen = self.open(), []
        for base in range(3):
            journal.stage(make_update(base, operation="set_with_version", base_version=base))
        journal.write_back(lambda update, version, value: seen.append((version, value)))
        self.assertEqual(seen, [(0, None), (1, 0), (2, 1)])
        self.assertEqual(journal.committed("p", "text"), CommittedField(3, 2))

    def test_a_rejected_entry_is_kept_with_its_code_and_is_never_committed(self: Any) -> None:
        journal = self.open()
        for value in ("good", "bad"):
            journal.stage(make_update(value))
        result = journal.write_back(refuse_bad)
        self.assertEqual([entry.update.value for entry in result.rejected], ["bad"])
        self.assertEqual(journal.entries[1].rejection, NO)
        self.assertEqual((journal.count(EntryStatus.REJECTED), journal.staged), (1, ()))
        self.assertEqual(journal.committed("p", "text").value, "good")
        self.assertEqual(journal.write_back(accept), Writeback())
        self.assertEqual(picture(self.reopen(journal)), picture(journal))

    def test_without_an_accepted_entry_there_is_no_commit_point(self: Any) -> None:
        journal = self.open()
        self.assertEqual(journal.write_back(accept), Writeback())
        journal.stage(make_update("bad"))
        self.assertIsNone(journal.write_back(refuse_bad).commit)
        journal.stage(make_update("good"))
        self.assertEqual(journal.write_back(refuse_bad).commit, 1)

    def test_of_two_updates_from_one_base_version_the_second_is_stale(self: Any) -> None:
        journal = self.open()
        for value in ("first", "second"):
            journal.stage(make_update(value, operation="set_with_version", base_version=0))
        result = journal.write_back(full_check)
        self.assertIs(result.rejected[0].rejection.code, RejectCode.DESTRUCTIVE_OP)
        self.assertEqual(journal.committed("p", "text"), CommittedField(1, "first"))
        self.assertEqual(result.overwrote, ())

    def test_an_unvalidated_writeback_reports_what_it_overwrote(self: Any) -> None:
        journal = self.open()
        for value in ("first", "second"):
            journal.stage(make_update(value, operation="set_with_version", base_version=0))
        result = journal.write_back(None)
        self.assertEqual([entry.update.value for entry in result.overwrote], ["second"])
        self.assertEqual(journal.committed("p", "text"), CommittedField(2, "second"))

    def test_an_update_id_is_staged_once_whatever_became_of_it(self: Any) -> None:
        journal = self.open()
        first = journal.stage(make_update(update_id="u"))
        self.assertIs(journal.stage(make_update(update_id="u")), first)
        journal.write_back(accept)
        again = self.reopen(journal)
        self.assertIs(again.stage(make_update(update_id="u")).status, EntryStatus.COMMITTED)
        again.write_back(accept)
        self.assertEqual(again.committed("p", "text"), CommittedField(1, "x"))
        self.assertEqual(len(again.entries), 1)

    def test_a_boundary_leaves_a_record_of_what_it_destroyed(self: Any) -> None:
        journal = self.open()
        self.assertEqual(journal.abandon("reset"), ())
        entry = journal.stage(make_update())
        self.assertEqual(journal.abandon("reset"), (entry,))
        self.assertEqual((entry.status, journal.staged), (EntryStatus.LOST, ()))
        self.assertEqual(journal.write_back(accept), Writeback())
        self.assertEqual(picture(self.reopen(journal)), picture(journal))

    def test_what_is_no_json_data_or_names_no_page_is_refused_when_staged(self: Any) -> None:
        journal = self.open()
        for update in (make_update(float("nan")), make_update({1, 2}), make_update(page_id=3), make_update(field=None)):
            with self.assertRaises(JournalError):
                journal.stage(update)
        self.assertEqual(journal.entries, ())

    def test_a_closed_journal_refuses_to_stage_and_stays_as_it_was(self: Any) -> None:
        journal = self.open()
        journal.stage(make_update())
        before = picture(journal)
        journal.close()
        journal.close()
        for act in (
            lambda: journal.stage(make_update()),
            lambda: journal.write_back(accept),
            lambda: journal.abandon("x"),
        ):
            with self.assertRaises(JournalError):
                act()
        self.assertEqual(picture(journal), before)

    def test_a_journal_behaves_like_a_list_of_updates_through_any_history(self: Any) -> None:
        for seed in range(SEED, SEED + 12):
            rng = random.Random(seed)
            journal = self.open()
            waiting: list[Update] = []
            fields: dict[str, tuple[int, Any]] = {}
            counts = dict.fromkeys(EntryStatus, 0)
            for _ in range(40):
                action = rng.randrange(8)
                if action < 5:
                    operation = rng.choice(["append", "merge", "set_with_version", "delete"])
                    value: Any = {rng.choice("ab"): rng.randrange(9)} if operation == "merge" else [rng.randrange(9)]
                    update = make_update(value, rng.choice("fg"), operation=operation, base_version=rng.randrange(3))
                    journal.stage(update)
                    waiting.append(update)
                elif action == 5:
                    journal.write_back(full_check)
                    for update in waiting:
                        version, value = fields.get(update.field, (0, None))
                        if full_check(update, version, value) is None:
                            fields[update.field] = (version + 1, merged(update.operation, value, update.value))
                            counts[EntryStatus.COMMITTED] += 1
                        else:
                            counts[EntryStatus.REJECTED] += 1
                    waiting = []
                elif action == 6:
                    journal.abandon("reset")
                    counts[EntryStatus.LOST] += len(waiting)
                    waiting = []
                else:
                    before = picture(journal)
                    journal = self.reopen(journal)
                    self.assertEqual(picture(journal), before, f"seed {seed}")
                counts[EntryStatus.STAGED] = len(waiting)
                self.assertEqual([entry.update for entry in journal.staged], waiting, f"seed {seed}")
                for field in "fg":
                    found = journal.committed("p", field)
                    self.assertEqual((found.version, found.value), fields.get(field, (0, None)), f"seed {seed}")
                self.assertEqual({status: journal.count(status) for status in EntryStatus}, counts, f"seed {seed}")
                journal._check()
            journal.close()


class MemoryJournalTests(_JournalBehaviour, unittest.TestCase):
    storage: JournalStorage

    def open(self) -> Journal:
        self.storage = MemoryJournalStorage()
        return Journal(self.storage)

    def reopen(self, journal: Journal) -> Journal:
        return Journal(self.storage)


class _FileCase(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = temporary_folder(self)
        self.path = self.directory / "journal"
        self._opened: list[Journal] = []
        self.addCleanup(lambda: [journal.close() for journal in self._opened])

    def open(self) -> Journal:
        self.path = self.directory / f"journal-{len(self._opened)}"
        return self.load()

    def load(self) -> Journal:
        storage = FileJournalStorage(self.path, durable=False)
        try:
            journal = Journal(storage)
        except BaseException:
            storage.close()
            raise
        self._opened.append(journal)
        return journal

    def reopen(self, journal: Journal) -> Journal:
        journal.close()
        return self.load()


class FileJournalTests(_JournalBehaviour, _FileCase):
    def test_a_commit_returns_only_after_the_file_was_synchronised(self) -> None:
        journal = Journal(FileJournalStorage(self.path))
        self.addCleanup(journal.close)
        with mock.patch.object(journal_storage.os, "fsync") as fsync:
            journal.stage(make_update())
            self.assertEqual(fsync.call_count, 0)
            journal.write_back(accept)
            self.assertEqual(fsync.call_count, 1)

    def test_a_new_file_synchronises_its_directory(self) -> None:
        folders: list[bool] = []

        def fsync(descriptor: int) -> None:
            folders.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

        with mock.patch.object(journal_storage.os, "fsync", fsync):
            FileJournalStorage(self.path).close()
        self.assertIn(True, folders)

    def test_a_second_writer_is_refused_until_the_first_closes(self) -> None:
        journal = self.open()
        with self.assertRaises(JournalError):
            FileJournalStorage(self.path)
        journal.stage(make_update())
        self.assertEqual(len(self.reopen(journal).entries), 1)


class CrashTests(_FileCase):
    def history(self) -> tuple[bytes, dict[int, list[Any]]]:
        """Return a journal file and, for the length at each append, what the journal looked like."""
        journal = self.open()
        pictures = {0: picture(journal)}
        actions = [
            lambda: journal.stage(make_update("a", update_id="u1")),
            lambda: journal.stage(make_update("bad")),
            lambda: journal.write_back(refuse_bad),
            lambda: journal.stage(make_update("é", update_id="u2")),
            lambda: journal.stage(make_update({"k": [1]}, "facts", operation="merge")),
            lambda: journal.write_back(refuse_bad),
            lambda: journal.stage(make_update("lost")),
            lambda: journal.abandon("reset"),
            lambda: journal.stage(make_update("c")),
        ]
        for action in actions:
            action()
            pictures[self.path.stat().st_size] = picture(journal)
        journal.close()
        return self.path.read_bytes(), pictures

    def test_cutting_the_file_anywhere_loses_no_commit_doubles_nothing_and_goes_on(self) -> None:
        content, pictures = self.history()
        nearby = {size + offset for size in pictures for offset in (-1, 0, 1)}
        for length in sorted({*range(0, len(content), 11), *nearby} & {*range(len(content) + 1)}):
            self.path = self.directory / "cut"
            self.path.write_bytes(content[:length])
            journal = self.load()
            found = picture(journal)
            whole = max(size for size in pictures if size <= length)
            # The fields are those of the last complete commit point, never more and never fewer.
            committed, expected = ([item for item in image[2] if item.version] for image in (found, pictures[whole]))
            self.assertEqual(committed, expected, f"cut at {length}")
            if length in pictures:
                self.assertEqual(found, pictures[length], f"cut at {length}")
            # The interrupted work can be done again: once, and only once.
            for update_id, value in (("u1", "a"), ("u2", "é")):
                journal.stage(make_update(value, update_id=update_id))
            journal.write_back(refuse_bad)
            text = journal.committed("p", "text").value
            self.assertEqual((text.count("a"), text.count("é")), (1, 1), f"cut at {length}")
            before = picture(journal)
            journal = self.reopen(journal)
            self.assertEqual(picture(journal), before, f"cut at {length}")
            journal.close()

    def test_damage_before_the_tail_is_an_error_that_names_the_line(self) -> None:
        content, _ = self.history()
        lines = content.splitlines(keepends=True)
        for number in range(1, len(lines) + 1):
            for damage in (b"{\n", b"\n", b"[]\n", b'{"record":3}\n', b'{"record":"dream"}\n', b"\xff\n"):
                self.path = self.directory / "damaged"
                self.path.write_bytes(b"".join([*lines[: number - 1], damage, *lines[number:]]))
                with self.subTest(number=number, damage=damage), self.assertRaises(JournalCorruptError) as caught:
                    self.load()
                self.assertEqual(caught.exception.line, number)
                self.assertIn(f"journal line {number}:", str(caught.exception))

    def test_any_flipped_byte_is_survived_or_reported_as_corruption(self) -> None:
        content, _ = self.history()
        rng = random.Random(SEED)
        for case in range(120):
            place, value = rng.randrange(len(content)), rng.randrange(256)
            self.path = self.directory / "flipped"
            self.path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            here = self.subTest(seed=SEED, case=case, place=place, value=value)
            with here, contextlib.suppress(JournalCorruptError):
                self.load().close()

    def test_records_out_of_order_or_of_another_format_are_refused(self) -> None:
        header = {"format": "clawvm.journal", "record": "header", "version": 1}
        staged = {"record": "staged", "sequence": 1, "update": make_update().to_record()}
        commit = {"record": "commit", "commit": 1, "sequences": [1]}
        cases: list[tuple[int, list[dict[str, Any]]]] = [
            (1, [{**header, "version": 2}]),
            (1, [{**header, "format": "other"}]),
            (1, [staged]),
            (2, [header, {**staged, "sequence": 2}]),
            (2, [header, commit]),
            (3, [header, staged, {**commit, "commit": 2}]),
            (4, [header, staged, commit, {**commit, "commit": 2}]),
            (3, [header, staged, {**commit, "sequences": [1, 1]}]),
            (3, [header, staged, {"record": "rejected", "sequence": 1, "code": "WHIM", "detail": ""}]),
            (3, [header, staged, {"record": "lost", "sequences": [2]}]),
            (2, [header, {"record": "staged", "sequence": 1}]),
        ]
        for line, records in cases:
            self.path.write_text("".join(json.dumps(record) + "\n" for record in records))
            with self.subTest(records=records[-1]), self.assertRaises(JournalCorruptError) as caught:
                self.load()
            self.assertEqual(caught.exception.line, line)


class _FullDisk:
    """A file that takes *space* more bytes, in two goes each, and then raises ENOSPC."""

    def __init__(self, file: Any, space: int, truncates: bool = True) -> None:
        self._file, self._space, self._truncates = file, space, truncates

    def write(self, view: memoryview) -> int:
        if not self._space:
            raise OSError(errno.ENOSPC, "no space left")
        written = self._file.write(view[: min(self._space, max(1, len(view) // 2))])
        self._space -= written
        return int(written)

    def truncate(self, size: int) -> int:
        if not self._truncates:
            raise OSError(errno.EIO, "broken")
        return int(self._file.truncate(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class FullDiskTests(_FileCase):
    def test_after_a_failed_write_everything_is_still_staged_and_the_file_is_whole(self) -> None:
        for space in range(0, 120, 7):
            journal = self.open()
            storage: Any = journal._storage
            for value in ("a", "bad"):
                journal.stage(make_update(value))
            before, content = picture(journal), self.path.read_bytes()
            real = storage._file
            for act in (
                lambda j=journal: j.write_back(refuse_bad),
                lambda j=journal: j.stage(make_update("x" * 300)),
                lambda j=journal: j.abandon("reset" * 100),
            ):
                storage._file = _FullDisk(real, space)
                with self.assertRaises(OSError):
                    act()
                storage._file = real
                self.assertEqual((picture(journal), self.path.read_bytes()), (before, content), f"space {space}")
            self.assertEqual(journal.write_back(refuse_bad).commit, 1)
            after = picture(journal)
            self.assertEqual(picture(self.reopen(journal)), after)

    def test_a_failed_synchronisation_takes_the_commit_back(self) -> None:
        journal = Journal(FileJournalStorage(self.path))
        self.addCleanup(journal.close)
        journal.stage(make_update())
        before, content = picture(journal), self.path.read_bytes()
        broken = mock.patch.object(journal_storage.os, "fsync", side_effect=OSError(errno.EIO, "broken"))
        with broken, self.assertRaises(OSError):
            journal.write_back(accept)
        self.assertEqual((picture(journal), self.path.read_bytes()), (before, content))

    def test_where_half_a_record_cannot_be_taken_back_nothing_is_appended_behind_it(self) -> None:
        journal = self.open()
        journal.stage(make_update("a"))
        before = picture(journal)
        storage: Any = journal._storage
        storage._file = _FullDisk(storage._file, 30, truncates=False)
        with self.assertRaises(OSError):
            journal.write_back(accept)
        with self.assertRaises(JournalError):
            journal.stage(make_update("b"))
        again = self.load()
        self.assertEqual(again._storage.torn_bytes, 30)  # type: ignore[attr-defined]
        self.assertEqual(picture(again), before)

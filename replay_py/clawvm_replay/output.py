"""Output files: a whole file under its final name or none, and a manifest of what was written."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clawvm_replay.errors import InputError

__all__ = ["MANIFEST_NAME", "OutputDirectory", "WrittenFile", "write_atomically"]

MANIFEST_NAME = "suite.manifest.json"
_PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written: its path relative to the output directory, its bytes and its sha256."""

    path: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: str, content: bytes) -> WrittenFile:
        """Return the file with this content."""
        return cls(path, len(content), hashlib.sha256(content).hexdigest())

    def to_record(self) -> dict[str, object]:
        """Return the file as plain JSON data."""
        return {"bytes": self.size, "path": self.path, "sha256": self.sha256}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its final name never holds half of it, whatever fails; raises InputError with one line.

    File and folder are synchronized with the disk. A link at the name of the partial file is removed, not followed. A
    device or a pipe is written to, not replaced.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        partial = path.with_name(path.name + _PARTIAL_SUFFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(partial, content)
            os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
        _synchronize_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # What an interrupted run left, or a link that somebody planted.
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _synchronize_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Other systems cannot open a folder.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # Some file systems do not synchronize folders.
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


class OutputDirectory:
    """A folder for the files of one run.

    A folder that holds anything is refused unless *force* is given; then the files that an earlier run's manifest lists
    are removed first, and nothing else is touched. With *resume* the folder holds an interrupted run, whose files are
    written again. Raises InputError.
    """

    def __init__(self, root: Path, *, force: bool = False, resume: bool = False) -> None:
        self.root = root
        self.files: list[WrittenFile] = []
        try:
            root.mkdir(parents=True, exist_ok=True)
            if not resume and any(root.iterdir()):
                if not force:
                    raise InputError(
                        f"{root}: is not empty; use --force to replace an earlier run, or name another folder"
                    )
                self._remove_earlier_run()
        except OSError as error:
            raise InputError(f"{root}: cannot be used for output: {error.strerror or error}") from None

    def _remove_earlier_run(self) -> None:
        manifest = self.root / MANIFEST_NAME
        try:
            listed = [PurePosixPath(entry["path"]) for entry in json.loads(manifest.read_bytes())["files"]]
            if any("\0" in str(path) for path in listed):
                raise ValueError
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{manifest}: is not the manifest of an earlier run; name another folder") from None
        # The manifest goes first: a run that is interrupted here must not leave one that lists missing files.
        manifest.unlink()
        for path in listed:
            if not path.is_absolute() and ".." not in path.parts:
                self._inside(path).unlink(missing_ok=True)

    def _inside(self, name: PurePosixPath) -> Path:
        """Return the path of a file below the folder; a folder on the way that is a link leads elsewhere."""
        for folder in list(name.parents)[:-1]:
            if (self.root / folder).is_symlink():
                raise InputError(f"{self.root / folder}: is a link; remove it, or name another folder")
        return self.root / name

    def write(self, name: str, content: bytes) -> WrittenFile:
        """Write one file under its name relative to the folder; raises InputError with one line."""
        write_atomically(self._inside(PurePosixPath(name)), content)
        written = WrittenFile.of(name, content)
        self.files.append(written)
        return written

    def note(self, written: WrittenFile) -> None:
        """Record a file that a worker process wrote below the folder."""
        self.files.append(written)

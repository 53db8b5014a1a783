"""What a shell command line reads, changes and is.

============  ===================================================================
ShellFacts    kind, reads and edits of a command line
shell_facts   the facts of a text, or of a program with its arguments
============  ===================================================================

The kind is READ when nothing but files is shown, SEARCH when files are searched or listed, EDIT when files are changed
and nothing else is run, POLL when it only sleeps, and COMMAND for everything else: what a program prints is the
program's. Words that cannot be known (patterns, variables, substitutions) name no path. A path is as it was written: no
``cd`` and no working directory is put in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from clawvm_transcripts.shell_words import Command, commands_of

__all__ = ["CallFacts", "CallKind", "PathRead", "ShellFacts", "patched_paths", "plain_path", "shell_facts"]


# --- What there is to say about a tool call, apart from the harness that made it.

_HERE = re.compile(r"(?:\./+)+")


class CallKind(str, Enum):
    """What a call does; the names stand in traces and reports."""

    READ = "read"  # A file, or a part of one.
    SEARCH = "search"  # A search in files, or a listing of them.
    COMMAND = "command"  # A program.
    FETCH = "fetch"  # A page of the web, or a search in it.
    EDIT = "edit"  # Changes files.
    PLAN = "plan"  # Writes the agent's plan or to-do list.
    POLL = "poll"  # Waits on a running process, or types into it.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PathRead:
    """A path that a call reads: lines *first* to *last* (from 1).

    Both are None for the whole file, only *last* for everything from *first* on. ``partly`` says that of these lines
    some unknown part is shown (a tail, the matches of a search): such a read covers no other.
    """

    path: str
    first: int | None = None
    last: int | None = None
    partly: bool = False


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of one call.

    ``signature`` is the tool's name with the canonical JSON of its arguments, ``core`` the same without what only says
    how the call is shown or how long it may run. ``reads`` are the paths that it reads, in order; ``edits`` the paths
    that it changes (empty for an edit whose paths cannot be told); ``steps`` the statuses of a plan's steps by their
    words, for a call that writes a plan.

    A call of kind READ shows files and nothing else. Calls of other kinds may have ``reads`` too (a command that prints
    a file and then runs a program), and a COMMAND may have both ``reads`` and ``edits``.
    """

    signature: str
    core: str
    kind: CallKind
    reads: tuple[PathRead, ...] = ()
    edits: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


def plain_path(path: str) -> str:
    """Return *path* without ``./`` in front; relative and absolute names of one file stay two paths."""
    here = _HERE.match(path)
    return path if here is None else path[here.end() :] or "."


# --- The paths in the text of an ``apply_patch`` call.

_HEADER = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): ([^\n]*)", re.MULTILINE)


def patched_paths(patch: str) -> tuple[str, ...]:
    """Return the paths that *patch* changes, each once, in order; linear in its length."""
    return tuple(dict.fromkeys(name for match in _HEADER.finditer(patch) if (name := match.group(1).strip())))


# --- Programs that show files or lines of them: which paths, which lines; and the words of a command without its options.

Words = Sequence[str | None]
"""Words of a command; None stands for one that cannot be known."""

_COUNT = re.compile(r"(?:-n|-|--lines=)(\d{1,9})$")
_FROM = re.compile(r"(?:-n|--lines=)\+(\d{1,9})$")
_LINES = re.compile(r"(\d{1,9})(?:,(?:(\d{1,9})|(\$)|\+(\d{1,9})))?p;?$")
_SED_QUIET = re.compile(r"-[Ersuz]*n|--quiet$|--silent$")
_SED_SCRIPT = re.compile(r"-[nErsuz]*[ef]$|--expression$|--file$")


@dataclass(frozen=True, slots=True)
class View:
    """What a program shows: of each of *paths* the lines *first* to *last*, or some unknown part of them (*partly*)."""

    paths: list[str | None]
    first: int | None = None
    last: int | None = None
    partly: bool = False

    @property
    def whole(self) -> bool:
        """Whether all lines are shown."""
        return self.first is None and not self.partly


def operands(words: Words, valued: Collection[str] = ()) -> list[str | None]:
    """Return the operands in *words*; an option in *valued* has the next word as its value."""
    found: list[str | None] = []
    options = value = False
    for word in words:
        if value:
            value = False
        elif options or word is None or not word.startswith("-") or word == "-":
            found.append(word)
        elif word == "--":
            options = True
        else:
            value = word in valued
    return found


def after_options(words: Words, valued: Collection[str] = ()) -> Words:
    """Return *words* from the first operand on."""
    value = False
    for at, word in enumerate(words):
        if value:
            value = False
        elif word is None or not word.startswith("-"):
            return words[at:]
        else:
            value = word in valued
    return ()


def _cat(words: Words) -> View:
    return View(operands(words))


def _bat(words: Words) -> View:
    partly = any(word is not None and word.startswith(("-r", "--line-range")) for word in words)
    return View(operands(words, ("-r", "--line-range", "-l", "--language")), partly=partly)


def _nl(words: Words) -> View:
    return View(operands(words, ("-b", "-d", "-f", "-h", "-i", "-l", "-n", "-s", "-v", "-w")))


_END_VALUED = ("-n", "-c", "--lines", "--bytes")


def _count(words: Words, pattern: re.Pattern[str]) -> int | None:
    """Return the number of lines that the options of head or tail tell by *pattern*."""
    for at, word in enumerate(words):
        if word is None:
            continue
        if word in ("-n", "--lines"):
            following = words[at + 1] if at + 1 < len(words) else None
            found = pattern.match(f"-n{following}")
            return int(found.group(1)) if found is not None else None
        if (found := pattern.match(word)) is not None:
            return int(found.group(1))
    return None


def _head(words: Words) -> View:
    paths = operands(words, _END_VALUED)
    lines = _count(words, _COUNT)
    if lines is None:
        if any(word is not None and word.startswith(("-n", "-c", "--lines", "--bytes")) for word in words):
            return View(paths, partly=True)
        lines = 10
    return View(paths, 1, lines)


def _tail(words: Words) -> View:
    paths = operands(words, _END_VALUED)
    first = _count(words, _FROM)
    if first is None and words and words[0] is not None and (old := _FROM.match(f"-n{words[0]}")) is not None:
        first, paths = int(old.group(1)), paths[1:]
    return View(paths, partly=True) if first is None else View(paths, max(first, 1))


VIEWERS: dict[str, Callable[[Words], View]] = {
    "bat": _bat,
    "batcat": _bat,
    "cat": _cat,
    "head": _head,
    "less": _cat,
    "more": _cat,
    "nl": _nl,
    "tail": _tail,
}
"""The programs that show files, by name."""


def sed_view(words: Words) -> View:
    """Return what sed with the arguments *words* shows: the lines of a script like ``10,20p``, else an unknown part."""
    quiet = any(word is not None and _SED_QUIET.match(word) is not None for word in words)
    script: str | None = None
    named = value = options = False
    paths: list[str | None] = []
    for word in words:
        if value:
            value, script = False, word
        elif word is not None and not options and word.startswith("-") and word != "-":
            options = word == "--"
            if _SED_SCRIPT.match(word) is not None:
                value = named = True
            elif word == "-l":
                value = True
            elif word.startswith(("--expression=", "--file=")):
                named = True
        else:
            paths.append(word)
    if not named and paths:
        # In BSD's ``-i ''`` the empty suffix stands before the script.
        skipped = 1 if paths[0] == "" and len(paths) > 1 else 0
        script, paths = paths[skipped], paths[skipped + 1 :]
    lines = _LINES.match(script.replace(" ", "")) if quiet and script is not None else None
    if lines is None:
        return View(paths, partly=True)
    first = int(lines.group(1))
    if lines.group(3):
        return View(paths, first)
    if lines.group(4):
        return View(paths, first, first + int(lines.group(4)))
    return View(paths, first, max(int(lines.group(2) or first), first))


# --- What a shell command line reads, changes and is.


@dataclass(frozen=True, slots=True)
class ShellFacts:
    """What a command line is; ``reads`` and ``edits`` in the order in which they stand there."""

    kind: CallKind
    reads: tuple[PathRead, ...] = ()
    edits: tuple[str, ...] = ()


class _Nature(Enum):
    """What one simple command adds to its line."""

    READ = auto()
    SEARCH = auto()
    EDIT = auto()
    SLEEP = auto()
    PROGRAM = auto()
    RESHAPE = auto()  # Makes something else of what it is fed: counts, sorts, cuts.
    NOTHING = auto()


_KEYWORDS = frozenset({"!", "do", "elif", "else", "if", "then", "until", "while", "{"})
_ENDS = frozenset({"done", "esac", "fi", "for", "}"})
_WRAPPERS = frozenset({"builtin", "command", "env", "exec", "nice", "nohup", "stdbuf", "sudo", "time", "timeout"})
_SHELLS = frozenset({"ash", "bash", "dash", "sh", "zsh"})
_SILENT = frozenset(
    {":", "[", "[[", "cd", "echo", "export", "false", "popd", "printf", "pushd", "pwd", "set", "test", "true"}
)
_SILENT_CHANGES = frozenset({"chmod", "mkdir", "touch"})
"""Programs that show nothing worth remembering, and change no content of a file."""
_SEARCHES = frozenset({"ack", "ag", "egrep", "fd", "fdfind", "fgrep", "grep", "ls", "rg", "tree"})
_GIT_SEARCHES = frozenset({"grep", "ls-files"})
_GIT_EDITS = frozenset({"mv", "restore", "rm"})
_RESHAPES = frozenset({"awk", "base64", "column", "cut", "jq", "paste", "rev", "sort", "tac", "tr", "uniq", "wc"})
_FIND_ACTIONS = frozenset({"-delete", "-exec", "-execdir", "-fls", "-fprint", "-fprintf", "-ok", "-okdir"})

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_DURATION = re.compile(r"\d+(?:\.\d+)?[smhd]?$")
_CLUSTER_WITH_C = re.compile(r"-[A-Za-z]*c$")
_SED_IN_PLACE = re.compile(r"-[nErsuz]*i|--in-place")
_PERL_IN_PLACE = re.compile(r"-[0-9A-Za-hj-z]*i")
_PERL_VALUED = ("-e", "-E", "-pe", "-ne", "-pie", "-0pe", "-0pie")

_XARGS_VALUED = ("-E", "-I", "-L", "-P", "-a", "-d", "-n", "-s")

_DEEPEST = 3
"""Shells inside shells that are looked into."""


def shell_facts(command: str | Sequence[str], depth: int = 0) -> ShellFacts:
    """Return the facts of *command*: a line of shell text, or a program with its arguments; linear in its length."""
    line = _Line(depth)
    if isinstance(command, str):
        for simple in commands_of(command):
            line.take(simple)
    else:
        line.take(Command(words=list(command)))
    return line.facts()


class _Line:
    """The simple commands of one line, taken one after the other."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._reads: list[PathRead] = []
        self._edits: list[str] = []
        self._natures: set[_Nature] = set()
        self._flowing = False  # The last read runs, whole, through the pipe.

    def facts(self) -> ShellFacts:
        natures = self._natures - {_Nature.NOTHING}
        if _Nature.SEARCH in natures:
            natures.discard(_Nature.RESHAPE)
            natures.discard(_Nature.READ)
        only = natures.pop() if len(natures) == 1 else None
        kind = _KINDS.get(only, CallKind.COMMAND) if only is not None else CallKind.COMMAND
        return ShellFacts(kind, tuple(self._reads), tuple(dict.fromkeys(self._edits)))

    def take(self, command: Command) -> None:
        """Take the next simple command."""
        words = _unwrapped(command.words)
        written = [target for target in command.writes if target is not None and not target.startswith("/dev/")]
        if command.cut:
            self._natures.add(_Nature.PROGRAM)
        if words and command.hides:
            self._hidden(words, command)
        elif words:
            self._shown(words, command)
        self._edits.extend(map(plain_path, written))

    def _hidden(self, words: Words, command: Command) -> None:
        """Take a command whose output goes to a file: it shows nothing, and writing a text is an edit."""
        inner = _Line(self._depth)
        inner._shown(words, command)
        self._edits.extend(inner._edits)
        self._flowing = False
        quiet = inner._natures <= {_Nature.READ, _Nature.NOTHING, _Nature.RESHAPE, _Nature.EDIT}
        target = command.writes[-1] if command.writes else None
        if quiet and target == "/dev/null":
            self._natures.add(_Nature.EDIT if _Nature.EDIT in inner._natures else _Nature.NOTHING)
        else:
            self._natures.add(_Nature.EDIT if quiet else _Nature.PROGRAM)

    def _shown(self, words: Words, command: Command) -> None:
        name = (words[0] or "").rpartition("/")[2]
        arguments = words[1:]
        fed, self._flowing = self._flowing and command.piped, False
        viewer = VIEWERS.get(name)
        if viewer is not None:
            self._natures.add(self._view(viewer(arguments), command, fed))
            return
        if name == "sed" and any(word is not None and _SED_IN_PLACE.match(word) for word in arguments):
            self._change(sed_view(arguments).paths)
        elif name == "perl" and any(word is not None and _PERL_IN_PLACE.match(word) for word in arguments):
            self._change(operands(arguments, _PERL_VALUED))
        elif name == "sed":
            self._natures.add(self._view(sed_view(arguments), command, fed))
        elif name in _SEARCHES or (name == "find" and not any(word in _FIND_ACTIONS for word in arguments)):
            self._filter(fed)
            self._natures.add(_Nature.SEARCH)
        elif name in _SILENT or name in _SILENT_CHANGES:
            self._natures.add(_Nature.NOTHING)
        elif name in _RESHAPES and command.piped:
            self._filter(fed)
            self._natures.add(_Nature.RESHAPE)
        elif name == "sleep":
            self._natures.add(_Nature.SLEEP)
        elif name == "xargs":
            self._xargs(arguments)
        elif name in _SHELLS:
            self._shell(arguments)
        elif name == "git":
            self._git(arguments)
        elif name in ("apply_patch", "applypatch"):
            patch = command.body if command.body is not None else next(filter(None, arguments), "")
            self._change(patched_paths(patch))
        elif name in ("cp", "mv", "rm", "tee"):
            paths = operands(arguments)
            self._change(paths[-1:] if name == "cp" else paths)
        elif name in _ENDS:
            return
        else:
            self._natures.add(_Nature.PROGRAM)

    def _view(self, view: View, command: Command, fed: bool) -> _Nature:
        """Take a program that shows files, or the lines that it is fed."""
        paths = view.paths
        if not paths and command.source is not None:
            paths = [command.source]
        if not paths:
            if command.piped:
                self._narrow(view, fed)
                self._flowing = fed
                return _Nature.NOTHING
            return _Nature.NOTHING if command.body is not None else _Nature.PROGRAM
        known = [path for path in paths if path is not None and path not in ("-", "")]
        self._reads.extend(PathRead(plain_path(path), view.first, view.last, view.partly) for path in known)
        self._flowing = len(paths) == 1 == len(known)
        return _Nature.READ if len(known) == len(paths) else _Nature.PROGRAM

    def _narrow(self, view: View, fed: bool) -> None:
        """Let only some lines of what runs through the pipe be shown."""
        if not fed or view.whole:
            return
        before = self._reads[-1]
        if before.first is None and not before.partly:
            self._reads[-1] = PathRead(before.path, view.first, view.last, view.partly)
        else:
            self._filter(fed)

    def _filter(self, fed: bool) -> None:
        """Let an unknown part of what runs through the pipe be shown."""
        if fed:
            before = self._reads[-1]
            self._reads[-1] = PathRead(before.path, before.first, before.last, partly=True)

    def _change(self, paths: Iterable[str | None]) -> None:
        self._natures.add(_Nature.EDIT)
        self._edits.extend(plain_path(path) for path in paths if path)

    def _xargs(self, arguments: Words) -> None:
        inner = after_options(arguments, _XARGS_VALUED)
        if not inner or inner[0] is None or inner[0].endswith("xargs"):
            self._natures.add(_Nature.PROGRAM)
            return
        before = len(self._reads)
        self._shown(inner, Command(words=list(inner)))
        # What is read has its name from the pipe, or is one of many.
        del self._reads[before:]
        self._flowing = False

    def _shell(self, arguments: Words) -> None:
        script = None
        for at, word in enumerate(arguments[:-1]):
            if word is not None and _CLUSTER_WITH_C.match(word):
                script = arguments[at + 1]
                break
        if script is None or self._depth >= _DEEPEST:
            self._natures.add(_Nature.PROGRAM)
            return
        inner = _Line(self._depth + 1)
        for simple in commands_of(script):
            inner.take(simple)
        self._reads.extend(inner._reads)
        self._edits.extend(inner._edits)
        self._natures |= inner._natures

    def _git(self, arguments: Words) -> None:
        rest = after_options(arguments, {"-C", "-c"})
        verb = rest[0] if rest else None
        if verb in _GIT_SEARCHES:
            self._natures.add(_Nature.SEARCH)
        elif verb in _GIT_EDITS:
            self._change(operands(rest[1:], {"-s", "--source"}))
        elif verb == "checkout" and "--" in rest:
            self._change(rest[rest.index("--") + 1 :])
        else:
            self._natures.add(_Nature.PROGRAM)


_KINDS = {
    _Nature.READ: CallKind.READ,
    _Nature.SEARCH: CallKind.SEARCH,
    _Nature.EDIT: CallKind.EDIT,
    _Nature.SLEEP: CallKind.POLL,
}


def _unwrapped(words: Words) -> Words:
    """Return *words* without keywords, assignments and programs that only start another one."""
    at, size = 0, len(words)
    while at < size:
        word = words[at]
        if word is None:
            break
        if word in _KEYWORDS or _ASSIGNMENT.match(word) is not None:
            at += 1
        elif word in _WRAPPERS:
            at += 1
            while at < size and (rest := words[at]) is not None and (rest[:1] == "-" or _DURATION.match(rest)):
                at += 1
        else:
            break
    return words[at:] if at else words

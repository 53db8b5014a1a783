"""What a shell command line reads, changes and is: its kind, the paths that it reads and those that it edits.

READ shows files and nothing else, SEARCH searches or lists them, EDIT changes files and runs nothing else, POLL only
sleeps, and everything else is a COMMAND, because its output is that of a program. Words that cannot be known
(patterns, variables, substitutions) name no path. A path is as it was written: no ``cd`` and no working directory is
put in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from clawvm_transcripts.shell_words import ShellCommand, Word, commands_of

__all__ = ["CallKind", "Effects", "PathRead", "name_set", "patched_paths", "plain_path", "shell_effects"]


def name_set(names: str) -> frozenset[str]:
    """Return the set of the *names* in a text, separated by spaces."""
    return frozenset(names.split())


# --- What a call does, whichever tool makes it.


class CallKind(str, Enum):
    """What a call does; traces and reports use these names."""

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

    Both are None for the whole file, only *last* for everything from *first* on. ``partly`` says that an unknown part
    of these lines is shown (a tail, the matches of a search): such a read covers no other.
    """

    path: str
    first: int | None = None
    last: int | None = None
    partly: bool = False


@dataclass(frozen=True, slots=True)
class Effects:
    """What a call does: its kind, the paths that it reads, and those that it edits, in the order of the text."""

    kind: CallKind
    reads: tuple[PathRead, ...] = ()
    edits: tuple[str, ...] = ()


_HERE = re.compile(r"(?:\./+)+")
_PATCH_HEADER = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): ([^\n]*)", re.MULTILINE)


def plain_path(path: str) -> str:
    """Return *path* without ``./`` in front; relative and absolute names of one file stay two paths."""
    here = _HERE.match(path)
    return path if here is None else path[here.end() :] or "."


def patched_paths(patch: str) -> tuple[str, ...]:
    """Return the paths that the text of an ``apply_patch`` changes, each once, in order; linear in its length."""
    return tuple(dict.fromkeys(name for match in _PATCH_HEADER.finditer(patch) if (name := match[1].strip())))


# --- Programs that show files: which of them, and which lines.

Words = Sequence[Word]

_VIEWERS = {"cat": "", "head": "-n -c --lines --bytes", "nl": "-b -d -f -h -i -l -n -s -v -w", "sed": ""}
_VIEWERS["tail"] = _VIEWERS["head"]
"""Programs that show files, with their options that take the next word as a value."""

_ENDS = re.compile(r"(?:^| )(?:(-c|--bytes)|-n ?|--lines[= ]|-(?=\d)|(?=\+\d))(\S*)")
_COUNT = re.compile(r"\d{1,9}")
_FROM = re.compile(r"\+(\d{1,9})")
_SED_QUIET = re.compile(r"-[Ersuz]*n|--quiet$|--silent$")
_SED_SCRIPT = re.compile(r"-[nErsuz]*[ef]$|--(?:expression|file)$")
_SED_LINES = re.compile(r"(\d{1,9})(?:,(?:(\d{1,9})|(\$)|\+(\d{1,9})))?p")
_SED_END = re.compile(r"[;\n]")
_MOST_RANGES = 32


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a program shows: of each of *paths* the *ranges* of lines, or an unknown part of it (*partly*)."""

    paths: list[Word]
    ranges: tuple[tuple[int | None, int | None], ...] = ((None, None),)
    partly: bool = False

    @property
    def all(self) -> bool:
        """Whether it is every line."""
        return self.ranges == ((None, None),) and not self.partly

    def of(self, path: str) -> list[PathRead]:
        """Return the reads that this is of *path*."""
        return [PathRead(path, first, last, self.partly) for first, last in self.ranges]


def _operands(words: Words, valued: Collection[str] = ()) -> list[Word]:
    """Return the operands in *words*; an option in *valued* has the next word as its value."""
    found: list[Word] = []
    rest, options = iter(words), True
    for word in rest:
        if not options or word is None or not word.startswith("-") or word == "-":
            found.append(word)
        elif word == "--":
            options = False
        elif word in valued:
            next(rest, None)
    return found


def _after_options(words: Words, valued: Collection[str]) -> Words:
    """Return *words* from the first operand on."""
    at = 0
    while at < len(words) and (word := words[at]) is not None and word.startswith("-"):
        at += 2 if word in valued else 1
    return words[at:]


def _shown(name: str, words: Words) -> _Shown:
    """Return what the viewer *name* shows with the arguments *words*."""
    if name == "sed":
        return _sed(words)
    paths = _operands(words, _VIEWERS[name].split())
    if name not in ("head", "tail"):
        return _Shown(paths)
    option = _ENDS.search(" ".join(word or "" for word in words))
    if option is None:
        return _Shown(paths, ((1, 10),)) if name == "head" else _Shown(paths, partly=True)
    value = "" if option[1] else option[2]
    if name == "head" and _COUNT.fullmatch(value):
        return _Shown(paths, ((1, int(value)),))
    if name == "tail" and (begin := _FROM.fullmatch(value)):
        return _Shown([path for path in paths if path != value], ((max(int(begin[1]), 1), None),))
    return _Shown(paths, partly=True)


def _sed(words: Words) -> _Shown:
    """Return what sed shows: the lines of a script like ``10,20p``, else an unknown part; also what ``-i`` changes."""
    quiet = any(word is not None and _SED_QUIET.match(word) for word in words)
    scripts: list[Word] = []
    paths: list[Word] = []
    rest, options = iter(words), True
    for word in rest:
        if not options or word is None or not word.startswith("-") or word == "-":
            paths.append(word)
        elif _SED_SCRIPT.match(word):
            scripts.append(next(rest, None))
        elif word.startswith(("--expression=", "--file=")):
            scripts.append(None)
        else:
            options = word != "--"
    if not scripts and paths:
        if paths[0] == "" and len(paths) > 1:
            del paths[0]  # The empty suffix of BSD's ``-i ''``.
        scripts.append(paths.pop(0))
    # To sed, several files are one stream of lines.
    ranges = _sed_ranges(scripts) if quiet and len(paths) < 2 else ()
    return _Shown(paths, ranges) if ranges else _Shown(paths, partly=True)


def _sed_ranges(scripts: Words) -> tuple[tuple[int | None, int | None], ...]:
    """Return the lines that *scripts* print; none for what else they do, or for more than ``_MOST_RANGES``."""
    if None in scripts:
        return ()
    parts = [part for part in _SED_END.split(";".join(filter(None, scripts)).replace(" ", "")) if part]
    found = list(map(_SED_LINES.fullmatch, parts[: _MOST_RANGES + 1]))
    if len(found) > _MOST_RANGES:
        return ()
    ranges: list[tuple[int | None, int | None]] = []
    for lines in found:
        if lines is None:
            return ()
        first, last, end, more = lines.groups()
        begin = int(first)
        ranges.append((begin, None if end else begin + int(more) if more else max(int(last or first), begin)))
    return tuple(ranges)


# --- A command line: what its simple commands add up to.


class _Part(Enum):
    """What one simple command adds to its line."""

    READ = auto()
    SEARCH = auto()
    EDIT = auto()
    SLEEP = auto()
    PROGRAM = auto()
    RESHAPE = auto()  # Makes something else of its input: counts, sorts, cuts.
    NOTHING = auto()  # Shows nothing to remember, and changes no content of a file.


_KINDS = {
    _Part.READ: CallKind.READ,
    _Part.SEARCH: CallKind.SEARCH,
    _Part.EDIT: CallKind.EDIT,
    _Part.SLEEP: CallKind.POLL,
}
_PROGRAMS = {
    _Part.SEARCH: "ack ag egrep fd fdfind fgrep find grep ls rg tree",
    _Part.NOTHING: "cd chmod echo export false mkdir popd printf pushd pwd set test touch true : [ [["
    " done esac fi for }",
    _Part.RESHAPE: "awk base64 column cut jq paste rev sort tac tr uniq wc",
    _Part.SLEEP: "sleep",
}
_PARTS = {name: part for part, names in _PROGRAMS.items() for name in names.split()}
_KEYWORDS = name_set("! do elif else if then until while {")
_WRAPPERS = name_set("builtin command env exec nice nohup stdbuf sudo time timeout")
_SHELLS = name_set("ash bash dash sh zsh")
_FIND_ACTIONS = name_set("-delete -exec -execdir -fls -fprint -fprintf -ok -okdir")
_XARGS_VALUED = name_set("-E -I -L -P -a -d -n -s")
_PERL_VALUED = name_set("-e -E -pe -ne -pie -0pe -0pie")

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_WRAPPER_ARGUMENT = re.compile(r"-|\d+(?:\.\d+)?[smhd]?$")
_SHELL_SCRIPT = re.compile(r"-[A-Za-z]*c$")
_IN_PLACE = {"sed": re.compile(r"-[nErsuz]*i|--in-place"), "perl": re.compile(r"-[0-9A-Za-hj-z]*i")}

_DEEPEST = 3
"""Shells inside shells that are looked into."""


def shell_effects(command: str | Sequence[str]) -> Effects:
    """Return the effects of *command*: a line of shell text, or a program with its arguments; linear in its length."""
    line = _Line()
    line.take(commands_of(command) if isinstance(command, str) else [ShellCommand(words=list(command))])
    return line.effects()


class _Line:
    """The simple commands of one line, taken in order."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._reads: list[PathRead] = []
        self._edits: list[str] = []
        self._parts: set[_Part] = set()
        self._flowing = 0  # How many of the last reads run through the pipe.

    def effects(self) -> Effects:
        parts = self._parts - {_Part.NOTHING}
        if _Part.SEARCH in parts:
            parts -= {_Part.RESHAPE, _Part.READ}
        kind = _KINDS.get(parts.pop(), CallKind.COMMAND) if len(parts) == 1 else CallKind.COMMAND
        return Effects(kind, tuple(self._reads), tuple(dict.fromkeys(self._edits)))

    def take(self, commands: Iterable[ShellCommand]) -> None:
        """Take the next simple commands."""
        for command in commands:
            words = _unwrapped(command.words)
            if command.cut:
                self._parts.add(_Part.PROGRAM)
            if words and command.hides:
                self._hidden(words, command)
            elif words:
                self._visible(words, command)
            self._edits += [plain_path(path) for path in command.writes if path and not path.startswith("/dev/")]

    def _hidden(self, words: Words, command: ShellCommand) -> None:
        """Take a command whose output goes to a file: it shows nothing, and writing a text is an edit."""
        inner = _Line(self._depth)
        inner._visible(words, command)
        self._edits += inner._edits
        self._flowing = 0
        if inner._parts & {_Part.SEARCH, _Part.SLEEP, _Part.PROGRAM}:
            self._parts.add(_Part.PROGRAM)
        elif command.writes[-1:] == ["/dev/null"] and _Part.EDIT not in inner._parts:
            self._parts.add(_Part.NOTHING)
        else:
            self._parts.add(_Part.EDIT)

    def _visible(self, words: Words, command: ShellCommand) -> None:
        name, arguments = (words[0] or "").rpartition("/")[2], words[1:]
        fed, self._flowing = self._flowing if command.piped else 0, 0
        if name in _IN_PLACE and any(word is not None and _IN_PLACE[name].match(word) for word in arguments):
            self._change(_sed(arguments).paths if name == "sed" else _operands(arguments, _PERL_VALUED))
        elif name in _VIEWERS:
            self._parts.add(self._view(_shown(name, arguments), command, fed))
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
            paths = _operands(arguments)
            self._change(paths[-1:] if name == "cp" else paths)
        else:
            part = _PARTS.get(name, _Part.PROGRAM)
            if (part is _Part.RESHAPE and not command.piped) or (name == "find" and _FIND_ACTIONS.intersection(words)):
                part = _Part.PROGRAM
            if fed and part in (_Part.SEARCH, _Part.RESHAPE):
                self._filter(fed)
            self._parts.add(part)

    def _view(self, shown: _Shown, command: ShellCommand, fed: int) -> _Part:
        """Take a program that shows files, or the lines of its input, which are those of the last *fed* reads."""
        paths = shown.paths or ([] if command.source is None else [command.source])
        if not paths:
            self._flowing = fed
            if fed and not shown.all:
                self._narrow(shown, fed)
            return _Part.NOTHING if command.piped or command.body is not None else _Part.PROGRAM
        known = [path for path in paths if path not in (None, "-", "")]
        reads = [read for path in known if path for read in shown.of(plain_path(path))]
        self._reads += reads
        self._flowing = len(reads) if len(known) == len(paths) else 0
        return _Part.READ if len(known) == len(paths) else _Part.PROGRAM

    def _narrow(self, shown: _Shown, fed: int) -> None:
        """Let only some lines of what runs through the pipe be shown."""
        before = self._reads[-1]
        if fed == 1 and before.first is None and not before.partly:
            self._reads[-1:] = shown.of(before.path)
            self._flowing = len(shown.ranges)
        else:
            self._filter(fed)

    def _filter(self, fed: int) -> None:
        """Let an unknown part of what runs through the pipe be shown."""
        self._reads[-fed:] = [replace(read, partly=True) for read in self._reads[-fed:]]

    def _change(self, paths: Iterable[Word]) -> None:
        self._parts.add(_Part.EDIT)
        self._edits += [plain_path(path) for path in paths if path]

    def _xargs(self, arguments: Words) -> None:
        inner = _after_options(arguments, _XARGS_VALUED)
        if not inner or inner[0] is None or inner[0].endswith("xargs"):
            self._parts.add(_Part.PROGRAM)
            return
        before = len(self._reads)
        self._visible(inner, ShellCommand(words=list(inner)))
        # The names of the files that are read come from the pipe.
        del self._reads[before:]
        self._flowing = 0

    def _shell(self, arguments: Words) -> None:
        places = (at for at, word in enumerate(arguments) if word is not None and _SHELL_SCRIPT.match(word))
        script = next((arguments[at + 1] for at in places if at + 1 < len(arguments)), None)
        if script is None or self._depth >= _DEEPEST:
            self._parts.add(_Part.PROGRAM)
            return
        inner = _Line(self._depth + 1)
        inner.take(commands_of(script))
        self._reads += inner._reads
        self._edits += inner._edits
        self._parts |= inner._parts

    def _git(self, arguments: Words) -> None:
        verb, *rest = _after_options(arguments, {"-C", "-c"}) or (None,)
        if verb in ("grep", "ls-files"):
            self._parts.add(_Part.SEARCH)
        elif verb in ("mv", "restore", "rm"):
            self._change(_operands(rest, {"-s", "--source"}))
        elif verb == "checkout" and "--" in rest:
            self._change(rest[rest.index("--") + 1 :])
        else:
            self._parts.add(_Part.PROGRAM)


def _unwrapped(words: Words) -> Words:
    """Return *words* without keywords, assignments and programs that only start another one."""
    at = 0
    wrapped = False  # The words before were a wrapper, whose options and durations follow.
    while at < len(words) and (word := words[at]) is not None:
        if word in _WRAPPERS:
            wrapped = True
        elif wrapped and _WRAPPER_ARGUMENT.match(word):
            pass
        elif word in _KEYWORDS or _ASSIGNMENT.match(word):
            wrapped = False
        else:
            break
        at += 1
    return words[at:] if at else words

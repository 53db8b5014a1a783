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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from clawvm_transcripts.call_kinds import CallKind, PathRead, plain_path
from clawvm_transcripts.patches import patched_paths
from clawvm_transcripts.shell_views import VIEWERS, View, Words, after_options, operands, sed_view
from clawvm_transcripts.shell_words import Command, commands_of

__all__ = ["ShellFacts", "shell_facts"]


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

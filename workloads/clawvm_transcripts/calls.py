"""What a tool call is, apart from the harness that made it: signature, kind, the resources that it reads and edits.

=================  =====================================================================================
CallKind           read, search, command, fetch, edit, plan, poll, other
PathRead           a path that a call reads, and which lines of it
CallFacts          everything that counting and conversion need to know about one call
facts_of           the facts of a call
command_of         the command line that a call runs
PRESENTATION       arguments that only say how a call is shown or how long it may run
=================  =====================================================================================
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from clawvm_transcripts.events import ToolCall
from clawvm_transcripts.shell import CallFacts, CallKind, PathRead, ShellFacts, patched_paths, plain_path, shell_facts
from clawvm_transcripts.shell_words import commands_of

__all__ = ["ACTION_TOOL", "CallFacts", "CallKind", "PathRead", "command_of", "facts_of", "inner_calls", "plain_name"]


# --- The tools that harnesses name: what kind of call each makes, and the fields in which its arguments stand.

SHELLS = frozenset(
    {
        "bash",
        "exec",
        "exec_command",
        "execute_bash",
        "execute_command",
        "local_shell",
        "run",
        "run_in_terminal",
        "run_shell_command",
        "run_terminal_cmd",
        "shell",
        "shell_command",
        "terminal",
    }
)
"""Tools that take a command line."""

EDITORS = frozenset({"editor", "file_editor", "str_replace_based_edit_tool", "str_replace_editor", "text_editor"})
"""Tools whose field ``command`` says whether they show or change a file."""

_NAMES = {
    CallKind.READ: "read read_file read_many_files view view_file view_image notebookread notebook_read",
    CallKind.SEARCH: "grep glob ls list find search list_dir list_directory list_files search_files search_file_content"
    " grep_search file_search glob_file_search codebase_search ast_grep",
    CallKind.FETCH: "webfetch websearch web_fetch web_search fetch fetch_webpage google_web_search browse"
    " browse_interactive browser_navigate browser_snapshot read_url_content",
    CallKind.EDIT: "edit write multiedit multi_edit notebookedit notebook_edit apply_patch create create_file"
    " write_file edit_file delete_file str_replace insert replace search_replace undo_edit",
    CallKind.PLAN: "todowrite todo_write write_todos update_todo manage_todo_list todo plan update_plan taskcreate"
    " taskupdate exitplanmode exit_plan_mode task_tracking task_tracker",
    CallKind.POLL: "write_stdin wait taskoutput bashoutput sleep process read_bash write_bash get_terminal_output",
}

KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""The kind of a tool by its plain name."""

_PATH_FIELDS = ("file_path", "path", "filePath", "notebook_path", "absolute_path", "target_file", "filename", "file")
_PATH_LISTS = ("paths", "files")
_STEP_LISTS = ("todos", "plan", "todoList", "task_list", "tasks", "steps", "items")
_STEP_WORDS = ("content", "step", "title", "text", "subject", "task", "description")
_MOST_LINES = 10**9


@lru_cache(maxsize=4096)
def plain_name(tool: str) -> str:
    """Return the name of *tool* without server (``mcp__server__tool``), namespace (``space.tool``) and capitals."""
    name = tool.rpartition("__")[2] if tool.startswith("mcp__") else tool.rpartition(".")[2]
    return name.lower()


def paths_in(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that a file tool is given, as they stand there but for ``./`` in front."""
    for field in _PATH_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) and value:
            return (plain_path(value),)
    for field in _PATH_LISTS:
        values = arguments.get(field)
        if isinstance(values, list):
            return tuple(plain_path(value) for value in values if isinstance(value, str) and value)
    return ()


def lines_in(arguments: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the first and the last line that a read tool is asked for, as in PathRead."""
    span = arguments.get("view_range")
    if isinstance(span, list) and len(span) == 2:
        first, last = _line(span[0]), _line(span[1])
    elif "offset" in arguments or "limit" in arguments:
        first, count = _line(arguments.get("offset")), _line(arguments.get("limit"))
        last = None if count is None else (first or 1) + count - 1
    else:
        first = _line(arguments.get("start_line", arguments.get("startLine", arguments.get("start"))))
        last = _line(arguments.get("end_line", arguments.get("endLine", arguments.get("end"))))
    if last is not None:
        return (first or 1, last) if last >= (first or 1) else (first, None)
    return (None, None) if first == 1 else (first, None)


def _line(value: Any) -> int | None:
    # Some tools count from 0 or say -1 for the end.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_LINES else None


def steps_in(arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the words and the status of each step of a plan; () for arguments that hold no list of steps."""
    entries = next((value for field in _STEP_LISTS if isinstance(value := arguments.get(field), list)), None)
    if entries is None:
        # One step at a time, by its words.
        subject = arguments.get("subject")
        entries = [arguments] if isinstance(subject, str) else []
    steps = []
    for entry in entries:
        if isinstance(entry, str):
            steps.append((entry, "pending"))
        elif isinstance(entry, dict):
            words = next((value for field in _STEP_WORDS if isinstance(value := entry.get(field), str)), "")
            if words:
                steps.append((words, _status(entry)))
    return tuple(steps)


def _status(entry: Mapping[str, Any]) -> str:
    status = entry.get("status", entry.get("state"))
    if isinstance(status, str) and status:
        return status
    return "completed" if entry.get("done", entry.get("completed")) is True else "pending"


# --- The command lines of SWE-agent: a shell with an editor of its own inside.

ACTION_TOOL = "action"

_SEARCHES = frozenset({"find_file", "search_dir", "search_file"})


def action_facts(text: str) -> ShellFacts:
    """Return the facts of the action *text*; linear in its length."""
    line = text.split("\n", 1)[0]
    name = line.split(None, 1)[0] if line.strip() else ""
    if name in _SEARCHES:
        return ShellFacts(CallKind.SEARCH)
    if name in ("edit", "insert"):
        return ShellFacts(CallKind.EDIT)
    if name not in ("open", "create", "str_replace_editor"):
        return shell_facts(text)
    words = [word for word in commands_of(line)[0].words[1:] if word is not None]
    if name == "open":
        # It shows a window of the file.
        return ShellFacts(CallKind.READ, tuple(PathRead(plain_path(path), partly=True) for path in words[:1]))
    if name == "create":
        return ShellFacts(CallKind.EDIT, (), tuple(map(plain_path, words[:1])))
    verb, paths = words[:1], tuple(map(plain_path, words[1:2]))
    if verb != ["view"]:
        return ShellFacts(CallKind.EDIT, (), paths)
    span = words[words.index("--view_range") + 1 :][:2] if "--view_range" in words else []
    if len(span) == 2 and all(number.isdecimal() and len(number) < 10 for number in span):
        return ShellFacts(CallKind.READ, tuple(PathRead(path, int(span[0]), int(span[1])) for path in paths))
    return ShellFacts(CallKind.READ, tuple(PathRead(path, partly=bool(span)) for path in paths))


# --- The tokens of a small JavaScript program, as far as they are needed to find the literals in it.

MOST_TOKENS = 1 << 17
"""No program that a model writes for one call has more; a longer one is not looked at, which bounds the memory."""

_SPACE = re.compile(r"(?:\s+|//[^\n]*)+")
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_NUMBER = re.compile(r"(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)n?", re.ASCII)
_TEXT = {quote: re.compile(rf"{quote}([^{quote}\\\n]*(?:\\[\s\S][^{quote}\\\n]*)*){quote}") for quote in "\"'"}
_TEMPLATE = re.compile(r"([^`\\$]*(?:(?:\\[\s\S]|\$(?!\{))[^`\\$]*)*)(`|\$\{)")
_PATTERN = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_SIGN = re.compile(r"=>|===?|\?\.|\.\.\.|\+\+|\+=|--|[\s\S]")

_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|[\s\S]))")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"} | dict.fromkeys(
    ("\n", "\r\n", "\r", "\u2028", "\u2029"), ""
)
_SURROGATE = re.compile("[\ud800-\udfff]")

_CLOSING = {"(": ")", "[": "]", "{": "}"}

_BEFORE_PATTERN = frozenset(
    {"await", "case", "delete", "else", "in", "of", "return", "throw", "typeof", "void", "yield"}
)
"""Names behind which a slash begins a pattern; behind any other it divides."""


class ProgramError(ValueError):
    """A program cannot be understood."""


class TokenKind(Enum):
    """Kinds of tokens; a template with substitutions is a head, middles and a tail around their tokens."""

    NAME = 1
    TEXT = 2
    NUMBER = 3
    SIGN = 4
    PATTERN = 5
    TEMPLATE_HEAD = 6
    TEMPLATE_MIDDLE = 7
    TEMPLATE_TAIL = 8
    END = 9


class Token(NamedTuple):
    """One token: its text, for texts and templates what they stand for; ``fresh`` if it begins a line."""

    kind: TokenKind
    text: str
    fresh: bool = False


class ProgramTokens:
    """The tokens of a program and, for every bracket and template head, the index of the token that closes it.

    Raises ProgramError for brackets that do not match, for a text without an end and for too many tokens. The last
    token is of kind END.
    """

    def __init__(self, program: str) -> None:
        self.tokens: list[Token] = []
        self.closing: dict[int, int] = {}
        self._program = program
        self._position = 0
        self._open: list[tuple[str, int, bool]] = []  # What closes it, its index, and whether a template is raw.
        self._read()

    def _read(self) -> None:
        fresh = False
        while True:
            fresh |= self._skip_space()
            if self._position >= len(self._program):
                break
            if len(self.tokens) >= MOST_TOKENS:
                raise ProgramError("too many tokens")
            self._token(fresh)
            fresh = False
        if self._open:
            raise ProgramError("a bracket is not closed")
        self._add(TokenKind.END, "", True)

    def _skip_space(self) -> bool:
        """Pass over white space and comments; return whether a line ended there."""
        start = self._position
        while True:
            space = _SPACE.match(self._program, self._position)
            if space:
                self._position = space.end()
            if not self._program.startswith("/*", self._position):
                return self._program.find("\n", start, self._position) >= 0
            end = self._program.find("*/", self._position + 2)
            if end < 0:
                raise ProgramError("a comment is not closed")
            self._position = end + 2

    def _token(self, fresh: bool) -> None:
        first = self._program[self._position]
        if first in _TEXT:
            quoted = self._match(_TEXT[first])
            self._add(TokenKind.TEXT, _unescaped(quoted[1]), fresh)
        elif first == "`":
            self._position += 1
            self._template(fresh, self._is_raw())
        elif first == "}" and self._open and self._open[-1][0] == "`":
            self._position += 1
            _, head, raw = self._open.pop()
            self._template(fresh, raw, head)
        elif first == "/" and self._may_be_pattern():
            self._add(TokenKind.PATTERN, self._match(_PATTERN)[0], fresh)
        elif name := _NAME.match(self._program, self._position):
            self._position = name.end()
            self._add(TokenKind.NAME, name[0], fresh)
        elif number := _NUMBER.match(self._program, self._position):
            self._position = number.end()
            self._add(TokenKind.NUMBER, number[0], fresh)
        else:
            self._sign(fresh)

    def _sign(self, fresh: bool) -> None:
        sign = self._match(_SIGN)[0]
        if sign in _CLOSING:
            self._open.append((_CLOSING[sign], len(self.tokens), False))
        elif sign in (")", "]", "}"):
            if not self._open or self._open[-1][0] != sign:
                raise ProgramError("a bracket is not open")
            self.closing[self._open.pop()[1]] = len(self.tokens)
        self._add(TokenKind.SIGN, sign, fresh)

    def _template(self, fresh: bool, raw: bool, head: int | None = None) -> None:
        """Read a piece of a template up to a substitution or its end; *head* is its first piece, None if this is it."""
        piece = self._match(_TEMPLATE)
        text = piece[1] if raw else _unescaped(piece[1])
        if piece[2] == "`":
            if head is not None:
                self.closing[head] = len(self.tokens)
            self._add(TokenKind.TEXT if head is None else TokenKind.TEMPLATE_TAIL, text, fresh)
            return
        self._open.append(("`", len(self.tokens) if head is None else head, raw))
        self._add(TokenKind.TEMPLATE_HEAD if head is None else TokenKind.TEMPLATE_MIDDLE, text, fresh)

    def _is_raw(self) -> bool:
        """Return whether ``String.raw`` stands here, and drop it: the token behind it is the text."""
        texts = [token.text for token in self.tokens[-3:] if token.kind in (TokenKind.NAME, TokenKind.SIGN)]
        if texts != ["String", ".", "raw"]:
            return False
        del self.tokens[-3:]
        return True

    def _may_be_pattern(self) -> bool:
        if not self.tokens:
            return True
        before = self.tokens[-1]
        if before.kind is TokenKind.NAME:
            return before.text in _BEFORE_PATTERN
        if before.kind is TokenKind.SIGN:
            return before.text not in (")", "]", "}")
        return before.kind in (TokenKind.TEMPLATE_HEAD, TokenKind.TEMPLATE_MIDDLE)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._program, self._position)
        if found is None:
            raise ProgramError("a text is not closed")
        self._position = found.end()
        return found

    def _add(self, kind: TokenKind, text: str, fresh: bool) -> None:
        self.tokens.append(Token(kind, text, fresh))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    text = _ESCAPE.sub(_escaped, text)
    if _SURROGATE.search(text):
        # Two escapes may make one character; a lone half could not be written down.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _escaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code:
        return chr(min(int(code, 16), 0x10FFFF))
    return _ESCAPED.get(escape[4], escape[4])


# --- The tool calls inside the small JavaScript programs that newer releases of Codex write for their ``exec`` tool.

TOOLS = "tools"

DEEPEST = 60
"""Levels of nested literals that are read."""

LONGEST_NUMBER = 300
"""Digits of a number that is read."""

GROWTH = 16
"""How often its own length the literals of a program may take in all, as constants may be used again and again."""

_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


class _NoLiteral(Exception):
    """What stands here is no literal."""


def inner_calls(program: str) -> tuple[tuple[str, Any], ...]:
    """Return (tool, arguments) of every call of a tool in *program*, in the order in which they are written.

    Arguments are plain JSON data: properties that are no literals are left out, and an argument that is none, or a
    missing one, is {}. A program that cannot be understood gives (). Takes time linear in the length of the program.
    """
    if TOOLS not in program:
        return ()
    try:
        return tuple(_Program(program).calls())
    except ProgramError:
        return ()


class _Program:
    def __init__(self, program: str) -> None:
        read = ProgramTokens(program)
        self._tokens = read.tokens
        self._closing = read.closing
        self._constants: dict[str, tuple[Any, int] | None] = {}  # Value and size; None for a name declared twice.
        self._size = 0  # Characters and values in all literals so far.
        self._largest = GROWTH * len(program) + 1000

    def calls(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for position, token in enumerate(self._tokens):
            if token.kind is TokenKind.SIGN and token.text == "=>":
                self._forget_parameters(position - 1)
            if token.kind is not TokenKind.NAME:
                continue
            if token.text == "const":
                self._declare(position + 1)
            elif token.text == TOOLS and not (position and self._is_sign(position - 1, ".")):
                name, start = self._called(position + 1)
                if name:
                    found.append((name, self._argument(start)))
        return found

    def _called(self, position: int) -> tuple[str, int]:
        """Return the tool that is called behind ``tools``, and where its argument begins; "" for no call."""
        name = ""
        if self._is_sign(position, ".", "?.") and self._tokens[position + 1].kind is TokenKind.NAME:
            name, position = self._tokens[position + 1].text, position + 2
        elif self._is_sign(position, "[") and self._closing[position] == position + 2:
            text = self._tokens[position + 1]
            name, position = text.text if text.kind is TokenKind.TEXT else "", position + 3
        if self._is_sign(position, "?."):
            position += 1
        return (name, position + 1) if self._is_sign(position, "(") else ("", position)

    def _argument(self, position: int) -> Any:
        try:
            return self._item(position, 0)[0]
        except _NoLiteral:
            return {}

    def _declare(self, position: int) -> None:
        """Remember the constants declared at *position*, those that are literals and the only ones of their names."""
        while self._tokens[position].kind is TokenKind.NAME:
            name = self._tokens[position].text
            known, self._constants[name] = name in self._constants, None
            if known or not self._is_sign(position + 1, "="):
                return
            before = self._size
            try:
                value, end = self._literal(position + 2, 0)
            except _NoLiteral:
                return
            token = self._tokens[end]
            if not self._is_sign(end, ",", ";", ")", "]", "}") and not (
                token.fresh and token.kind in (TokenKind.NAME, TokenKind.END)
            ):
                return
            self._constants[name] = value, self._size - before
            if not self._is_sign(end, ","):
                return
            position = end + 1

    def _forget_parameters(self, position: int) -> None:
        """Forget constants that are hidden by the parameters of a function, the last of which ends at *position*."""
        # Up to the arrow before it at most, so that no token is looked at again and again.
        while position >= 0 and not self._is_sign(position, "(", "=>"):
            token = self._tokens[position]
            if token.kind is TokenKind.NAME:
                self._constants[token.text] = None
                if self._is_sign(position + 1, "=>"):
                    return
            position -= 1

    def _item(self, position: int, depth: int) -> tuple[Any, int]:
        """Return the literal that is all of an item of a list, and where the item ends; raises _NoLiteral."""
        value, end = self._literal(position, depth)
        if not self._is_sign(end, ",", ")", "]", "}"):
            raise _NoLiteral
        return value, end

    def _literal(self, position: int, depth: int) -> tuple[Any, int]:
        """Return the literal that begins at *position*, texts joined by ``+``, and where it ends; raises _NoLiteral."""
        value, position = self._unit(position, depth)
        if not self._is_sign(position, "+"):
            return value, position
        texts = [value]
        while self._is_sign(position, "+"):
            value, position = self._unit(position + 1, depth)
            texts.append(value)
        if not all(isinstance(text, str) for text in texts):
            raise _NoLiteral
        return "".join(texts), position

    def _unit(self, position: int, depth: int) -> tuple[Any, int]:
        token = self._tokens[position]
        if depth > DEEPEST:
            raise _NoLiteral
        self._grow(1)
        if token.kind is TokenKind.TEXT:
            self._grow(len(token.text))
            return token.text, position + 1
        if token.kind is TokenKind.TEMPLATE_HEAD:
            return self._template(position, depth)
        if token.kind is TokenKind.NUMBER:
            return _number(token.text), position + 1
        if token.kind is TokenKind.NAME:
            return self._name(token), position + 1
        if token.kind is not TokenKind.SIGN:
            raise _NoLiteral
        if token.text == "-" and self._tokens[position + 1].kind is TokenKind.NUMBER:
            return -_number(self._tokens[position + 1].text), position + 2
        if token.text == "(":
            value, end = self._literal(position + 1, depth + 1)
            if not self._is_sign(end, ")"):
                raise _NoLiteral
            return value, end + 1
        if token.text == "[":
            return self._array(position, depth)
        if token.text == "{":
            return self._object(position, depth)
        raise _NoLiteral

    def _name(self, token: Token) -> Any:
        if token.text in _WORDS:
            return _WORDS[token.text]
        constant = self._constants.get(token.text)
        if constant is None:
            raise _NoLiteral
        self._grow(constant[1])
        return constant[0]

    def _template(self, position: int, depth: int) -> tuple[str, int]:
        pieces = [self._tokens[position].text]
        while self._tokens[position].kind is not TokenKind.TEMPLATE_TAIL:
            value, position = self._literal(position + 1, depth + 1)
            if not isinstance(value, str) and (not isinstance(value, int) or isinstance(value, bool)):
                raise _NoLiteral
            if self._tokens[position].kind not in (TokenKind.TEMPLATE_MIDDLE, TokenKind.TEMPLATE_TAIL):
                raise _NoLiteral
            pieces += [str(value), self._tokens[position].text]
        text = "".join(pieces)
        self._grow(len(text))
        return text, position + 1

    def _array(self, position: int, depth: int) -> tuple[Any, int]:
        """Read an array, or the text that its elements are joined to; one element that is no literal spoils it."""
        end = self._closing[position]
        values: list[Any] = []
        position += 1
        while position < end:
            value, position = self._item(position, depth + 1)
            values.append(value)
            position += position < end
        if not (self._is_sign(end + 1, ".") and self._tokens[end + 2].text == "join" and self._is_sign(end + 3, "(")):
            return values, end + 1
        between, close = self._literal(end + 4, depth + 1)
        if not self._is_sign(close, ")") or not all(isinstance(text, str) for text in [between, *values]):
            raise _NoLiteral
        self._grow(len(between) * len(values))
        return between.join(values), close + 1

    def _object(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        """Read an object; a property that is no literal is left out."""
        end = self._closing[position]
        values: dict[str, Any] = {}
        position += 1
        while position < end:
            try:
                properties, position = self._property(position, depth + 1)
                values.update(properties)
            except _NoLiteral:
                position = self._separator(position)
            position += position < end
        return values, end + 1

    def _property(self, position: int, depth: int) -> tuple[dict[str, Any], int]:
        token = self._tokens[position]
        if self._is_sign(position, "..."):
            values, end = self._item(position + 1, depth)
            if not isinstance(values, dict):
                raise _NoLiteral
            return values, end
        if token.kind is TokenKind.NAME and self._is_sign(position + 1, ",", "}"):
            self._grow(1)
            return {token.text: self._name(token)}, position + 1
        if token.kind not in (TokenKind.NAME, TokenKind.TEXT, TokenKind.NUMBER) or not self._is_sign(position + 1, ":"):
            raise _NoLiteral
        value, end = self._item(position + 2, depth)
        return {token.text: value}, end

    def _separator(self, position: int) -> int:
        """Return where the item at *position* ends; what stands in brackets is jumped over."""
        while not self._is_sign(position, ",", ")", "]", "}"):
            position = self._closing.get(position, position) + 1
        return position

    def _is_sign(self, position: int, *signs: str) -> bool:
        token = self._tokens[min(position, len(self._tokens) - 1)]
        return token.kind is TokenKind.SIGN and token.text in signs

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._largest:
            raise ProgramError("constants are used too often")


def _number(text: str) -> int | float:
    digits = text.replace("_", "").removesuffix("n")
    if len(digits) > LONGEST_NUMBER:
        raise _NoLiteral
    if digits[1:2].lower() in ("x", "b", "o"):
        try:
            return int(digits, 0)
        except ValueError:
            raise _NoLiteral from None
    if digits.isdigit():
        return int(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise _NoLiteral
    return int(value) if value.is_integer() else value


# --- What a tool call is, apart from the harness that made it: signature, kind, the resources that it reads and edits.

PRESENTATION = frozenset(
    {
        "description",
        "explanation",
        "justification",
        "login",
        "max_output_tokens",
        "prefix_rule",
        "sandbox_permissions",
        "timeout",
        "timeout_ms",
        "tty",
        "yield_time_ms",
    }
)
"""Arguments that only say how a call is shown or how long it may run; they are left out of the core signature."""

_COMMAND_FIELDS = ("command", "cmd", "script")
_PATCH_FIELDS = ("input", "patch", "patchText")
_PAGES = frozenset({"open", "navigate", "snapshot", "screenshot"})

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def facts_of(call: ToolCall) -> CallFacts:
    """Return the facts of *call*; never raises for arguments of an unexpected shape. Linear in their length."""
    arguments = call.arguments
    signature = core = f"{call.tool} {_text_of(arguments)}"
    if isinstance(arguments, dict) and not PRESENTATION.isdisjoint(arguments):
        kept = {name: value for name, value in arguments.items() if name not in PRESENTATION}
        core = f"{call.tool} {_text_of(kept)}"
    name = plain_name(call.tool)
    facts = _facts(name, arguments)
    steps = steps_in(arguments) if facts.kind is CallKind.PLAN and isinstance(arguments, dict) else ()
    return CallFacts(signature, core, facts.kind, facts.reads, facts.edits, steps)


def command_of(call: ToolCall) -> str | list[str] | None:
    """Return the command line that a shell tool runs, or the program with its arguments; None for any other call."""
    if plain_name(call.tool) not in SHELLS or not isinstance(call.arguments, dict):
        return None
    return _command_in(call.arguments)


def _text_of(arguments: Any) -> str:
    try:
        return _canonical(arguments)
    except (TypeError, ValueError, RecursionError):
        return "?"


def _command_in(arguments: Mapping[str, Any]) -> str | list[str] | None:
    for field in _COMMAND_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return value
    return None


def _facts(name: str, arguments: Any, inside: bool = False) -> ShellFacts:
    """Return kind, reads and edits of a call of the tool *name*."""
    if isinstance(arguments, str):
        return _facts_of_text(name, arguments, inside)
    if not isinstance(arguments, dict):
        return ShellFacts(KINDS.get(name, CallKind.OTHER))
    if name in SHELLS:
        command = _command_in(arguments)
        if arguments.get("is_input") is True:
            return ShellFacts(CallKind.POLL)  # Typed into the program that runs.
        return ShellFacts(CallKind.COMMAND) if command is None else shell_facts(command)
    if name in EDITORS:
        kind = CallKind.READ if arguments.get("command") == "view" else CallKind.EDIT
    elif name == "browser":
        action = arguments.get("action")
        kind = CallKind.FETCH if isinstance(action, str) and action in _PAGES else CallKind.OTHER
    else:
        kind = KINDS.get(name, CallKind.OTHER)
    if kind is CallKind.READ:
        first, last = lines_in(arguments)
        return ShellFacts(kind, tuple(PathRead(path, first, last) for path in paths_in(arguments)))
    if kind is not CallKind.EDIT:
        return ShellFacts(kind)
    if name == "apply_patch":
        patch = next((value for field in _PATCH_FIELDS if isinstance(value := arguments.get(field), str)), "")
        return ShellFacts(kind, (), patched_paths(patch))
    return ShellFacts(kind, (), paths_in(arguments))


def _facts_of_text(name: str, text: str, inside: bool) -> ShellFacts:
    """Return the facts of a call whose tool took a text."""
    if name == "exec":
        return ShellFacts(CallKind.COMMAND) if inside else _facts_of_program(text)
    if name == ACTION_TOOL:
        return action_facts(text)
    if name == "apply_patch":
        return ShellFacts(CallKind.EDIT, (), patched_paths(text))
    if name in SHELLS:
        return shell_facts(text)
    return ShellFacts(KINDS.get(name, CallKind.OTHER))


def _facts_of_program(program: str) -> ShellFacts:
    """Return what the calls inside a program are together; it only polls when all of them do."""
    kinds: set[CallKind] = set()
    reads: list[PathRead] = []
    edits: list[str] = []
    for tool, arguments in inner_calls(program):
        facts = _facts(plain_name(tool), arguments, inside=True)
        kinds.add(facts.kind)
        reads.extend(facts.reads)
        edits.extend(facts.edits)
    if len(kinds) > 1:
        kinds.discard(CallKind.POLL)
    if kinds == {CallKind.READ, CallKind.SEARCH}:
        kinds.discard(CallKind.READ)
    kind = kinds.pop() if len(kinds) == 1 else CallKind.COMMAND
    return ShellFacts(kind, tuple(reads), tuple(dict.fromkeys(edits)))

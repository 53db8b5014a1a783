"""The facts of tool calls, whatever harness made them."""

import unittest
from typing import Any

from clawvm_transcripts.calls import CallFacts, CallKind, PathRead, command_of, facts_of, inner_calls
from clawvm_transcripts.events import RecordedCall
from clawvm_transcripts.shell import plain_path


def facts(tool: str, arguments: Any) -> CallFacts:
    return facts_of(RecordedCall("1", tool, arguments))


def read_of(tool: str, arguments: Any) -> tuple[CallKind, tuple[PathRead, ...]]:
    found = facts(tool, arguments)
    return found.kind, found.reads


class SignatureTest(unittest.TestCase):
    def test_the_order_of_arguments_does_not_matter(self) -> None:
        self.assertEqual(facts("Grep", {"a": 1, "b": 2}), facts("Grep", {"b": 2, "a": 1}))

    def test_tool_and_arguments_make_the_signature(self) -> None:
        signatures = {
            facts(tool, arguments).signature
            for tool in ("Read", "read")
            for arguments in ({"path": "a"}, {"path": "b"}, {"path": ["a"]}, "a", {})
        }
        self.assertEqual(len(signatures), 10)

    def test_presentation_is_left_out_of_the_core_only(self) -> None:
        bare = facts("Bash", {"command": "make"})
        self.assertEqual(bare.signature, bare.core)
        names = "description timeout timeout_ms yield_time_ms max_output_tokens justification sandbox_permissions"
        for name in [*names.split(), "prefix_rule", "explanation", "login", "tty"]:
            with self.subTest(name):
                dressed = facts("Bash", {"command": "make", name: 1})
                self.assertEqual(dressed.core, bare.core)
                self.assertNotEqual(dressed.signature, bare.signature)

    def test_what_is_inside_an_argument_is_no_presentation(self) -> None:
        self.assertNotEqual(facts("x", {"y": {"timeout": 1}}).core, facts("x", {"y": {}}).core)

    def test_a_text_is_its_own_core(self) -> None:
        found = facts("exec", "tools.wait({})")
        self.assertEqual(found.signature, found.core)


class ReadTest(unittest.TestCase):
    def test_read_tools_of_all_harnesses(self) -> None:
        for tool, field in (
            ("Read", "file_path"),
            ("read", "path"),
            ("read_file", "path"),
            ("read_file", "absolute_path"),
            ("view", "path"),
            ("NotebookRead", "notebook_path"),
            ("mcp__files__read_file", "path"),
        ):
            with self.subTest(tool, field=field):
                self.assertEqual(read_of(tool, {field: "./a"}), (CallKind.READ, (PathRead("a"),)))

    def test_several_paths(self) -> None:
        self.assertEqual(facts("read_many_files", {"paths": ["a", "./b", 3]}).reads, (PathRead("a"), PathRead("b")))

    def test_lines(self) -> None:
        for arguments, first, last in (
            ({"offset": 5, "limit": 10}, 5, 14),
            ({"limit": 10}, 1, 10),
            ({"offset": 5}, 5, None),
            ({"offset": 0}, None, None),
            ({"offset": 1}, None, None),
            ({"view_range": [3, 9]}, 3, 9),
            ({"view_range": [3, -1]}, 3, None),
            ({"view_range": None, "start": 0, "end": -1}, None, None),
            ({"start_line": 3, "end_line": 9}, 3, 9),
            ({"offset": "5", "limit": True}, None, None),
            ({"view_range": [9, 3]}, 9, None),
        ):
            with self.subTest(arguments=arguments):
                self.assertEqual(facts("read", {"path": "a", **arguments}).reads, (PathRead("a", first, last),))

    def test_an_editor_shows_or_changes_by_its_command(self) -> None:
        for tool in ("str_replace_editor", "str_replace_based_edit_tool"):
            with self.subTest(tool):
                self.assertEqual(
                    read_of(tool, {"command": "view", "path": "a", "view_range": [3, 9]}),
                    (CallKind.READ, (PathRead("a", 3, 9),)),
                )
                for command in ("create", "str_replace", "insert", "undo_edit"):
                    found = facts(tool, {"command": command, "path": "a"})
                    self.assertEqual((found.kind, found.reads, found.edits), (CallKind.EDIT, (), ("a",)))

    def test_only_a_dot_in_front_is_taken_off_a_path(self) -> None:
        for path, plain in (
            ("./a", "a"),
            (".//./a", "a"),
            ("./", "."),
            ("../a", "../a"),
            (".a", ".a"),
            ("/x/./a", "/x/./a"),
        ):
            with self.subTest(path):
                self.assertEqual(plain_path(path), plain)


class KindTest(unittest.TestCase):
    def test_kinds_by_name(self) -> None:
        for kind, tools in {
            CallKind.SEARCH: ("Grep", "Glob", "LS", "list", "find", "ls", "grep"),
            CallKind.FETCH: ("WebFetch", "WebSearch", "web_search", "web_fetch", "fetch", "mcp__x__browser_snapshot"),
            CallKind.EDIT: ("Edit", "Write", "MultiEdit", "NotebookEdit", "edit", "write", "create", "apply_patch"),
            CallKind.PLAN: ("TodoWrite", "update_plan", "TaskCreate", "TaskUpdate", "ExitPlanMode", "todo"),
            CallKind.POLL: ("write_stdin", "wait", "TaskOutput", "BashOutput", "process", "read_bash"),
            CallKind.OTHER: ("Agent", "Task", "Skill", "mcp__x__deploy", "ToolSearch", "", "mcp__"),
        }.items():
            for tool in tools:
                with self.subTest(tool):
                    self.assertIs(facts(tool, {}).kind, kind)

    def test_a_namespace_is_no_part_of_the_name(self) -> None:
        self.assertIs(facts("functions.write_stdin", {}).kind, CallKind.POLL)

    def test_a_browser_shows_pages_or_does_something_else(self) -> None:
        for action, kind in (("open", CallKind.FETCH), ("click", CallKind.OTHER), (["open"], CallKind.OTHER)):
            with self.subTest(action):
                self.assertIs(facts("browser", {"action": action}).kind, kind)

    def test_shells_of_all_harnesses(self) -> None:
        for tool, arguments in (
            ("Bash", {"command": "cat a"}),
            ("bash", {"command": "cat a"}),
            ("exec_command", {"cmd": "cat a", "workdir": "/x"}),
            ("shell", {"command": ["bash", "-lc", "cat a"]}),
            ("local_shell", {"type": "exec", "command": ["cat", "a"]}),
            ("exec", {"command": "cat a"}),
            ("run", {"command": "cat a", "is_input": False}),
            ("bash", "cat a"),
        ):
            with self.subTest(tool, arguments=arguments):
                self.assertEqual(read_of(tool, arguments), (CallKind.READ, (PathRead("a"),)))

    def test_typing_into_a_program_is_a_poll(self) -> None:
        self.assertIs(facts("run", {"command": "cat a", "is_input": True}).kind, CallKind.POLL)

    def test_a_shell_without_a_command_is_a_command(self) -> None:
        for arguments in ({}, {"command": None}, {"command": ["a", 1]}):
            with self.subTest(arguments=arguments):
                self.assertEqual(read_of("Bash", arguments), (CallKind.COMMAND, ()))

    def test_the_command_of_a_call(self) -> None:
        self.assertEqual(command_of(RecordedCall("", "exec_command", {"cmd": "ls"})), "ls")
        self.assertIsNone(command_of(RecordedCall("", "Read", {"command": "ls"})))
        self.assertIsNone(command_of(RecordedCall("", "exec", "ls")))


class EditTest(unittest.TestCase):
    def test_edits_name_their_path(self) -> None:
        for tool, arguments in (
            ("Edit", {"file_path": "./a"}),
            ("NotebookEdit", {"notebook_path": "a"}),
            ("write", {"path": "a", "content": "x"}),
        ):
            with self.subTest(tool):
                self.assertEqual(facts(tool, arguments).edits, ("a",))

    def test_a_patch_as_text_or_as_an_argument(self) -> None:
        patch = "*** Begin Patch\n*** Update File: a\n*** Delete File: b\n*** End Patch"
        for arguments in (patch, {"input": patch}, {"patch": patch}):
            with self.subTest(arguments=arguments):
                found = facts("apply_patch", arguments)
                self.assertEqual((found.kind, found.edits), (CallKind.EDIT, ("a", "b")))


class PlanTest(unittest.TestCase):
    def test_steps_of_all_shapes(self) -> None:
        for tool, arguments in (
            ("TodoWrite", {"todos": [{"content": "a", "status": "done"}, {"content": "b", "status": "pending"}]}),
            ("update_plan", {"plan": [{"step": "a", "status": "done"}, {"step": "b", "status": "pending"}]}),
            ("todo", {"items": [{"text": "a", "status": "done"}, {"text": "b", "done": False}]}),
            ("task_tracking", {"task_list": [{"title": "a", "status": "done"}, "b"]}),
        ):
            with self.subTest(tool):
                self.assertEqual(facts(tool, arguments).steps, (("a", "done"), ("b", "pending")))

    def test_one_step_at_a_time(self) -> None:
        self.assertEqual(facts("TaskCreate", {"subject": "a", "description": "long"}).steps, (("a", "pending"),))
        self.assertEqual(facts("TaskUpdate", {"taskId": "1", "status": "completed"}).steps, ())

    def test_a_step_that_says_only_whether_it_is_done(self) -> None:
        self.assertEqual(facts("todo", {"todos": [{"text": "a", "done": True}]}).steps, (("a", "completed"),))

    def test_other_calls_have_no_steps(self) -> None:
        self.assertEqual(facts("Agent", {"todos": [{"content": "a", "status": "done"}]}).steps, ())

    def test_shapes_that_are_no_steps(self) -> None:
        for arguments in ({"todos": "a"}, {"todos": [3, {}, {"content": 4}]}, {"plan": "text"}, "a", None):
            with self.subTest(arguments=arguments):
                self.assertEqual(facts("TodoWrite", arguments).steps, ())


class ProgramTest(unittest.TestCase):
    """The programs of newer releases of Codex: a call is what its inner calls are together."""

    def assert_calls(self, program: str, *expected: tuple[str, Any]) -> None:
        self.assertEqual(tuple(inner_calls(program)), expected, program[:80])

    def test_reads_and_edits_of_all_inner_calls(self) -> None:
        found = facts(
            "exec",
            'const a = await tools.exec_command({cmd: "cat a"});\nawait tools.exec_command({cmd: "rm b"});\n'
            'await tools.exec_command({cmd: "make"});',
        )
        self.assertEqual((found.kind, found.reads, found.edits), (CallKind.COMMAND, (PathRead("a"),), ("b",)))

    def test_one_kind_of_inner_calls_is_the_kind(self) -> None:
        for program, kind in (
            ('await tools.exec_command({cmd: "cat a"}); await tools.exec_command({cmd: "cat b"})', CallKind.READ),
            ('await tools.exec_command({cmd: "cat a"}); await tools.exec_command({cmd: "rg b"})', CallKind.SEARCH),
            ('await tools.write_stdin({session_id: 1, chars: ""}); await tools.wait({})', CallKind.POLL),
            ('await tools.exec_command({cmd: "cat a"}); await tools.wait({})', CallKind.READ),
            ('await tools.exec("tools.wait({})")', CallKind.COMMAND),
            ("text(1)", CallKind.COMMAND),
        ):
            with self.subTest(program):
                self.assertIs(facts("exec", program).kind, kind)

    def test_arguments_in_json_and_in_looser_notation(self) -> None:
        self.assert_calls(
            """// @exec: {"yield_time_ms": 1000} tools.no({})
            const [a, b] = await Promise.all([tools.exec_command({"cmd":"cat \\u00e9","n":[1,{}]}),
              tools.exec_command( { cmd: 'it\\'s', 'tty': false, n: -2.5, o: {p: null,}, } ), /* tools.no({}) */]);
            tools.wait({}); tools.apply_patch(`*** Begin Patch\n*** End \\`Patch\\``)""",
            ("exec_command", {"cmd": "cat \u00e9", "n": [1, {}]}),
            ("exec_command", {"cmd": "it's", "tty": False, "n": -2.5, "o": {"p": None}}),
            ("wait", {}),
            ("apply_patch", "*** Begin Patch\n*** End `Patch`"),
        )

    def test_an_object_is_read_up_to_the_first_property_that_is_no_literal(self) -> None:
        self.assert_calls("tools.a({b: 1, c: name, d: 2})", ("a", {"b": 1}))
        self.assert_calls("tools.a({b: 1, c: `cd ${x}`})", ("a", {"b": 1}))
        self.assert_calls("tools.a({x: (await tools.b({y: 1})).z})", ("a", {}), ("b", {"y": 1}))
        self.assert_calls("tools.a(patch); tools.b(); tools.c(...args)", ("a", {}), ("b", {}), ("c", {}))

    def test_only_calls_of_tools_count(self) -> None:
        self.assert_calls("x.tools.a({}); mytools.b({}); 'tools.c({})'; const f = tools.d; tools.e.f({})")

    def test_programs_that_end_in_the_middle(self) -> None:
        self.assert_calls("tools.a(", ("a", {}))
        self.assert_calls("tools.a({b: 1", ("a", {"b": 1}))
        self.assert_calls("tools.a({}); /* open tools.b({})", ("a", {}))
        self.assert_calls("tools.a({}); `open tools.b({})\\", ("a", {}))

    def test_absurd_programs_end_soon(self) -> None:
        for piece in ("tools.a({b:", "{a:", "[", '"\\"', "`\\`", "/*", "tools.", "a", " "):
            for start in ("", "tools.a(", "tools.a({b: "):
                with self.subTest(piece, start=start):
                    self.assertLess(len(list(inner_calls(start + piece * 2000))), 2002)
        self.assert_calls("tools.a({});" + " " * 200_000)


class ActionTest(unittest.TestCase):
    """SWE-agent: one text, a shell command or a command of its own editor."""

    def test_its_own_commands(self) -> None:
        window = (PathRead("a b", partly=True),)
        for text, kind, reads, edits in (
            ('open "a b" 100', CallKind.READ, window, ()),
            ("create ./a", CallKind.EDIT, (), ("a",)),
            ("edit 1:2\ncat b\nend_of_edit", CallKind.EDIT, (), ()),
            ("insert 5 'cat b'", CallKind.EDIT, (), ()),
            ("search_dir word src", CallKind.SEARCH, (), ()),
            ("find_file a src", CallKind.SEARCH, (), ()),
            ("str_replace_editor view /a", CallKind.READ, (PathRead("/a"),), ()),
            ("str_replace_editor view /a --view_range 3 9", CallKind.READ, (PathRead("/a", 3, 9),), ()),
            ("str_replace_editor view /a --view_range 3 -1", CallKind.READ, (PathRead("/a", partly=True),), ()),
            ("str_replace_editor create /a --file_text 'x'", CallKind.EDIT, (), ("/a",)),
            ("cat a", CallKind.READ, (PathRead("a"),), ()),
            ("submit", CallKind.COMMAND, (), ()),
            ("", CallKind.COMMAND, (), ()),
            ("\ncat a", CallKind.READ, (PathRead("a"),), ()),
        ):
            with self.subTest(text):
                found = facts("action", text)
                self.assertEqual((found.kind, found.reads, found.edits), (kind, reads, edits))


class ShapeTest(unittest.TestCase):
    def test_no_shape_of_arguments_raises(self) -> None:
        deep: Any = None
        for _ in range(100_000):
            deep = [deep]
        shapes: tuple[Any, ...] = (
            None,
            1,
            1.5,
            float("nan"),
            True,
            [],
            [1],
            {},
            {"path": 5},
            {"a": deep},
            "\ud800",
            "\0",
        )
        for tool in (
            "Read",
            "Edit",
            "Bash",
            "TodoWrite",
            "exec",
            "action",
            "apply_patch",
            "browser",
            "editor",
            "x",
            "",
        ):
            for number, arguments in enumerate(shapes):
                with self.subTest(tool, shape=number):
                    self.assertIsInstance(facts(tool, arguments), CallFacts)

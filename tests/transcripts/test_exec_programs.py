"""The tool calls inside ``exec`` programs: what is literal is read, the rest is left out, nothing is run."""

from __future__ import annotations

import random
import unittest
from typing import Any

from clawvm_transcripts.calls import inner_calls


class Calls(unittest.TestCase):
    def assert_calls(self, program: str, *expected: tuple[str, Any]) -> None:
        self.assertEqual(inner_calls(program), expected, program)

    def test_one_command(self) -> None:
        self.assert_calls(
            'const r = await tools.exec_command({cmd: "sed -n \'1,80p\' wick.py", workdir: "/toy"}); text(r.output)',
            ("exec_command", {"cmd": "sed -n '1,80p' wick.py", "workdir": "/toy"}),
        )

    def test_several_calls_in_the_order_in_which_they_are_written(self) -> None:
        self.assert_calls(
            """// @exec: {"yield_time_ms": 1000}
            const [a, b] = await Promise.all([
              tools.exec_command({cmd: 'cat oil.py'}),
              tools.exec_command({"cmd": "cat wick.py", 'tty': false,}), /* tools.no({}) */
            ]);
            for (const r of [a, b]) text(`${r.output} ${(await tools.wait({cell_id: 1})).output}`)
            await tools["write_stdin"]({session_id: 7, chars: ""})""",
            ("exec_command", {"cmd": "cat oil.py"}),
            ("exec_command", {"cmd": "cat wick.py", "tty": False}),
            ("wait", {"cell_id": 1}),
            ("write_stdin", {"session_id": 7, "chars": ""}),
        )

    def test_every_kind_of_literal(self) -> None:
        self.assert_calls(
            r"""tools.t({a: [1, -2.5, 1e3, 0x1F, 1_000, .5], b: {"c d": null, 7: true}, 'e': `x
\`y\``, f: "\x41\u0042\u{43}\ud83d\ude00\n\q\
", g: ("p" + 'q' + `r`), h: ["s", "t"].join("\n"), i: String.raw`\n`, j: []})""",
            (
                "t",
                {
                    "a": [1, -2.5, 1000, 31, 1000, 0.5],
                    "b": {"c d": None, "7": True},
                    "e": "x\n`y`",
                    "f": "ABC\U0001f600\nq",
                    "g": "pqr",
                    "h": "s\nt",
                    "i": "\\n",
                    "j": [],
                },
            ),
        )

    def test_what_is_no_literal_is_left_out(self) -> None:
        self.assert_calls(
            """tools.a({cmd: name, x: f("y", {z: 1}), ok: 1, list: ["bash", name], nested: {bad: b.c, good: 2},
            text: `cd ${dir}`, ["key"]: 1, run() { return 1 }, late: 3, sum: 1 + 2, minus: -x, call: "a".trim()})""",
            ("a", {"ok": 1, "nested": {"good": 2}, "late": 3}),
        )
        self.assert_calls(
            "tools.a(patch); tools.b(); tools.c(...args); tools.d(x => ({y: 1}))", *[(n, {}) for n in "abcd"]
        )

    def test_a_text_is_an_argument_too(self) -> None:
        self.assert_calls(
            "tools.apply_patch(`*** Begin Patch\n*** End Patch`)", ("apply_patch", "*** Begin Patch\n*** End Patch")
        )

    def test_calls_inside_what_is_no_literal_are_found(self) -> None:
        self.assert_calls(
            "tools.a({x: (await tools.b({y: 1})).z, list: [tools.c({})], f: () => { tools.d('e') }})",
            ("a", {}),
            ("b", {"y": 1}),
            ("c", {}),
            ("d", "e"),
        )

    def test_only_calls_of_tools_count(self) -> None:
        self.assert_calls("x.tools.a({}); mytools.b({}); 'tools.c({})'; const f = tools.d; tools.e.f({}); tools[g]({})")
        self.assert_calls("if (/[\"'`/]tools.a({})/.test(x)) tools.b(4 / 2, 1)", ("b", {}))

    def test_only_the_first_argument_is_read(self) -> None:
        self.assert_calls("tools.a({b: 1}, {c: 2})", ("a", {"b": 1}))


class Constants(unittest.TestCase):
    def arguments(self, program: str) -> Any:
        ((_, arguments),) = inner_calls(program)
        return arguments

    def test_a_constant_stands_for_its_literal(self) -> None:
        self.assertEqual(self.arguments("const p = `x`; await tools.apply_patch(p)"), "x")
        self.assertEqual(self.arguments("const cmd = 'ls'\nconst n = 3\ntools.a({cmd, n})"), {"cmd": "ls", "n": 3})
        self.assertEqual(
            self.arguments("const d = '/toy', c = `cd ${d} && ls ${1}`; tools.a({c})"), {"c": "cd /toy && ls 1"}
        )
        self.assertEqual(self.arguments("const o = {w: '/toy'}; tools.a({...o, c: 1})"), {"w": "/toy", "c": 1})

    def test_a_name_that_may_be_something_else_is_no_constant(self) -> None:
        for program in (
            "let c = 'ls'; tools.a({c})",
            "const c = 'ls'; { const c = 'cat' } tools.a({c})",
            "const c = 'ls'.trim(); tools.a({c})",
            "const c = 'ls'\n.trim(); tools.a({c})",
            "const c = x ? 'ls' : 'cat'; tools.a({c})",
            "const c = 'ls' in x; tools.a({c})",
            "const c = 'ls'; for (const c of list) tools.a({c})",
            "const c = 'ls'; list.map(c => tools.a({c}))",
            "const c = 'ls'; list.map((i, c) => tools.a({c}))",
            "const c = 'ls'; list.map(({b, c}) => tools.a({c}))",
            "tools.a({c}); const c = 'ls'",
        ):
            self.assertEqual(self.arguments(program), {}, program)

    def test_a_name_that_only_stands_nearby_stays_a_constant(self) -> None:
        self.assertEqual(self.arguments("const c = 'ls'; f(c, x => tools.a({c}))"), {"c": "ls"})
        self.assertEqual(self.arguments("const c = 'ls'; tools.a({x: f(2, c, 3), y: 4})"), {"y": 4})

    def test_a_text_with_anything_but_texts_and_integers_in_it_is_none(self) -> None:
        for value in ("1.5", "true", "null", "[1]", "{}"):
            self.assertEqual(self.arguments(f"tools.a({{b: `x${{{value}}}`}})"), {}, value)


class NotUnderstood(unittest.TestCase):
    def test_a_program_that_cannot_be_understood_has_no_calls(self) -> None:
        for program in (
            "",
            "tools",
            "tools.a(",
            "tools.a({b: 1)}",
            "tools.a({b: 1}) }",
            "tools.a({b: 'c})",
            "tools.a({b: `c})",
            "tools.a({b: `c${d`})",
            "tools.a({}); /* open",
            "tools.a({}); x = /[",
            "tools.a('one\ntwo')",
        ):
            self.assertEqual(inner_calls(program), (), program)

    def test_a_part_of_a_template_is_no_bracket(self) -> None:
        for piece in "[({-":
            self.assertEqual(inner_calls(f"tools.a({{b: `${{}}{piece}`}})"), (("a", {}),))
            self.assertEqual(inner_calls(f"tools.a({{b: `${{}}{piece}${{}}`}})"), (("a", {}),))

    def test_escapes_of_no_character_are_tolerated(self) -> None:
        self.assertEqual(inner_calls(r"tools.a('\u{110000}\ud800\uzz\x1')"), (("a", "\U0010ffff\ufffduzzx1"),))

    def test_numbers_that_no_reader_could_keep_are_left_out(self) -> None:
        for number in ("9" * 5000, "1e999", "0b2", "0x"):
            self.assertEqual(inner_calls(f"tools.a({{b: {number}, c: 1}})"), (("a", {"c": 1}),), number[:20])

    def test_constants_cannot_grow_without_bounds(self) -> None:
        texts = "const a0 = 'xx';" + "".join(f"const a{n} = a{n - 1} + a{n - 1};" for n in range(1, 60))
        self.assertEqual(inner_calls(texts + "tools.a(a59)"), ())
        lists = "const a0 = ['x'];" + "".join(f"const a{n} = [a{n - 1}, a{n - 1}];" for n in range(1, 60))
        self.assertEqual(inner_calls(lists + "tools.a(a59)"), ())

    def test_deep_and_long_programs_end(self) -> None:
        self.assertEqual(len(inner_calls("tools.a(" * 20_000 + ")" * 20_000)), 20_000)
        self.assertEqual(inner_calls("tools.a(" + "[" * 50_000 + "]" * 50_000 + ")"), (("a", {}),))
        self.assertEqual(inner_calls("tools.a({});" + ";" * 200_000), ())
        self.assertEqual(inner_calls("tools.a('" + "\\n" * 500_000), ())

    def test_damaged_programs_give_a_result(self) -> None:
        seed = 144
        source = random.Random(seed)
        pieces = (
            *"a.(){}[],:`'\"\\/*+-1;\n\ud800\u00e9",
            "tools",
            "${",
            "const ",
            "b",
            "=",
            "=>",
            "...",
            "0x",
            "?.",
            "join",
        )
        pieces += ("String.raw", "tools.a(")
        for number in range(3000):
            program = "tools.a(" + "".join(pieces[source.randrange(len(pieces))] for _ in range(source.randrange(40)))
            with self.subTest(seed=seed, number=number):
                for _, arguments in inner_calls(program + ")"):
                    self.assertIsNotNone(repr(arguments))


if __name__ == "__main__":
    unittest.main()

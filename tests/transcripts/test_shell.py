"""The simple commands of a shell command line, and what they read and change."""

import unittest

from clawvm_transcripts.shell import CallKind, PathRead, patched_paths, shell_effects
from clawvm_transcripts.shell_words import MOST_TOKENS, commands_of


def words_of(text: str) -> list[list[str | None]]:
    return [command.words for command in commands_of(text)]


def reads_of(text: str) -> list[tuple[str, int | None, int | None, bool]]:
    return [(read.path, read.first, read.last, read.partly) for read in shell_effects(text).reads]


class WordsTest(unittest.TestCase):
    def test_lists_pipes_groups_and_lines_separate_commands(self) -> None:
        self.assertEqual(
            words_of("a 1; b && c || d | e |& f & (g) \n h"),
            [["a", "1"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"], ["h"]],
        )

    def test_a_pipe_goes_on_behind_the_end_of_its_line(self) -> None:
        self.assertEqual([command.piped for command in commands_of("a |\n\n b\nc")], [False, True, False])
        self.assertTrue(commands_of("| a")[0].piped)

    def test_only_a_pipe_feeds_the_next_command(self) -> None:
        self.assertEqual(
            [command.piped for command in commands_of("a | b && c || d |& e")], [False, True, False, False, True]
        )

    def test_quotes_escapes_and_continued_lines_make_one_word(self) -> None:
        self.assertEqual(
            words_of('say \'a;b\' "c | d" e\\ f \'g\'h"i" "j\\"k" \\\n l'),
            [["say", "a;b", "c | d", "e f", "ghi", 'j"k', "l"]],
        )

    def test_what_the_shell_would_put_in_place_of_a_word_is_unknown(self) -> None:
        self.assertEqual(
            words_of('say *.md no?e $x "$y" $(cat a; b) `cat c` "$(cat d)" {e,f} <(cat g) {} "h*"'),
            [["say", *[None] * 9, "{}", "h*"]],
        )

    def test_a_substitution_holds_quotes_parentheses_and_here_documents(self) -> None:
        self.assertEqual(
            words_of("commit -m \"$(cat <<'EOF'\nIt's \"half) open (\nEOF\n)\" && next"),
            [["commit", "-m", None], ["next"]],
        )

    def test_quotes_inside_substitutions_hide_their_ends(self) -> None:
        for inside in (
            "$(a ')' b)",
            '$(a ")" b)',
            "$(a \\) b)",
            "$(a (b) c)",
            "$(a `)` b)",
            "`a \\` b`",
            '"`a "b" c` d"',
        ):
            with self.subTest(inside):
                self.assertEqual(words_of(f"x {inside}; y"), [["x", None], ["y"]])

    def test_a_single_quote_in_double_quotes_and_back_quotes_is_a_letter(self) -> None:
        self.assertEqual(words_of("a \"it's\" `it's`; b"), [["a", "it's", None], ["b"]])

    def test_a_comment_ends_with_its_line_and_begins_with_a_word(self) -> None:
        self.assertEqual(words_of("# cat a\nb c#d # e; f\ng"), [["b", "c#d"], ["g"]])

    def test_redirections_are_no_words(self) -> None:
        (command,) = commands_of("tool <in 2>err >out -x")
        self.assertEqual(command.words, ["tool", "-x"])
        self.assertEqual((command.source, command.writes, command.hides), ("in", ["err", "out"], True))

    def test_only_standard_output_in_a_file_hides_it(self) -> None:
        for text, hides in (("a >f", True), ("a 1>>f", True), ("a &>f", True), ("a 2>f", False), ("a 2>&1", False)):
            with self.subTest(text):
                self.assertEqual(commands_of(text)[0].hides, hides)

    def test_both_outputs_in_a_file(self) -> None:
        for text in ("a >& f", "a &> f", "a &>> f"):
            with self.subTest(text):
                self.assertEqual(commands_of(text)[0].writes, ["f"])

    def test_a_joined_descriptor_is_no_file(self) -> None:
        self.assertEqual(commands_of("a 2>&1 >&- 1>&2")[0].writes, [])

    def test_a_here_document_is_the_body_of_its_command_and_no_command(self) -> None:
        first, second, third = commands_of("cat >a <<'ONE' && b <<-TWO\ncat x\nONE\n\tcat y\n\tTWO\ncat z")
        self.assertEqual((first.words, first.body), (["cat"], "cat x\n"))
        self.assertEqual((second.words, second.body), (["b"], "\tcat y\n"))
        self.assertEqual(third.words, ["cat", "z"])

    def test_a_here_document_ends_only_at_a_line_that_is_its_mark(self) -> None:
        self.assertEqual(commands_of("a <<EOF\nEOFX\n EOF\nEOF\r\nb")[0].body, "EOFX\n EOF\n")

    def test_what_is_not_closed_runs_to_the_end(self) -> None:
        for text in ("a 'b; c", 'a "b; c', "a $(b; c", "a `b; c", 'a "$(b "c; d', "a <<EOF\ncat b\n"):
            with self.subTest(text):
                self.assertEqual(len(commands_of(text)), 1)

    def test_a_shift_in_arithmetic_is_no_here_document(self) -> None:
        self.assertEqual(words_of("a $((1<<2))\nb"), [["a", None], ["b"]])

    def test_a_text_that_is_too_long_is_cut_and_says_so(self) -> None:
        commands = commands_of("cat a;" * MOST_TOKENS)
        self.assertTrue(commands[-1].cut)
        self.assertLess(len(commands), MOST_TOKENS)
        self.assertIs(shell_effects("cat a;" * MOST_TOKENS).kind, CallKind.COMMAND)


class ReadTest(unittest.TestCase):
    def test_lines_that_programs_show(self) -> None:
        for text, expected in {
            "cat a": ("a", None, None, False),
            "cat -n -- -a": ("-a", None, None, False),
            "/bin/cat ./a": ("a", None, None, False),
            "cat < a": ("a", None, None, False),
            "head a": ("a", 1, 10, False),
            "head -30 a": ("a", 1, 30, False),
            "head -n 30 a": ("a", 1, 30, False),
            "head -n30 a": ("a", 1, 30, False),
            "head --lines=30 a": ("a", 1, 30, False),
            "head -n -3 a": ("a", None, None, True),
            "head -c 100 a": ("a", None, None, True),
            "tail -30 a": ("a", None, None, True),
            "tail -n +30 a": ("a", 30, None, False),
            "tail +30 a": ("a", 30, None, False),
            "nl -ba a": ("a", None, None, False),
            "nl -b a b": ("b", None, None, False),
            "sed -n '5,9p' a": ("a", 5, 9, False),
            "sed -n 5p a": ("a", 5, 5, False),
            "sed -n '5,$p' a": ("a", 5, None, False),
            "sed -n '5,+3p' a": ("a", 5, 8, False),
            "sed -En -e '5,9p' a": ("a", 5, 9, False),
            "sed -n '/x/,/y/p' a": ("a", None, None, True),
            "sed '5,9p' a": ("a", None, None, True),
            "cat a | head -20": ("a", 1, 20, False),
            "nl -ba a | sed -n '5,9p'": ("a", 5, 9, False),
            "cat a | tail -5": ("a", None, None, True),
            "head -50 a | tail -5": ("a", 1, 50, True),
            "cat a | nl": ("a", None, None, False),
            "cat a | nl | head -20": ("a", 1, 20, False),
            "cat a | head -20 | tail -5": ("a", 1, 20, True),
            "cat a |\n head -20": ("a", 1, 20, False),
            'head -c "$n" a': ("a", None, None, True),
            "sed -n --expression=5p a": ("a", None, None, True),
            "sed -n -f script a": ("a", None, None, True),
            "sed -n 5p -- -a": ("-a", 5, 5, False),
            "sed -n '9,5p' a": ("a", 9, 9, False),
            "sed -n '5,9p;20q' a": ("a", None, None, True),
            "cat a | sed -n '5,9p;/x/p'": ("a", None, None, True),
            'bash "$x" -c "cat a"': ("a", None, None, False),
            "bash -lc \"sed -n '5,9p' a\"": ("a", 5, 9, False),
            "cd x && LC_ALL=C timeout 5s sudo -n cat a 2>/dev/null": ("a", None, None, False),
            "if true; then cat a; fi": ("a", None, None, False),
            "{ cat a; }": ("a", None, None, False),
            "echo === && cat a || true": ("a", None, None, False),
        }.items():
            with self.subTest(text):
                effects = shell_effects(text)
                self.assertIs(effects.kind, CallKind.READ)
                self.assertEqual(reads_of(text), [expected])
                self.assertEqual(effects.edits, ())

    def test_several_ranges_are_a_read_each(self) -> None:
        expected = [("a", 5, 9, False), ("a", 20, None, False)]
        for text in (
            "sed -n '5,9p;20,$p' a",
            "sed -n '5,9p; 20,$p;' a",
            "sed -n '5,9p\n20,$p' a",
            "sed -n -e 5,9p -e '20,$p' a",
            "nl -ba a | sed -n '5,9p;20,$p'",
            "cat a | sed -n '5,9p;20,$p' | nl",
        ):
            with self.subTest(text):
                self.assertEqual(reads_of(text), expected)
        for text in ("sed -n '5,9p;20,$p' a | tail -3", "cat a | sed -n '5,9p;20,$p' | sed -n 2p"):
            with self.subTest(text):
                self.assertEqual(reads_of(text), [(*read[:3], True) for read in expected])
        many = ";".join(f"{line}p" for line in range(1, 100))
        self.assertEqual(reads_of(f"sed -n '{many}' a"), [("a", None, None, True)])

    def test_several_files_in_order(self) -> None:
        self.assertEqual(
            reads_of("head -3 a b; cat c"), [("a", 1, 3, False), ("b", 1, 3, False), ("c", None, None, False)]
        )
        # One stream of both: nobody knows where the first one ends.
        for text in ("cat a b | head -3", "cat a b | sed -n 2,4p", "sed -n 1,5p a b"):
            self.assertEqual(reads_of(text), [("a", None, None, True), ("b", None, None, True)], text)
        self.assertEqual(reads_of("cat a b | nl"), [("a", None, None, False), ("b", None, None, False)])

    def test_a_filter_narrows_only_what_runs_through_its_pipe(self) -> None:
        for text in (
            "cat a; ls | head -3",
            "cat a | make | head -3",
            "cat a | git x | head -3",
            "cat a | bash x | head -3",
            "cat a | tee b | head -3",
            "cat a | xargs cat | head -3",
            "cat a; ls | xargs cat b | head -3",
            "cat a | echo b | head -3",
            "cat a | cat b > c | head -3",
            "cat a; cat < $x | head -3",
        ):
            with self.subTest(text):
                self.assertEqual(reads_of(text), [("a", None, None, False)])

    def test_paths_that_cannot_be_known_are_none_and_the_call_is_no_read(self) -> None:
        for text in ("cat *.md", 'cat "$f"', "cat $(ls)", "for f in a b; do cat $f; done"):
            with self.subTest(text):
                self.assertEqual((shell_effects(text).kind, reads_of(text)), (CallKind.COMMAND, []))
        effects = shell_effects("cat a *.md")
        self.assertEqual((effects.kind, effects.reads), (CallKind.COMMAND, (PathRead("a"),)))

    def test_a_here_document_and_a_commit_message_are_no_reads(self) -> None:
        self.assertEqual(reads_of("cat <<EOF\ncat a\nEOF"), [])
        self.assertEqual(reads_of("git commit -m \"$(cat <<'EOF'\ncat a\nEOF\n)\""), [])

    def test_what_goes_into_a_file_is_not_shown(self) -> None:
        self.assertEqual(reads_of("cat a > b"), [])

    def test_a_file_beside_a_program_is_read_but_the_call_is_a_command(self) -> None:
        for text in ("cat a && make", "cat a | python3 -", "cat a | wc -l", "sleep 3 && cat a"):
            with self.subTest(text):
                self.assertIs(shell_effects(text).kind, CallKind.COMMAND)
                self.assertEqual([read[0] for read in reads_of(text)], ["a"])

    def test_a_program_with_its_arguments(self) -> None:
        self.assertEqual(shell_effects(["bash", "-lc", "cat 'a b'"]).reads, (PathRead("a b"),))
        self.assertEqual(shell_effects(["cat", "a b"]).reads, (PathRead("a b"),))

    def test_shells_inside_shells_end_somewhere(self) -> None:
        text = "cat a"
        for _ in range(6):
            text = "bash -c '" + text.replace("'", "'\\''") + "'"
        self.assertEqual(reads_of(text), [])


class KindTest(unittest.TestCase):
    def test_kinds_of_lines_that_read_and_edit_no_path(self) -> None:
        for kind, lines in {
            CallKind.SEARCH: (
                "rg -n word src",
                "grep -rn 'a|b' . | head -20 | sort | uniq -c",
                "ls -la && find . -name '*.md'",
                "git -C x grep word",
                "git ls-files | wc -l",
                "pwd && rg --files",
                "rg -l word | xargs grep other",
                "find . | xargs -n 1 ls",
            ),
            CallKind.POLL: ("sleep 30 && echo done",),
            CallKind.COMMAND: (
                *("rg word; make", "make | grep error", "find . -exec touch {} +", "find . -delete", "sleep 30; make"),
                *("ls | xargs make", "xargs", "ls | xargs xargs cat", 'ls | xargs "$x"', "ls | xargs cat a; make"),
                *("git checkout main", "git status", "git commit -m x", "git", "head -n", "make -i x", "make test"),
                *("", "   ", "cd x", "mkdir x", "$tool a", "x=$(cat a) make", "python3 - <<EOF\ncat a\nEOF", "cat"),
            ),
        }.items():
            for line in lines:
                with self.subTest(line):
                    effects = shell_effects(line)
                    self.assertEqual((effects.kind, effects.reads, effects.edits), (kind, (), ()))

    def test_a_search_in_what_a_file_shows_is_a_search_that_reads_a_part_of_it(self) -> None:
        self.assertIs(shell_effects("cat a | grep word").kind, CallKind.SEARCH)
        self.assertEqual(reads_of("cat a | grep word"), [("a", None, None, True)])
        self.assertIs(shell_effects("cat a; ls").kind, CallKind.SEARCH)


class EditTest(unittest.TestCase):
    def test_what_changes_files(self) -> None:
        for text, paths in {
            "sed -i 's/a/b/' x ./y": ("x", "y"),
            "sed -i '' -e 's/a/b/' x": ("x",),
            "sed -i '' 's/a/b/' x": ("x",),
            "sed -Ei.bak 's/a/b/' x": ("x",),
            "sed --in-place s/a/b/ x": ("x",),
            "perl -pi -e 's/a/b/' x": ("x",),
            'perl "$o" -pi -e s/a/b/ x': ("x",),
            'sed -i "$o" x': ("x",),
            "perl -0pi -e 's/a/b/' x y": ("x", "y"),
            "cat > x <<'EOF'\nsed -i s/a/b/ z\nEOF": ("x",),
            "echo a >> x": ("x",),
            "cat a > x": ("x",),
            "echo a | tee -a x": ("x",),
            "mv a b": ("a", "b"),
            "cp a b": ("b",),
            "rm -rf a b": ("a", "b"),
            "git mv a b": ("a", "b"),
            "git rm -q a": ("a",),
            "git restore --source HEAD a": ("a",),
            "git checkout main -- a b": ("a", "b"),
            "mkdir -p d && touch e && cp a d/b": ("d/b",),
            "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: x\n*** End Patch\nEOF": ("x",),
            "apply_patch '*** Begin Patch\n*** Add File: x\n*** End Patch'": ("x",),
            "rm *.md": (),
            "rm a; rm a": ("a",),
        }.items():
            with self.subTest(text):
                effects = shell_effects(text)
                self.assertEqual((effects.kind, effects.edits, effects.reads), (CallKind.EDIT, paths, ()))

    def test_a_program_that_writes_a_file_is_a_command(self) -> None:
        for text in ("make > log", "make | tee log", "make 2> log", "cat a 2> log; make", "rg word > log"):
            with self.subTest(text):
                effects = shell_effects(text)
                self.assertEqual((effects.kind, effects.edits), (CallKind.COMMAND, ("log",)))

    def test_a_change_and_a_look_at_it_are_a_command_with_both(self) -> None:
        effects = shell_effects("sed -i s/a/b/ x && cat x")
        self.assertEqual((effects.kind, effects.reads, effects.edits), (CallKind.COMMAND, (PathRead("x"),), ("x",)))

    def test_devices_are_no_files(self) -> None:
        self.assertEqual(shell_effects("make > /dev/null 2>/dev/stderr").edits, ())
        self.assertIs(shell_effects("cat a > /dev/null").kind, CallKind.COMMAND)


class PatchTest(unittest.TestCase):
    def test_every_path_once_in_order(self) -> None:
        patch = (
            "*** Begin Patch\n*** Update File: b.md\n*** Move to: c.md\n@@\n-*** Add File: no\n *** Delete File: no\n"
            "*** Add File:  a d.md \n+x\n*** Delete File: e\n*** Update File: b.md\n*** End Patch"
        )
        self.assertEqual(patched_paths(patch), ("b.md", "c.md", "a d.md", "e"))

    def test_no_patch_names_no_path(self) -> None:
        self.assertEqual(patched_paths("*** Update File:\nx"), ())

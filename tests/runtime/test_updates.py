"""Behaviour of updates: every reason code, the order of the checks, the merge rules, control fields."""

import dataclasses
import random
import unittest
from typing import Any

from clawvm_runtime import updates
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Rejection, Update, ValidationContext, changed_page, check_update, destroys, merged
from clawvm_runtime.vocabulary import Level, PageType, PinClass, Principal, RejectCode, Scope
from tests.runtime.support import make_page

SEED = 20267
PAGES = {
    page.id: page
    for page in (
        make_page("plan", PageType.PLAN),
        make_page("rule", PageType.CONSTRAINT),
        make_page("taste", PageType.PREFERENCE),
        make_page("note", PageType.EVIDENCE, minimum=Level.STRUCTURED),
    )
}


def make_update(page_id: str = "plan", **attributes: Any) -> Update:
    """Return an update that nothing is wrong with, except for *attributes*."""
    scope = PAGES[page_id].scope.value if page_id in PAGES else "session"
    return Update(
        **{
            "page_id": page_id,
            "field": "steps",
            "operation": "append",
            "value": "x",
            "scope": scope,
            "evidence_ref": "span-1",
            **attributes,
        }
    )


class CheckTests(unittest.TestCase):
    def check(
        self, update: Update, version: int = 0, value: Any = None, validators: tuple[Any, ...] = ()
    ) -> Rejection | None:
        """Return what validation says where the only evidence is span-1."""
        return check_update(update, version, value, ValidationContext(PAGES.get, {"span-1"}.__contains__, validators))

    def code(self, update: Update, version: int = 0, value: Any = None) -> RejectCode | None:
        """Return the reason code, or None."""
        rejection = self.check(update, version, value)
        if rejection is not None:
            self.assertTrue(rejection.detail)
        return None if rejection is None else rejection.code

    def assert_schema_invalid(self, update: Update, value: Any = None) -> None:
        self.assertIs(self.code(update, 1 if value is not None else 0, value), RejectCode.SCHEMA_INVALID, update)

    def test_a_well_formed_update_passes_whether_true_or_not(self) -> None:
        self.assertIsNone(self.check(make_update(value="the moon is cheese")))
        self.assertIsNone(self.check(make_update(operation="merge", value={"a": 1}), 2, {"b": 1}))
        self.assertIsNone(self.check(make_update(operation="set_with_version", base_version=2), 2, "old"))
        self.assertIsNone(self.check(make_update(operation="set_with_version", base_version=0)))

    def test_missing_or_malformed_attributes_are_schema_invalid(self) -> None:
        for attribute in ("page_id", "field", "operation", "scope", "evidence_ref", "principal"):
            for bad in ("", None, 3):
                with self.subTest(attribute=attribute, bad=bad):
                    self.assert_schema_invalid(dataclasses.replace(make_update(), **{attribute: bad}))
        self.assert_schema_invalid(make_update("nobody"))

    def test_a_base_version_is_a_whole_number_and_set_needs_one(self) -> None:
        for bad in (-1, True, 1.0, "1"):
            with self.subTest(bad):
                self.assert_schema_invalid(make_update(base_version=bad))
        self.assert_schema_invalid(make_update(operation="set_with_version"))

    def test_merge_needs_objects_and_append_needs_none(self) -> None:
        self.assert_schema_invalid(make_update(operation="merge", value=[1]))
        self.assert_schema_invalid(make_update(operation="merge", value={}), "text")
        self.assert_schema_invalid(make_update(operation="append"), {"a": 1})

    def test_a_value_that_is_too_long_is_schema_invalid(self) -> None:
        limit = updates.MAXIMUM_VALUE_CHARACTERS
        self.assertIsNone(self.check(make_update(value="x" * (limit - 2))))
        self.assert_schema_invalid(make_update(value="x" * (limit - 1)))

    def test_control_fields_take_their_own_words_only(self) -> None:
        def setting(page_id: str, field: str, value: Any, **rest: Any) -> Update:
            return make_update(
                page_id, field=field, value=value, **{"operation": "set_with_version", "base_version": 0, **rest}
            )

        for update in (
            setting("plan", "status", "finished"),
            setting("note", "status", "done"),
            setting("plan", "pin", "glue"),
            setting("plan", "minimum", "compressed"),
            setting("plan", "minimum", "half"),
            setting("plan", "minimum", []),
            setting("plan", "status", "done", operation="append"),
            setting("plan", "pin", {}, operation="merge"),
        ):
            with self.subTest(update):
                self.assert_schema_invalid(update)
        for field, value in (("status", "done"), ("status", "active"), ("pin", "hard"), ("minimum", "full")):
            self.assertIsNone(self.check(setting("plan", field, value)))

    def test_evidence_that_does_not_resolve_is_dangling(self) -> None:
        self.assertIs(self.code(make_update(evidence_ref="span-9")), RejectCode.PROVENANCE_DANGLING)

    def test_scope_is_denied_exactly_where_the_principal_may_not_write_or_the_page_is_elsewhere(self) -> None:
        inside = {Principal.SUBAGENT.value, Principal.TOOL.value}
        for principal in (*(item.value for item in Principal), "stranger"):
            for scope in (*(item.value for item in Scope), "world"):
                for page_id in ("plan", "taste"):
                    allowed = (
                        principal != "stranger"
                        and scope == PAGES[page_id].scope.value
                        and not (principal in inside and scope == "project")
                    )
                    with self.subTest(principal=principal, scope=scope, page=page_id):
                        code = self.code(make_update(page_id, principal=principal, scope=scope))
                        self.assertIs(code, None if allowed else RejectCode.SCOPE_DENIED)

    def test_an_unknown_operation_or_a_stale_base_version_is_destructive(self) -> None:
        for operation in ("delete", "overwrite", "set", "APPEND"):
            self.assertIs(self.code(make_update(operation=operation)), RejectCode.DESTRUCTIVE_OP)
        for base, version in ((0, 1), (1, 2), (3, 2)):
            update = make_update(operation="set_with_version", base_version=base)
            self.assertIs(self.code(update, version, "old"), RejectCode.DESTRUCTIVE_OP)
            self.assertTrue(destroys(update, version))
        self.assertFalse(destroys(make_update(), 7))

    def test_pushing_a_hard_page_below_its_minimum_violates_policy(self) -> None:
        def setting(page_id: str, field: str, value: Any) -> Update:
            return make_update(page_id, field=field, value=value, operation="set_with_version", base_version=0)

        for value in (None, "", [], {}):
            self.assertIs(self.code(setting("rule", "text", value)), RejectCode.POLICY_VIOLATION)
            self.assertIsNone(self.code(setting("plan", "text", value)))
        for pin in ("soft", "none"):
            self.assertIs(self.code(setting("rule", "pin", pin)), RejectCode.POLICY_VIOLATION)
            self.assertIsNone(self.code(setting("plan", "pin", pin)))
        self.assertIsNone(self.code(setting("rule", "pin", "hard")))
        self.assertIs(self.code(setting("note", "minimum", "pointer")), RejectCode.POLICY_VIOLATION)
        self.assertIsNone(self.code(setting("note", "minimum", "full")))

    def test_domain_validators_are_asked_last_and_in_order(self) -> None:
        asked: list[str] = []

        def validator(name: str, answer: str | None) -> Any:
            def ask(update: Update, page: Page) -> str | None:
                asked.append(f"{name}:{page.id}")
                return answer

            return ask

        context = (validator("first", None), validator("second", "no"), validator("third", "never asked"))
        self.assertEqual(self.check(make_update(), validators=context), Rejection(RejectCode.POLICY_VIOLATION, "no"))
        self.assertEqual(asked, ["first:plan", "second:plan"])
        self.check(make_update(evidence_ref="span-9"), validators=context)
        self.assertEqual(len(asked), 2)

    def test_the_first_check_that_fails_gives_the_code(self) -> None:
        # Everything is wrong at once; one repair after another brings the next check forward.
        bad = make_update(
            "rule",
            field="pin",
            value="soft",
            operation="set_with_version",
            base_version=-1,
            evidence_ref="span-9",
            scope="world",
        )
        repairs: list[tuple[RejectCode, dict[str, Any]]] = [
            (RejectCode.SCHEMA_INVALID, {"base_version": 5}),
            (RejectCode.PROVENANCE_DANGLING, {"evidence_ref": "span-1"}),
            (RejectCode.SCOPE_DENIED, {"scope": "session"}),
            (RejectCode.DESTRUCTIVE_OP, {"base_version": 0}),
            (RejectCode.POLICY_VIOLATION, {"value": "hard"}),
        ]
        self.assertEqual([code for code, _ in repairs], list(RejectCode))
        for code, repair in repairs:
            self.assertIs(self.code(bad), code)
            bad = dataclasses.replace(bad, **repair)
        self.assertIsNone(self.code(bad))


class MergeTests(unittest.TestCase):
    def test_append_concatenates_in_order(self) -> None:
        self.assertEqual(merged("append", None, "a"), "a")
        self.assertEqual(merged("append", "a", "b"), "ab")
        self.assertEqual(merged("append", ["a"], ["b", "c"]), ["a", "b", "c"])
        self.assertEqual(merged("append", ["a"], "b"), ["a", "b"])
        self.assertEqual(merged("append", "a", ["b"]), ["a", "b"])
        self.assertEqual(merged("append", 1, 2), [1, 2])

    def test_merge_is_a_keyed_union_in_which_the_later_speaks_for_its_own_keys(self) -> None:
        self.assertEqual(merged("merge", None, {"a": 1}), {"a": 1})
        self.assertEqual(merged("merge", {"a": 1, "b": 1}, {"b": 2, "c": 3}), {"a": 1, "b": 2, "c": 3})

    def test_set_replaces(self) -> None:
        for value in ("b", None, {"b": 1}, []):
            self.assertEqual(merged("set_with_version", {"a": 1}, value), value)

    def test_merging_never_changes_its_arguments_and_append_is_associative(self) -> None:
        rng = random.Random(SEED)
        for case in range(200):
            lists = [[rng.randrange(9) for _ in range(rng.randrange(4))] for _ in range(3)]
            copies = [list(item) for item in lists]
            left = merged("append", merged("append", lists[0], lists[1]), lists[2])
            right = merged("append", lists[0], merged("append", lists[1], lists[2]))
            self.assertEqual(left, right, f"seed {SEED}, case {case}")
            self.assertEqual(lists, copies)

    def test_a_record_gives_back_an_equal_update(self) -> None:
        update = make_update(value={"a": [1]}, base_version=3, update_id="u1", principal="user")
        self.assertEqual(Update.from_record(update.to_record()), update)


class ChangedPageTests(unittest.TestCase):
    def test_every_commit_raises_the_version_by_one(self) -> None:
        self.assertEqual(changed_page(PAGES["note"], "text", "x"), PAGES["note"].changed(version=2))

    def test_a_plan_that_is_done_needs_a_pointer_only_and_one_that_is_active_again_needs_more(self) -> None:
        done = changed_page(PAGES["plan"], "status", "done")
        self.assertEqual((done.active, done.minimum, done.version), (False, Level.POINTER, 2))
        again = changed_page(done, "status", "active")
        self.assertEqual((again.active, again.minimum, again.version), (True, Level.STRUCTURED, 3))

    def test_pin_and_minimum_follow_their_fields(self) -> None:
        self.assertIs(changed_page(PAGES["plan"], "pin", "hard").pin, PinClass.HARD)
        self.assertIs(changed_page(PAGES["note"], "minimum", "full").minimum, Level.FULL)
        self.assertIs(changed_page(PAGES["rule"], "minimum", "pointer").minimum, Level.STRUCTURED)

"""The types of record and of injected text that occur in sessions of Codex.

===================  =================================================================
RECORD_TYPES         types of a record
BARE_ITEMS           types of an item that stands in a file without an envelope
ITEMS_WITHOUT_USE    types of an item that say nothing about memory
EVENTS_WITHOUT_USE   types of an event that say nothing about memory
INJECTED_KINDS       kinds of a prompt's event that nobody typed
is_rules             whether words are the project's rules
is_injected          whether words were written by the harness and are no rules
own_words            rules without the frame that the harness puts around them
===================  =================================================================
"""

from __future__ import annotations

import re

__all__ = [
    "BARE_ITEMS",
    "EVENTS_WITHOUT_USE",
    "INJECTED_KINDS",
    "ITEMS_WITHOUT_USE",
    "RECORD_TYPES",
    "is_injected",
    "is_rules",
    "own_words",
]

RECORD_TYPES = frozenset({"compacted", "event_msg", "response_item", "session_meta", "turn_context"})

BARE_ITEMS = frozenset({"function_call", "function_call_output", "local_shell_call", "message", "reasoning"})
"""Items of a conversation that the first releases wrote without an envelope."""

ITEMS_WITHOUT_USE = frozenset(
    {"compaction", "compaction_summary", "context_compaction", "ghost_snapshot", "other", "reasoning"}
)

EVENTS_WITHOUT_USE = frozenset(
    {
        "agent_reasoning",
        "agent_reasoning_raw_content",
        "agent_reasoning_section_break",
        "background_event",
        "context_compacted",
        "deprecation_notice",
        "dynamic_tool_call_request",
        "dynamic_tool_call_response",
        "entered_review_mode",
        "error",
        "exec_command_begin",
        "exec_command_end",
        "exited_review_mode",
        "image_generation_begin",
        "image_generation_end",
        "item_completed",
        "item_started",
        "mcp_tool_call_begin",
        "mcp_tool_call_end",
        "model_reroute",
        "patch_apply_begin",
        "patch_apply_end",
        "plan_update",
        "stream_error",
        "task_complete",
        "task_started",
        "terminal_interaction",
        "thread_goal_updated",
        "thread_name_updated",
        "turn_aborted",
        "turn_complete",
        "turn_diff",
        "turn_started",
        "undo_completed",
        "undo_started",
        "view_image_tool_call",
        "warning",
        "web_search_begin",
        "web_search_end",
    }
)
"""Events that say nothing about memory, or what an item of the conversation says as well."""

_RULES = re.compile(r"\s*(?:# AGENTS\.md instructions\b|<user_instructions>)")
"""How a part of a user message begins in which the harness hands over the project's rules."""

_RULES_FRAME = re.compile(
    r"\s*(?:# AGENTS\.md instructions[^\n]*\n\s*)?<(INSTRUCTIONS|user_instructions)>(.*)</\1>\s*", re.DOTALL
)
"""What stands around those rules; their own words are the last group."""

_INJECTED = re.compile(
    r"\s*<(?:environment_context|environments|turn_aborted|skill|user_action|user_shell_command|subagent_notification"
    r"|system_reminder|permissions instructions|collaboration_mode|personality_spec|model_switch|hook_prompt)\b"
)
"""How a part of a user message begins that the harness wrote and that is no rule."""

INJECTED_KINDS = ("environment_context", "user_instructions")
"""Kinds of a ``user_message`` event that nobody typed."""


def is_rules(words: str) -> bool:
    """Return whether a part of a user message hands over the project's rules."""
    return _RULES.match(words) is not None


def is_injected(words: str) -> bool:
    """Return whether the harness wrote a part of a user message that holds no rules."""
    return _INJECTED.match(words) is not None


def own_words(rules: str) -> str:
    """Return rules without the frame around them, so that the same rules are recognized in any frame or none."""
    frame = _RULES_FRAME.fullmatch(rules)
    return (frame[2] if frame else rules).strip()

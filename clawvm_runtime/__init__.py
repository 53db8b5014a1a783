"""ClawVM: memory management for stateful LLM agents, enforced by the harness."""

__version__ = "0.2.0"

"""ClawVM: memory management for stateful LLM agents, enforced by the harness."""

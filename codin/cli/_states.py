"""The states of a task, as people write them."""

from __future__ import annotations

from codin import a2a

__all__ = ["STATES", "state_name"]


def state_name(state: a2a.TaskState) -> str:
    """`input-required` for TASK_STATE_INPUT_REQUIRED."""
    return state.removeprefix("TASK_STATE_").lower().replace("_", "-")


STATES = {state_name(state): state for state in a2a.TaskState if state is not a2a.TaskState.UNSPECIFIED}
"""Each state by its name on the command line."""

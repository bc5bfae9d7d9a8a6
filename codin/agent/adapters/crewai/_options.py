"""What `adapt` takes beside CrewAI's object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from codin.agent.adapters._history import History
from codin.agent.adapters._profile import AdapterOptions

__all__ = ["CrewAIOptions", "Said"]

Said = dict[str, str]
"""A message as models take it: `{"role": "user" or "assistant", "content": …}`."""


class CrewAIOptions(AdapterOptions, total=False):
    """What `adapt` takes beside the crew, flow or agent.

    Args:
        text_field: the template variable of a crew, or the field of a flow's state, that takes plain text, when more
            than one could.
        defaults: values for the inputs of a crew or a flow that the caller does not give.
        text_from: the methods of a flow whose model text is streamed as the answer. By default none: a flow's answer is
            what it returns, and only the flow knows which of its models says that.
        output: the model that the answer of a single agent is made into; it is sent as data.
        history: keeps what was said to a single agent in each context; in memory by default.
        console: let CrewAI print its boxes on stdout.
        max_threads: runs at once, 64 by default. A flow that waits in `ask()` keeps its thread.
    """

    text_field: str
    defaults: Mapping[str, Any]
    text_from: Sequence[str]
    output: type[BaseModel]
    history: History[Said]
    console: bool
    max_threads: int

"""What a handler answers: an outcome, and the exceptions that say the same from deep inside a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from codin import a2a

__all__ = ["AgentResponse", "NeedAuth", "NeedInput", "Outcome", "Reject"]

Outcome = Literal["completed", "input_required", "auth_required", "rejected", "failed", "message"]
"""How a run ended. Only the task log turns it into a state."""


@dataclass(slots=True)
class AgentResponse:
    """The outcome of one `handle(task)`. A value: nobody changes it.

    Args:
        outcome: how the run ended.
        text: the answer, the question, or the reason, depending on the outcome.
        data: a JSON value (or pydantic model) sent as a data part in an artifact of its own, or beside the question.
        artifacts: further artifacts, complete.
        parts: the parts of a direct message, only for agents declared with `reply="message"`.
        token: a JSON value kept with a question; `task.resume` gives it back when the answer comes.
        usage: what the run cost, e.g. `{"input_tokens": 12, "output_tokens": 40}`.
        metadata: public metadata of the final status.
    """

    outcome: Outcome = "completed"
    text: str | None = None
    data: Any = None
    artifacts: Sequence[a2a.Artifact] = ()
    parts: Sequence[a2a.Part] = ()
    token: Any = None
    usage: Mapping[str, int | float] | None = None
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def completed(
        cls,
        text: str | None = None,
        *,
        data: Any = None,
        artifacts: Sequence[a2a.Artifact] = (),
        usage: Mapping[str, int | float] | None = None,
    ) -> AgentResponse:
        """The work is done."""
        return cls("completed", text, data, artifacts, usage=usage)

    @classmethod
    def input_required(
        cls, question: str, *, data: Any = None, token: Any = None, usage: Mapping[str, int | float] | None = None
    ) -> AgentResponse:
        """A person (or the calling agent) has to answer; `handle` runs again with the answer."""
        return cls("input_required", question, data, token=token, usage=usage)

    @classmethod
    def auth_required(cls, text: str, *, data: Any = None, token: Any = None) -> AgentResponse:
        """A credential is missing; `handle` runs again when it arrives. Spec 7.6.1."""
        return cls("auth_required", text, data, token=token)

    @classmethod
    def rejected(cls, reason: str) -> AgentResponse:
        """The agent will not do this."""
        return cls("rejected", reason)

    @classmethod
    def failed(cls, reason: str) -> AgentResponse:
        """The agent tried and could not. The reason is shown to the caller."""
        return cls("failed", reason)

    @classmethod
    def message(cls, content: str | Sequence[a2a.Part]) -> AgentResponse:
        """A direct message instead of a task; only for agents declared with `reply="message"`."""
        parts = [a2a.Part(text=content)] if isinstance(content, str) else list(content)
        return cls("message", parts=parts)


class NeedInput(Exception):
    """Raise it to ask the caller: the task becomes INPUT_REQUIRED and `handle` runs again with the answer.

    Args:
        question: readable text.
        data: a JSON value shown beside the question, e.g. choices or a JSON Schema.
        token: a JSON value that `task.resume` gives back with the answer.
    """

    def __init__(self, question: str, *, data: Any = None, token: Any = None) -> None:
        super().__init__(question)
        self.response: AgentResponse = AgentResponse.input_required(question, data=data, token=token)


class NeedAuth(Exception):
    """Raise it when a credential is missing: the task becomes AUTH_REQUIRED. The answer is never stored."""

    def __init__(self, text: str, *, data: Any = None, token: Any = None) -> None:
        super().__init__(text)
        self.response: AgentResponse = AgentResponse.auth_required(text, data=data, token=token)


class Reject(Exception):
    """Raise it to refuse the request: the task becomes REJECTED with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.response: AgentResponse = AgentResponse.rejected(reason)

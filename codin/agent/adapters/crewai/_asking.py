"""What flows ask: the caller of the task is asked, and nobody reads stdin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crewai import Flow
from crewai.flow.async_feedback import ConsoleProvider
from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.flow.flow_config import flow_config
from pydantic_core import to_json

from codin.agent.adapters._questions import Question, Unclear, answers, json_value, readable
from codin.agent.adapters.crewai._running import Waits, running

__all__ = ["CALLER", "ask_callers", "feedback_question", "feedback_text", "put"]

T = TypeVar("T")


def feedback_question(context: Mapping[str, Any]) -> Question:
    """What a flow asks for feedback: its message, and what there is to say something about."""
    shown = "" if context["method_output"] is None else f"{readable(context['method_output'])}\n\n"
    outcomes = f"\nPossible outcomes: {', '.join(context['emit'])}" if context["emit"] else ""
    value = {"output": context["method_output"], "outcomes": context["emit"]}
    return Question(context["method_name"], f"{shown}{context['message']}{outcomes}", value)


def feedback_text(value: Any) -> str:
    """An answer as the text that flows take."""
    return value if isinstance(value, str) else to_json(value).decode()


def put(run: Waits, question: Question, read: Callable[[Any], T]) -> T:
    """Put a question to the caller and block until `read` makes something of the answer; asked again on `Unclear`."""
    problem = ""
    while True:
        answer = run.ask(f"{problem}{question.text}", {"questions": [question.to_json()]})
        try:
            return read(answers([question], answer)[question.id])
        except Unclear as unclear:
            problem = f"{unclear}\n"


class _Caller(ConsoleProvider):
    """CrewAI's own default, which in a run of codin waits in its thread for the caller instead of reading stdin."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        """`@human_feedback` of a flow inside a served one, which cannot pause by itself."""
        run = running()
        if run is None:
            return super().request_feedback(context, flow)
        return put(run, feedback_question(json_value(context.to_dict())), feedback_text)

    def request_input(self, message: str, flow: Flow[Any], metadata: dict[str, Any] | None = None) -> str | None:
        """`Flow.ask`."""
        run = running()
        if run is None:
            return super().request_input(message, flow, metadata)
        return put(run, Question("input", message, json_value(metadata)), feedback_text)


CALLER = _Caller()


def ask_callers() -> None:
    """Make it the default of all flows, also of those that a served one makes itself. The user's choice stays."""
    flow_config.input_provider = flow_config.input_provider or CALLER
    flow_config.hitl_provider = flow_config.hitl_provider or CALLER

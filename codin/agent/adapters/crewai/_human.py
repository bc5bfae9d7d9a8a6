"""`human_input=True`: what an agent of a crew has drafted, put to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewai.agents.parser import AgentFinish
from crewai.core.providers.human_input import SyncHumanInputProvider

from codin.agent.adapters._questions import Question, Unclear, approval, json_value, object_of
from codin.agent.adapters.crewai._asking import put
from codin.agent.adapters.crewai._running import running

if TYPE_CHECKING:
    from crewai import Crew

__all__ = ["Draft", "Drafted", "Reviewer", "feedback_of", "review_question"]

_HINT = 'Answer "ok" to accept this, or say what to change.'


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft that waits for its review, or was reviewed.

    Args:
        index: of the task in the crew.
        structured: the text is the JSON of the model that the task answers with.
        messages: what the agent and its model have said.
        feedback: what is to be changed.
    """

    index: int
    text: str
    structured: bool
    messages: Sequence[Mapping[str, Any]]
    feedback: str = ""


class Drafted(BaseException):
    """A task of the crew waits for its review: the run ends here, and goes on in another. No Exception, as `Halt`."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft


def review_question(name: str, draft: str) -> Question:
    """The question about a draft."""
    return Question(name, f"{draft}\n\n{_HINT}", {"task": name, "draft": draft}, read=_feedback)


def feedback_of(value: Any) -> str:
    """What is to be changed; "" when the draft is accepted."""
    if value is True:
        return ""
    if isinstance(value, str):
        return _feedback(value)
    said = object_of(value).get("feedback")
    if not isinstance(said, str):
        raise Unclear(_HINT)
    return said


def _feedback(text: str) -> str:
    try:
        accepted, more = approval(text)
    except Unclear:
        return text
    if accepted:
        return more
    if not more:
        raise Unclear("Say what to change.")
    return text


class Reviewer(SyncHumanInputProvider):
    """Asks the caller of the task, and never reads stdin.

    A draft of the served crew ends the run: its state is in the question's token, so no thread waits, and the answer
    may come after a restart. A draft of a crew inside a flow is asked about where it is made.
    """

    def __init__(self, reviewed: Draft | None = None) -> None:
        self.crew: Crew | None = None
        self._reviewed = reviewed

    def setup_messages(self, context: Any) -> bool:
        """Go on from a reviewed draft."""
        reviewed = self._reviewed
        if reviewed is None or self.crew is None or context.task is not self.crew.tasks[reviewed.index]:
            return False
        context.messages = [dict(message) for message in reviewed.messages]
        context._is_feedback_iteration = True  # the plan is made
        if reviewed.feedback:
            context.messages.append(context._format_feedback_message(reviewed.feedback))
        else:
            context.state.current_answer = AgentFinish("", _output(context.task, reviewed), reviewed.text)
            context.state.is_finished = True
        return True

    def handle_feedback(self, formatted_answer: Any, context: Any) -> Any:
        """Ask from a thread that runs a crew."""
        while feedback := self._review(formatted_answer, context):
            context.messages.append(context._format_feedback_message(feedback))
            formatted_answer = context._invoke_loop()
        return formatted_answer

    async def handle_feedback_async(self, formatted_answer: Any, context: Any) -> Any:
        """Ask from an event loop that runs a crew."""
        while feedback := await asyncio.to_thread(self._review, formatted_answer, context):
            context.messages.append(context._format_feedback_message(feedback))
            formatted_answer = await context._ainvoke_loop()
        return formatted_answer

    def _review(self, answer: Any, context: Any) -> str:
        draft = self._get_output_string(answer)
        if self.crew is not None and context.crew is self.crew:
            context._is_feedback_iteration = False
            reviewed, self._reviewed = self._reviewed, None
            if reviewed is not None and not reviewed.feedback:
                return ""
            index = next(i for i, task in enumerate(self.crew.tasks) if task is context.task)
            raise Drafted(Draft(index, draft, not isinstance(answer.output, str), json_value(context.messages)))
        question = review_question(context.task.name or "task", draft)
        run = running()
        return "" if run is None else put(run, question, feedback_of)


def _output(task: Any, draft: Draft) -> Any:
    if not draft.structured:
        return draft.text
    model = task.response_model or task.output_pydantic or task.output_json
    return model.model_validate_json(draft.text)

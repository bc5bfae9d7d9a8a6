"""Copies of crews and flows, one for each run: neither can run twice at once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from crewai import Crew, Flow
from crewai.flow.async_feedback.types import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow_config import flow_config
from crewai.flow.persistence.base import FlowPersistence
from crewai.utilities.constants import NOT_SPECIFIED
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

from codin.agent.adapters.crewai._asking import CALLER

__all__ = ["copy_of_crew", "copy_of_flow", "resuming"]

# pyright: reportPrivateUsage=false


def copy_of_crew(crew: Crew) -> Crew:
    """A crew for one run.

    `Crew.copy` finds agents by their role and tasks by their text: it would mix up two that are alike, and not find an
    agent that is a task's and not the crew's.
    """
    outside = [task.agent for task in crew.tasks if task.agent is not None]
    agents = list({id(agent): agent for agent in (*crew.agents, *outside)}.values())
    alone = [task.model_copy(update={"context": NOT_SPECIFIED}) for task in crew.tasks]
    # `copy` hands on the memory itself; on the way it would write it out, with its models, and warn of that.
    copied = crew.model_copy(update={"agents": agents, "tasks": alone, "memory": False}).copy()
    twins = {id(agent): twin for agent, twin in zip(agents, copied.agents, strict=True)}
    tasks = {id(task): twin for task, twin in zip(crew.tasks, copied.tasks, strict=True)}
    for task in crew.tasks:
        twin = tasks[id(task)]
        twin.tools = list(task.tools or ())
        if task.agent is not None:
            twin.agent = twins[id(task.agent)]
        if isinstance(task.context, list):
            twin.context = [tasks[id(other)] for other in task.context]
    copied.agents = copied.agents[: len(crew.agents)]
    copied.stream = False  # it is heard in another way, and a crew that streams returns before it has run
    copied._task_output_handler = _NoReplay()
    return copied


class _NoReplay(TaskOutputStorageHandler):
    """Stores nothing. CrewAI keeps the inputs and outputs of "the last kickoff" in one file of the user's, for its own
    command line; with many callers at once that is nobody's kickoff.
    """

    def __init__(self) -> None:
        pass

    def reset(self) -> None:
        """Nothing is stored."""

    def update(self, task_index: int, log: dict[str, Any]) -> None:
        """Nothing is stored."""


def copy_of_flow(flow: Flow[Any], *, tells_methods: bool) -> Any:
    """A flow for one run, with what the user's class and code have put on it, and a state of its own.

    Args:
        tells_methods: emit an event when a method starts, whatever `suppress_flow_events` says.
    """
    copied: Any = flow.model_copy(update={"stream": False, "human_feedback_history": [], "last_human_feedback": None})
    object.__setattr__(copied, "__pydantic_private__", None)
    copied.__dict__.pop("_flow_post_init_done", None)
    if tells_methods:
        copied.suppress_flow_events = False
    if not flow._instance_persistence:  # it comes from @persist, and comes again
        copied.persistence = None
    copied.model_post_init({"flow_definition": flow._definition} if type(flow) is Flow else None)
    for name in type(flow).__private_attributes__.keys() - Flow.__private_attributes__.keys():
        setattr(copied, name, getattr(flow, name))
    copied._state = flow._copy_state()
    copied._stamp_state_id(str(uuid4()))
    _pause_for_feedback(copied)
    return copied


def _pause_for_feedback(flow: Any) -> None:
    """Where nobody else was chosen to give feedback, the flow pauses, and no thread has to wait for the caller."""
    if flow_config.hitl_provider is CALLER:
        methods = {name: _paused(method) for name, method in flow._definition.methods.items()}
        flow._definition = flow._definition.model_copy(update={"methods": methods})
    if flow.persistence is None:
        flow.persistence = _Nothing()


def _paused(method: Any) -> Any:
    asked = method.human_feedback
    if asked is None or asked.provider is not None:
        return method
    return method.model_copy(update={"human_feedback": asked.model_copy(update={"provider": _Feedback()})})


def resuming(flow: Any, state: Any, context: PendingFeedbackContext) -> None:
    """Put a copy where it had paused, as `Flow.from_pending` does with an object that it makes itself."""
    flow._initialize_state(state)
    asked = flow._definition.methods[context.method_name].human_feedback
    if asked is not None:
        context.llm = asked.llm  # what is saved of the model lacks its key
    flow._pending_feedback_context = context
    flow._is_execution_resuming = True
    flow._flow_match_id = flow.flow_id


class _Feedback:
    """`@human_feedback`: the flow pauses, and its state is kept with the question."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Any) -> str:
        """Pause."""
        raise HumanFeedbackPending(context)


class _Nothing(FlowPersistence):
    """Keeps nothing: the state of a paused flow is in the question's token. CrewAI would make a database for it."""

    persistence_type: str = "codin"

    def init_db(self) -> None:
        """Nothing to make."""

    def save_state(self, flow_uuid: str, method_name: str, state_data: Any) -> None:
        """Nothing is kept."""

    def load_state(self, flow_uuid: str) -> dict[str, Any] | None:
        """Nothing is kept."""
        return None

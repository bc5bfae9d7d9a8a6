"""Sessions of a runner: whose they are, what is open in them, and how what did not complete is taken back."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.adk.events.event import Event
from google.adk.runners import Runner
from google.adk.sessions import Session
from google.genai import types

from codin import a2a
from codin.agent.adapters._profile import thread_id
from codin.agent.adapters.adk._questions import CONFIRMATION, CREDENTIAL, Pending
from codin.task import Reject, Task

__all__ = ["TASK", "Place", "Sessions"]

TASK = "codin_task"
"""In the metadata of the message that begins a run: the task that this and the events behind it belong to."""
_KEPT = 1_000  # resting sessions of an agent without a session service of its own, which nobody else deletes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place."""

    user: str
    session: str


class Sessions:
    """The sessions of one runner: one for each context of each caller.

    Args:
        agent: the agent's id.
        user_id: of a task, instead of a hash of its caller.
        bounded: the session service is codin's own, in memory, and forgets what was used least recently.
        own_files: so is the artifact service, and a session's files are forgotten with it.
    """

    def __init__(
        self,
        runner: Runner,
        agent: str,
        *,
        user_id: Callable[[Task], str] | None = None,
        bounded: bool = False,
        own_files: bool = False,
    ) -> None:
        self._runner = runner
        self._agent = agent
        self._user_id = user_id or _user_of
        self._bounded = bounded
        self._own_files = own_files
        self._resting: OrderedDict[Place, None] = OrderedDict()

    async def begin(self, task: Task) -> Place:
        """Where a new task begins: a session without anything half-done.

        A task that was canceled, failed or died half-way may leave a message nobody answered, or a call without a
        result, which models refuse. What it did is taken back.

        Raises:
            Reject: another task's question is open in the session. A new message would be mixed up with the answer.
        """
        place = Place(self._user_id(task), thread_id(self._agent, task))
        events = await self.events(place)
        if events is None:
            await self._runner.session_service.create_session(
                app_name=self._runner.app_name, user_id=place.user, session_id=place.session
            )
            return place
        newest = _newest(events)
        if newest is not None and await self._unfinished(task, newest[1], events, newest[0]):
            await self._take_back(place, newest[1], events)
        return place

    async def _unfinished(self, task: Task, other: str, events: Sequence[Event], newest: Event) -> bool:
        """Whether what another task left must be taken back.

        The log knows how that task ended. What it has not committed yet, or has forgotten, shows in the session.
        """
        waits = bool(_open_calls(other, events))
        state = await task.state_of(other)
        if state is not None and (state.interrupted or (waits and not state.terminal)):
            raise Reject(
                f"Task {other!r} of this context has an open question. Answer it with that taskId, cancel that task, "
                "or begin a new context."
            )
        if state is not None and state.terminal:
            return state is not a2a.TaskState.COMPLETED
        return waits or newest.author == "user" or not newest.is_final_response()

    async def _take_back(self, place: Place, other: str, events: Sequence[Event]) -> None:
        first = next(event for event, owner in _owned(events) if owner == other)
        # An agent in ADK's task mode goes on with the invocation of an earlier task, which completed.
        begun = next(event for event in events if event.invocation_id == first.invocation_id)
        if begun is first:
            await self._runner.rewind_async(
                user_id=place.user, session_id=place.session, rewind_before_invocation_id=first.invocation_id
            )

    async def pending(self, place: Place, ids: Sequence[str]) -> list[Pending] | None:
        """The calls with these ids, which wait for an answer; None when the session knows one of them no more."""
        found: dict[str, Pending] = {}
        for event in reversed(await self.events(place) or []):
            for call in event.get_function_calls():
                if call.id is not None and call.id in ids and call.id not in found:
                    found[call.id] = Pending(call.id, call.name or "", call.args or {}, event.branch)
        return [found[call] for call in ids] if len(found) == len(ids) else None

    async def ask(self, place: Place, dropped: Sequence[Event]) -> list[Pending]:
        """Add the calls that ADK makes for what a tool asks, but not when the tool asks again after it was answered."""
        session = await self._session(place) if dropped else None
        if session is None:
            return []
        asked: list[Pending] = []
        calls = {call.id: call for event in session.events for call in event.get_function_calls()}
        for event in dropped:
            for name, args in _requests(event, calls):
                asked.append(Pending(f"adk-{uuid.uuid4()}", name, args, event.branch))
                await self._runner.session_service.append_event(session, _call_event(event, asked[-1]))
        return asked

    async def events(self, place: Place) -> list[Event] | None:
        """All events of a session; None when there is none."""
        session = await self._session(place)
        return None if session is None else session.events

    async def _session(self, place: Place) -> Session | None:
        return await self._runner.session_service.get_session(
            app_name=self._runner.app_name, user_id=place.user, session_id=place.session
        )

    def enter(self, place: Place) -> None:
        """A run begins here."""
        self._resting.pop(place, None)

    async def rest(self, place: Place) -> None:
        """The run has ended."""
        if not self._bounded:
            return
        self._resting[place] = None
        if len(self._resting) > _KEPT:
            oldest, _ = self._resting.popitem(last=False)
            await self._forget(oldest)

    async def _forget(self, place: Place) -> None:
        where = {"app_name": self._runner.app_name, "user_id": place.user, "session_id": place.session}
        if self._own_files and (files := self._runner.artifact_service) is not None:
            for name in await files.list_artifact_keys(**where):
                if not name.startswith("user:"):
                    await files.delete_artifact(**where, filename=name)
        await self._runner.session_service.delete_session(**where)


def _user_of(task: Task) -> str:
    """A hash of the caller: ADK keeps state and memory of its own for each user."""
    owner = [task.tenant, task.caller.tenant, task.caller.id]
    return hashlib.sha256(json.dumps(owner).encode()).hexdigest()[:40]


def _owned(events: Iterable[Event]) -> Iterator[tuple[Event, str | None]]:
    """Each event with its task. One without a mark belongs to the newest that has one, if it is of its invocation."""
    owner: str | None = None
    invocation = ""
    for event in events:
        mark = (event.custom_metadata or {}).get(TASK)
        if mark is not None:
            owner, invocation = mark, event.invocation_id
        yield event, owner if event.invocation_id in {invocation, ""} else None


def _newest(events: Iterable[Event]) -> tuple[Event, str] | None:
    """The last event of a task. ADK adds some of its own behind, and what was taken back is no more."""
    newest: tuple[Event, str] | None = None
    for event, owner in _owned(events):
        if event.actions.rewind_before_invocation_id:
            newest = None
        elif owner is not None:
            newest = event, owner
    return newest


def _requests(event: Event, calls: Mapping[str | None, types.FunctionCall]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of the calls for what tools ask in an event. ADK reads them again when it goes on."""
    for call, confirmation in event.actions.requested_tool_confirmations.items():
        if call not in calls:
            continue
        original = calls[call].model_dump(exclude_none=True, by_alias=True)
        asked = confirmation.model_dump(exclude_none=True, by_alias=True)
        yield CONFIRMATION, {"originalFunctionCall": original, "toolConfirmation": asked}
    for call, config in event.actions.requested_auth_configs.items():
        asked = config.model_dump(mode="json", exclude_none=True, by_alias=True)
        yield CREDENTIAL, {"functionCallId": call, "authConfig": asked}


def _call_event(event: Event, pending: Pending) -> Event:
    call = types.FunctionCall(id=pending.id, name=pending.name, args=dict(pending.args))
    content = types.Content(role="model", parts=[types.Part(function_call=call)])
    return Event(
        invocation_id=event.invocation_id,
        author=event.author,
        branch=event.branch,
        custom_metadata=event.custom_metadata,
        content=content,
        long_running_tool_ids={pending.id},
    )


def _open_calls(task: str, events: Iterable[Event]) -> set[str]:
    """The calls of a task that wait for an answer."""
    waiting: set[str] = set()
    for event, owner in _owned(events):
        if owner == task:
            waiting -= {response.id or "" for response in event.get_function_responses()}
            waiting |= event.long_running_tool_ids or set()
    return waiting

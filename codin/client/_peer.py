"""A peer: an agent somewhere else, as this process talks to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import to_json

from codin import a2a
from codin.client._backoff import Backoff
from codin.client._card import CALL, RESUME, check_same_party, resumes
from codin.client._content import Content, FileContent, message_of
from codin.client._event import Event
from codin.client._fetch import FetchedCard, check_address, guard_of, look_up, open_guarded
from codin.client._fold import Fold
from codin.client._follow import Course, follow, subscription
from codin.client._interfaces import Spoken, spoken_interfaces
from codin.client._line import Line, Way
from codin.client._pages import Pages
from codin.client._proof import Proof
from codin.client._reply import Reply
from codin.errors import AddressRefused, BadResponse, CodinError, ConfigError, DeadlineExceeded
from codin.net import Transport
from codin.trust import CALL_HEADER, CallLimits, Credential, Trusted, TrustPolicy, identity_in, verify_card

__all__ = ["Peer"]


class _Nothing(a2a.Model):
    """The result of an operation that has none."""


class _WholeCard(a2a.Model):
    """A card with everything in it, also what this version does not know and a signature covers."""

    model_config = ConfigDict(extra="allow")


class Peer:
    """An agent behind a URL. Made by `connect`; usable inside `async with`.

    One peer may be used by any number of tasks at once. Every call raises a `codin.a2a.A2AError` for what the peer
    refuses and a `codin.errors.TransportError` for what went wrong on the way.
    """

    def __init__(
        self,
        target: str | a2a.AgentCard,
        *,
        headers: Mapping[str, str],
        timeout: float | None,
        transport: Transport | str | None,
        backoff: Backoff,
        trust: TrustPolicy,
        credential: Credential | None = None,
        binding: str | None = None,
        old: bool = True,
    ) -> None:
        self._target = target
        self._headers = headers
        self._timeout = timeout
        self._given = transport
        self._backoff = backoff
        self._policy = trust
        self._credential = credential
        self._binding = binding
        self._old = old
        self._transport: Transport | None = None
        self._found: FetchedCard | None = None
        self._line: Line | None = None
        self._extensions = ""

    @property
    def card(self) -> a2a.AgentCard:
        """The peer's card."""
        return self._looked_up.card

    @property
    def document(self) -> bytes:
        """The card as the peer sent it, with what this version does not know."""
        return self._looked_up.raw

    @property
    def connected(self) -> bool:
        """Whether it can be called now: it was entered, and not left."""
        return self._line is not None

    @property
    def interface(self) -> a2a.AgentInterface:
        """The interface of the card that is called now."""
        return self._ready().interface

    @property
    def trusted(self) -> Trusted:
        """Who has signed the card, as far as the trust policy looked."""
        return self._looked_up.trusted

    @property
    def _looked_up(self) -> FetchedCard:
        if self._found is None:
            raise _not_entered()
        return self._found

    async def __aenter__(self) -> Self:
        transport = self._transport = open_guarded(self._given, self._target, self._policy)
        handed = transport is self._given
        try:
            headers = await self._first_headers()
            found = await look_up(
                self._target, self._policy, transport, handed=handed, headers=headers, timeout=self._timeout
            )
            interfaces = await self._callable(found.card, handed=handed)
        except BaseException:
            await self._close()
            raise
        self._found, self._line = found, self._open_line(transport, found, interfaces)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        line, self._line = self._line, None
        transport, self._transport = self._transport, None
        if line is not None:
            await line.aclose()
        if transport is not None and transport is not self._given:
            await transport.aclose()

    async def _first_headers(self) -> Mapping[str, str]:
        """What the card is asked for with."""
        if self._credential is None or not isinstance(self._target, str):
            return self._headers
        return {**self._headers, **await Proof(self._credential, self._target).headers()}

    async def _callable(self, card: a2a.AgentCard, *, handed: bool) -> list[Spoken]:
        """The interfaces that may be called with what this peer was given; raises what is wrong with the first."""
        found: list[Spoken] = []
        problem: CodinError | None = None
        for spoken in spoken_interfaces(card, self._binding, old=self._old):
            try:
                if isinstance(self._target, str) and (self._headers or self._credential is not None):
                    check_same_party(self._target, spoken.address)
                if handed:
                    await check_address(self._target, self._policy, spoken.address)
                found.append(spoken)
            except (ConfigError, AddressRefused) as error:
                problem = problem or error
        if not found:
            assert problem is not None
            raise problem
        return found

    def _open_line(self, transport: Transport, found: FetchedCard, interfaces: Iterable[Spoken]) -> Line:
        card = found.card
        resumable = resumes(card)
        headers = {**self._headers, "A2A-Version": "1.0"}
        if resumable:
            asked = headers.pop("A2A-Extensions", None)
            headers["A2A-Extensions"] = f"{asked}, {RESUME}" if asked else RESUME
        self._extensions = headers.get("A2A-Extensions", "")
        ways = [
            Way(
                spoken.interface,
                spoken.open(transport, headers, guard_of(self._target, self._policy)),
                Proof(self._credential, spoken.address, card, found.trusted) if self._credential is not None else None,
            )
            for spoken in interfaces
        ]
        return Line(ways, resumable=resumable, backoff=self._backoff, name=card.name)

    async def send(
        self,
        content: Content = (),
        *,
        context_id: str | None = None,
        task_id: str | None = None,
        data: JsonValue | BaseModel = None,
        files: Iterable[FileContent] = (),
        reference_task_ids: Iterable[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        wait: bool = True,
        history_length: int | None = None,
        accepted_output_modes: Iterable[str] | None = None,
        push: str | a2a.TaskPushNotificationConfig | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        limits: CallLimits | None = None,
    ) -> Reply:
        """Send a message and wait for the answer.

        Args:
            content: text, a part, a dict or pydantic model (sent as data), several of these, or an `a2a.Message`; may
                be left out where data or files are all there is to say.
            context_id: the conversation to go on with.
            task_id: the task to go on with, for example to answer its question.
            data: structured data beside the content.
            files: paths of files, which are read and attached, or parts.
            reference_task_ids: earlier tasks that the message is about.
            metadata: of the message.
            wait: for the task to end or to ask; False takes the task as it is once it exists.
            history_length: how many messages of the task's history to return.
            accepted_output_modes: media types that the answer may have.
            push: where the events of the task are posted to: a URL, or a configuration that says what is shown there.
            idempotency_key: names this message for a peer that honours it: sent twice, it is acted on once.
            timeout: seconds for all of it, instead of the peer's.
            limits: what the call may take, for a peer that keeps to such limits. `task.call` makes them by itself.

        Raises:
            DeadlineExceeded: the time is up; the task may go on.
            ConfigError: there is nothing to send.
        """
        line = self._ready()
        message = await message_of(
            content,
            data=data,
            files=files,
            context_id=context_id,
            task_id=task_id,
            reference_task_ids=reference_task_ids,
            metadata=metadata,
        )
        request = _send_request(message, history_length, accepted_output_modes, push, wait=wait)
        call = line.prepare("SendMessage", request, self._told(idempotency_key, limits))
        try:
            answer = await line.call(call, a2a.SendMessageResponse, timeout=self._within(timeout), again=line.resumable)
        except DeadlineExceeded as error:
            error.hint = "pass a longer timeout=, take the task at once with wait=False, or follow it with stream()"
            raise
        return Reply(answer.value)

    async def stream(
        self,
        content: Content = (),
        *,
        context_id: str | None = None,
        task_id: str | None = None,
        data: JsonValue | BaseModel = None,
        files: Iterable[FileContent] = (),
        reference_task_ids: Iterable[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        history_length: int | None = None,
        accepted_output_modes: Iterable[str] | None = None,
        push: str | a2a.TaskPushNotificationConfig | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        limits: CallLimits | None = None,
    ) -> AsyncGenerator[Event]:
        """Send a message and yield what happens, until the task has ended or asks for input.

        A stream that is cut is taken up again without a gap in `event.text`. A peer without streaming is asked the
        plain way and gives one event.

        Args:
            timeout: seconds of silence that are borne, instead of the peer's. The other arguments are those of `send`.
        """
        line = self._ready()
        message = await message_of(
            content,
            data=data,
            files=files,
            context_id=context_id,
            task_id=task_id,
            reference_task_ids=reference_task_ids,
            metadata=metadata,
        )
        request = _send_request(message, history_length, accepted_output_modes, push)
        told = self._told(idempotency_key, limits)
        if not self.card.capabilities.streaming:
            call = line.prepare("SendMessage", request, told)
            answer = await line.call(call, a2a.SendMessageResponse, timeout=self._within(timeout), again=line.resumable)
            yield _only_event(answer.value)
            return
        call = line.prepare("SendStreamingMessage", request, told, stream=True)
        course = Course(line, continued="taskId" in message)
        async with aclosing(follow(line, call, course, timeout=self._within(timeout))) as events:
            async for event in events:
                yield event

    async def subscribe(
        self, task_id: str, *, after: int | None = None, timeout: float | None = None
    ) -> AsyncGenerator[Event]:
        """Yield what happens to a task, from now until it has ended. Ends at once when it has.

        Args:
            after: the number of the last event already seen; the first event is then the next one, and `event.task`
                holds only what came since. `event.text` is what is new behind that number; once the peer keeps only
                the task and no longer its events, it is everything. Only for peers that number their events.
            timeout: seconds of silence that are borne, instead of the peer's.
        """
        line = self._ready()
        if after is not None and not line.resumable:
            raise a2a.UnsupportedOperation(
                f"{self.card.name!r} does not number its events.", hint="Subscribe without `after`."
            )
        course = Course(line, task_id=task_id, after=after, answers=False)
        call = subscription(line, task_id, after)
        async with aclosing(follow(line, call, course, timeout=self._within(timeout))) as events:
            async for event in events:
                yield event

    async def get(self, task_id: str, *, history_length: int | None = None, timeout: float | None = None) -> a2a.Task:
        """The task as it is now."""
        line = self._ready()
        call = line.prepare("GetTask", {"id": task_id, "historyLength": history_length})
        return await line.call(call, a2a.Task, timeout=self._within(timeout), again=True)

    async def list(
        self,
        *,
        context_id: str | None = None,
        status: a2a.TaskState | None = None,
        status_timestamp_after: datetime | None = None,
        include_artifacts: bool | None = None,
        history_length: int | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[a2a.Task]:
        """Yield the caller's tasks, the one that changed last first; pages are fetched as they are needed.

        Args:
            page_size: tasks per request.
            timeout: seconds for each request.
        """
        line = self._ready()
        filters = a2a.ListTasksRequest(
            context_id=context_id,
            status=status,
            status_timestamp_after=status_timestamp_after,
            include_artifacts=include_artifacts,
            history_length=history_length,
            page_size=page_size,
        ).to_dict()
        pages = Pages(line.url, "tasks")
        while True:
            call = line.prepare("ListTasks", {**filters, "pageToken": pages.token})
            page = await line.call(call, a2a.ListTasksResponse, timeout=self._within(timeout), again=True)
            for task in page.tasks:
                yield task
            if not pages.turn(page.next_page_token, empty=not page.tasks):
                return

    async def extended_card(self, *, timeout: float | None = None) -> a2a.AgentCard:
        """The card that the peer has for this caller. It is `card` from now on. Spec 3.1.11.

        Raises:
            UnsupportedOperation: the peer has none.
            ExtendedAgentCardNotConfigured: it has none for this caller.
            CardNotTrusted: the public card is trusted for a key, and that key has not signed this one.
        """
        line = self._ready()
        call = line.prepare("GetExtendedAgentCard", {})
        whole = await line.call(call, _WholeCard, timeout=self._within(timeout), again=True)
        raw = to_json(whole.model_extra)
        try:
            card = a2a.AgentCard.from_json(raw)
        except a2a.A2AError as error:
            raise BadResponse(f"What {line.url} answers is no agent card of A2A: {error.message}") from None
        found = self._looked_up
        if found.trusted.key is not None:
            verify_card(raw, [found.trusted.key])
        self._found = found._replace(raw=raw, card=card)
        return card

    async def cancel(
        self, task_id: str, *, metadata: Mapping[str, JsonValue] | None = None, timeout: float | None = None
    ) -> a2a.Task:
        """Ask the peer to end a task. Returns the task after that."""
        line = self._ready()
        call = line.prepare("CancelTask", {"id": task_id, "metadata": dict(metadata) if metadata else None})
        return await line.call(call, a2a.Task, timeout=self._within(timeout))

    async def create_push_config(
        self, task_id: str, push: str | a2a.TaskPushNotificationConfig, *, timeout: float | None = None
    ) -> a2a.TaskPushNotificationConfig:
        """Have what happens to a task posted to a webhook. Returns the configuration with the id that it got.

        Args:
            push: the URL, or a configuration that says what is shown there; one with an id that is known is set anew.
        """
        line = self._ready()
        call = line.prepare("CreateTaskPushNotificationConfig", {**_push_config(push), "taskId": task_id})
        return await line.call(call, a2a.TaskPushNotificationConfig, timeout=self._within(timeout))

    async def get_push_config(
        self, task_id: str, config_id: str, *, timeout: float | None = None
    ) -> a2a.TaskPushNotificationConfig:
        """One push configuration of a task."""
        line = self._ready()
        call = line.prepare("GetTaskPushNotificationConfig", {"taskId": task_id, "id": config_id})
        return await line.call(call, a2a.TaskPushNotificationConfig, timeout=self._within(timeout), again=True)

    async def list_push_configs(
        self, task_id: str, *, page_size: int | None = None, timeout: float | None = None
    ) -> AsyncGenerator[a2a.TaskPushNotificationConfig]:
        """Yield the push configurations of a task; pages are fetched as they are needed."""
        line = self._ready()
        pages = Pages(line.url, "push configurations")
        while True:
            asked = {"taskId": task_id, "pageSize": page_size, "pageToken": pages.token}
            call = line.prepare("ListTaskPushNotificationConfigs", asked)
            page = await line.call(
                call, a2a.ListTaskPushNotificationConfigsResponse, timeout=self._within(timeout), again=True
            )
            for config in page.configs:
                yield config
            if not pages.turn(page.next_page_token, empty=not page.configs):
                return

    async def delete_push_config(self, task_id: str, config_id: str, *, timeout: float | None = None) -> None:
        """Post nothing more to a webhook. That there is no such configuration is no error."""
        line = self._ready()
        call = line.prepare("DeleteTaskPushNotificationConfig", {"taskId": task_id, "id": config_id})
        await line.call(call, _Nothing, timeout=self._within(timeout), again=True)

    def _told(self, key: str | None, limits: CallLimits | None) -> dict[str, str]:
        """The headers of one message: its name, made before the first byte leaves, and the limits of the call."""
        told = {"Idempotency-Key": key or token_hex(16)}
        if limits is not None and identity_in(self.card) is not None:
            told[CALL_HEADER] = limits.to_header()
            told["A2A-Extensions"] = f"{self._extensions}, {CALL}" if self._extensions else CALL
        return told

    def _within(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else timeout

    def _ready(self) -> Line:
        if self._line is None:
            raise _not_entered()
        return self._line

    def __repr__(self) -> str:
        name = self._target if isinstance(self._target, str) else self._target.name
        return f"Peer({name!r})"


def _send_request(
    message: dict[str, Any],
    history_length: int | None,
    modes: Iterable[str] | None,
    push: str | a2a.TaskPushNotificationConfig | None,
    *,
    wait: bool = True,
) -> dict[str, Any]:
    configuration: dict[str, Any] = {}
    if isinstance(modes, str):
        raise TypeError("accepted_output_modes= takes a list: accepted_output_modes=[…]")
    if modes is not None:
        configuration["acceptedOutputModes"] = [*modes]
    if history_length is not None:
        configuration["historyLength"] = history_length
    if push is not None:
        configuration["taskPushNotificationConfig"] = _push_config(push)
    if not wait:
        configuration["returnImmediately"] = True
    return {"message": message, "configuration": configuration or None}


def _push_config(push: str | a2a.TaskPushNotificationConfig) -> dict[str, Any]:
    return {"url": push} if isinstance(push, str) else push.to_dict()


def _only_event(value: a2a.Task | a2a.Message) -> Event:
    fold = Fold()
    text = fold.apply(value)
    return Event(value, text, fold.snapshot)


def _not_entered() -> ConfigError:
    return ConfigError("The peer is not connected.", hint="Use it inside `async with connect(…) as peer:`.")

"""A peer: an agent somewhere else, as this process talks to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, JsonValue

from codin import a2a
from codin.client._backoff import Backoff
from codin.client._card import CALL, RESUME, check_same_party, choose_interface, resumes
from codin.client._content import Content, FileContent, message_of
from codin.client._event import Event
from codin.client._fetch import FetchedCard, check_address, look_up, open_guarded
from codin.client._fold import Fold
from codin.client._follow import Course, follow, subscription
from codin.client._proof import Proof
from codin.client._reply import Reply
from codin.client._rpc import Rpc
from codin.errors import BadResponse, ConfigError, DeadlineExceeded
from codin.net import Transport
from codin.trust import CALL_HEADER, CallLimits, Credential, Trusted, TrustPolicy, identity_in

__all__ = ["Peer"]


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
    ) -> None:
        self._target = target
        self._headers = headers
        self._timeout = timeout
        self._given = transport
        self._backoff = backoff
        self._policy = trust
        self._credential = credential
        self._transport: Transport | None = None
        self._found: FetchedCard | None = None
        self._rpc: Rpc | None = None
        self._extensions = ""

    @property
    def card(self) -> a2a.AgentCard:
        """The peer's card."""
        return self._looked_up.card

    @property
    def connected(self) -> bool:
        """Whether it can be called now: it was entered, and not left."""
        return self._rpc is not None

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
            rpc = self._interface(transport, found)
            if handed:
                await check_address(self._target, self._policy, rpc.url)
        except BaseException:
            await self._close()
            raise
        self._found, self._rpc = found, rpc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        transport, self._transport, self._rpc = self._transport, None, None
        if transport is not None and transport is not self._given:
            await transport.aclose()

    async def _first_headers(self) -> Mapping[str, str]:
        """What the card is asked for with."""
        if self._credential is None or not isinstance(self._target, str):
            return self._headers
        return {**self._headers, **await Proof(self._credential, self._target).headers()}

    def _interface(self, transport: Transport, found: FetchedCard) -> Rpc:
        card = found.card
        interface = choose_interface(card)
        if isinstance(self._target, str) and (self._headers or self._credential is not None):
            check_same_party(self._target, interface.url)
        resumable = resumes(card)
        headers = {**self._headers, "A2A-Version": "1.0"}
        if resumable:
            asked = headers.pop("A2A-Extensions", None)
            headers["A2A-Extensions"] = f"{asked}, {RESUME}" if asked else RESUME
        self._extensions = headers.get("A2A-Extensions", "")
        return Rpc(
            transport,
            interface.url,
            headers=headers,
            tenant=interface.tenant,
            resumable=resumable,
            backoff=self._backoff,
            name=card.name,
            proof=Proof(self._credential, interface.url, card, found.trusted) if self._credential is not None else None,
        )

    async def send(
        self,
        content: Content = (),
        *,
        context_id: str | None = None,
        task_id: str | None = None,
        data: JsonValue | BaseModel = None,
        files: Iterable[FileContent] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        wait: bool = True,
        history_length: int | None = None,
        accepted_output_modes: Iterable[str] | None = None,
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
            metadata: of the message.
            wait: for the task to end or to ask; False takes the task as it is once it exists.
            history_length: how many messages of the task's history to return.
            accepted_output_modes: media types that the answer may have.
            idempotency_key: names this message for a peer that honours it: sent twice, it is acted on once.
            timeout: seconds for all of it, instead of the peer's.
            limits: what the call may take, for a peer that keeps to such limits. `task.call` makes them by itself.

        Raises:
            DeadlineExceeded: the time is up; the task may go on.
            ConfigError: there is nothing to send.
        """
        rpc = self._ready()
        message = await message_of(
            content, data=data, files=files, context_id=context_id, task_id=task_id, metadata=metadata
        )
        request = _send_request(message, history_length, accepted_output_modes, wait=wait)
        call = rpc.prepare("SendMessage", request, self._told(idempotency_key, limits))
        try:
            answer = await rpc.call(call, a2a.SendMessageResponse, timeout=self._within(timeout), again=rpc.resumable)
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
        metadata: Mapping[str, JsonValue] | None = None,
        history_length: int | None = None,
        accepted_output_modes: Iterable[str] | None = None,
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
        rpc = self._ready()
        message = await message_of(
            content, data=data, files=files, context_id=context_id, task_id=task_id, metadata=metadata
        )
        request = _send_request(message, history_length, accepted_output_modes)
        told = self._told(idempotency_key, limits)
        if not self.card.capabilities.streaming:
            call = rpc.prepare("SendMessage", request, told)
            answer = await rpc.call(call, a2a.SendMessageResponse, timeout=self._within(timeout), again=rpc.resumable)
            yield _only_event(answer.value)
            return
        call = rpc.prepare("SendStreamingMessage", request, told, stream=True)
        course = Course(rpc, continued="taskId" in message)
        async with aclosing(follow(rpc, call, course, timeout=self._within(timeout))) as events:
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
        rpc = self._ready()
        if after is not None and not rpc.resumable:
            raise a2a.UnsupportedOperation(
                f"{self.card.name!r} does not number its events.", hint="Subscribe without `after`."
            )
        course = Course(rpc, task_id=task_id, after=after, answers=False)
        call = subscription(rpc, task_id, after)
        async with aclosing(follow(rpc, call, course, timeout=self._within(timeout))) as events:
            async for event in events:
                yield event

    async def get(self, task_id: str, *, history_length: int | None = None, timeout: float | None = None) -> a2a.Task:
        """The task as it is now."""
        rpc = self._ready()
        call = rpc.prepare("GetTask", {"id": task_id, "historyLength": history_length})
        return await rpc.call(call, a2a.Task, timeout=self._within(timeout), again=True)

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
        rpc = self._ready()
        filters = a2a.ListTasksRequest(
            context_id=context_id,
            status=status,
            status_timestamp_after=status_timestamp_after,
            include_artifacts=include_artifacts,
            history_length=history_length,
            page_size=page_size,
        ).to_dict()
        token: str | None = None
        while True:
            call = rpc.prepare("ListTasks", {**filters, "pageToken": token})
            page = await rpc.call(call, a2a.ListTasksResponse, timeout=self._within(timeout), again=True)
            for task in page.tasks:
                yield task
            if not page.next_page_token:
                return
            if page.next_page_token == token:
                raise BadResponse(f"{rpc.url} names the same page of tasks again and again.")
            token = page.next_page_token

    async def cancel(
        self, task_id: str, *, metadata: Mapping[str, JsonValue] | None = None, timeout: float | None = None
    ) -> a2a.Task:
        """Ask the peer to end a task. Returns the task after that."""
        rpc = self._ready()
        call = rpc.prepare("CancelTask", {"id": task_id, "metadata": dict(metadata) if metadata else None})
        return await rpc.call(call, a2a.Task, timeout=self._within(timeout))

    def _told(self, key: str | None, limits: CallLimits | None) -> dict[str, str]:
        """The headers of one message: its name, made before the first byte leaves, and the limits of the call."""
        told = {"Idempotency-Key": key or token_hex(16)}
        if limits is not None and identity_in(self.card) is not None:
            told[CALL_HEADER] = limits.to_header()
            told["A2A-Extensions"] = f"{self._extensions}, {CALL}" if self._extensions else CALL
        return told

    def _within(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else timeout

    def _ready(self) -> Rpc:
        if self._rpc is None:
            raise _not_entered()
        return self._rpc

    def __repr__(self) -> str:
        name = self._target if isinstance(self._target, str) else self._target.name
        return f"Peer({name!r})"


def _send_request(
    message: dict[str, Any], history_length: int | None, modes: Iterable[str] | None, *, wait: bool = True
) -> dict[str, Any]:
    configuration: dict[str, Any] = {}
    if isinstance(modes, str):
        raise TypeError("accepted_output_modes= takes a list: accepted_output_modes=[…]")
    if modes is not None:
        configuration["acceptedOutputModes"] = [*modes]
    if history_length is not None:
        configuration["historyLength"] = history_length
    if not wait:
        configuration["returnImmediately"] = True
    return {"message": message, "configuration": configuration or None}


def _only_event(value: a2a.Task | a2a.Message) -> Event:
    fold = Fold()
    text = fold.apply(value)
    return Event(value, text, fold.snapshot)


def _not_entered() -> ConfigError:
    return ConfigError("The peer is not connected.", hint="Use it inside `async with connect(…) as peer:`.")

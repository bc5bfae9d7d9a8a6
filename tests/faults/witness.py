"""Clients of a server that dies: what they have received is evidence, and the next process is judged by it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.server.exchange import call_body, state_of
from tests.server.rpc import HEADERS, message
from tests.server.sockets import NoStream, RawClient

__all__ = ["RESTARTED", "SHUT_DOWN", "Streaming", "Unary", "Witness"]

RESTARTED = "The task was interrupted by restart."
SHUT_DOWN = "The server was shut down before the run ended."


class Witness:
    """One client, and what it knows. `reasons` are those for which a task may have failed.

    Args:
        http: what it makes its plain calls with.
        agent: the place of the agent.
        text: what it tells the agent to do.
    """

    reasons: Sequence[str] = (RESTARTED,)

    def __init__(self, http: httpx.AsyncClient, agent: str, text: str, context_id: str, key: str) -> None:
        self.http = http
        self.agent = agent
        self.text = text
        self.params = {"message": message(text, contextId=context_id)}
        self.key = {"Idempotency-Key": key}
        self.context_id = context_id

    async def live(self, url: str, received: Callable[[], None]) -> None:
        """Send, and take what comes until the server is gone. `received` is called for every event."""
        raise NotImplementedError

    async def judge(self, url: str) -> str:
        """Check the next process against what this client knows, and bring the task to its end; gives its state."""
        raise NotImplementedError

    async def _call(self, url: str, method: str, params: Any, **headers: str) -> dict[str, Any]:
        body = call_body(method, params)
        response = await self.http.post(url + self.agent, content=body, headers={**HEADERS, **headers})
        answer = response.json()
        assert "result" in answer, answer
        return answer["result"]

    def _judge_failure(self, task: dict[str, Any]) -> None:
        [part] = task["status"]["message"]["parts"]
        assert part["text"] in self.reasons

    async def _one_task(self, url: str) -> None:
        """However often it was sent: one key, one task."""
        assert (await self._call(url, "ListTasks", {"contextId": self.context_id}))["totalSize"] == 1


@dataclass
class _Record:
    """Events by number, as bytes, and the states in them. A Task stands for the entry of its number and is no entry."""

    data: dict[int, bytes] = field(default_factory=dict[int, bytes])
    states: list[str] = field(default_factory=list[str])
    last: int = 0

    @classmethod
    def of(cls, client: RawClient) -> _Record:
        record = cls()
        for (number, event), data in zip(client.events, client.data, strict=True):
            record.last = max(record.last, number)
            if "task" not in event:
                record.data[number] = data
            state = state_of(event)
            if state is not None:
                record.states.append(state.removeprefix("TASK_STATE_"))
        return record


class Streaming(Witness):
    """Streams a task. `answer` is sent as soon as the task asks, to a server that may be about to die.

    Attributes:
        has_begun: something of it has come.
        is_asked: the task has asked.
    """

    answer: str | None = None
    has_begun = is_asked = False

    def __init__(self, http: httpx.AsyncClient, agent: str, text: str, context_id: str, key: str) -> None:
        super().__init__(http, agent, text, context_id, key)
        self.task_id: str | None = None
        self.records: list[_Record] = []
        self.answered = False

    async def live(self, url: str, received: Callable[[], None]) -> None:
        await self._follow(url, self.params, self.key, received)
        if self.answer is not None and self.records[-1].states[-1:] == ["INPUT_REQUIRED"]:
            params = {"message": message(self.answer, taskId=self.task_id)}
            await self._follow(url, params, {}, received)
            self.answered = bool(self.records[-1].data or self.records[-1].last)

    async def _follow(self, url: str, params: Any, headers: dict[str, str], received: Callable[[], None]) -> None:
        try:
            client = await RawClient.call(url + self.agent, "SendStreamingMessage", params, headers=headers)
        except OSError:
            self.records.append(_Record())
            return
        with closing(client), contextlib.suppress(OSError):
            seen = 0
            try:
                while not client.ended and await client.read():
                    self.has_begun = self.has_begun or bool(client.events)
                    self.is_asked = self.is_asked or _asks(client)
                    for _ in range(len(client.events) - seen):
                        received()
                    seen = len(client.events)
            except NoStream as refusal:
                if b"retry-after: 1\r\n" not in refusal.args[0]:  # so it says that it is shutting down
                    raise
        self.records.append(_Record.of(client))
        if client.events:
            self.task_id = client.task_id

    async def judge(self, url: str) -> str:
        if self.task_id is None:
            return "unknown"
        log = await self._log(url)
        for record in self.records:
            assert record.last <= log.last
            for number, data in record.data.items():
                assert log.data.get(number) == data, (self.text, number)
        self._judge_state(log)
        if log.states[-1] == "INPUT_REQUIRED":
            assert not self.answered
            task = (await self._call(url, "SendMessage", {"message": message("late", taskId=self.task_id)}))["task"]
            assert task["status"]["state"] == "TASK_STATE_COMPLETED"
            self._judge_text(task, "late")
            return "ANSWERED"
        task = await self._call(url, "GetTask", {"id": self.task_id})
        assert task["status"]["state"] == f"TASK_STATE_{log.states[-1]}"
        if log.states[-1] == "FAILED":
            self._judge_failure(task)
        else:
            self._judge_text(task, self.answer or "")
        return "QUEUED" if log.states[:1] == ["SUBMITTED"] else log.states[-1]

    async def _log(self, url: str) -> _Record:
        """All that the log has, when the task has ended or asks."""
        client = await RawClient.call(url + self.agent, "SubscribeToTask", {"id": self.task_id}, headers=FROM_START)
        known = max(record.last for record in self.records)
        with closing(client):
            try:
                await client.until(lambda: client.ended or (_asks(client) and client.events[-1][0] >= known))
            except (TimeoutError, AssertionError) as error:
                told = [(record.last, record.states) for record in self.records]
                found = [(number, state_of(event) or "artifact") for number, event in client.events]
                error.add_note(f"{self.agent} {self.text!r}: told {told}, found {found}")
                raise
        return _Record.of(client)

    def _judge_state(self, log: _Record) -> None:
        ends = [state for state in log.states if state in {"COMPLETED", "FAILED", "CANCELED", "REJECTED"}]
        assert len(ends) <= 1
        assert not ends or log.states[-1] == ends[0]
        if log.states[-1] == "FAILED":
            assert self.agent == "/steady"
            assert log.states[-2] == "WORKING"
        for record in self.records:
            if record.states[-1:] in (["COMPLETED"], ["FAILED"]):
                assert log.states[-1] == record.states[-1]

    def _judge_text(self, task: dict[str, Any], answer: str) -> None:
        kind, _, size = self.text.partition(" ")
        text = "".join(f"{number} " for number in range(int(size)))
        if kind == "ask":
            text += f"<{answer}>" + "." * int(size)
        assert task["artifacts"][0]["parts"] == [{"text": text}]


FROM_START = {"Last-Event-ID": "0"}


def _asks(client: RawClient) -> bool:
    states = [state_of(event) for _, event in client.events]
    return next((state for state in reversed(states) if state), None) == "TASK_STATE_INPUT_REQUIRED"


class Unary(Witness):
    """Sends without a stream, and repeats itself to the next process with the same key."""

    at_once = False
    received: dict[str, Any] | None = None

    async def live(self, url: str, received: Callable[[], None]) -> None:
        if self.at_once:
            self.params["configuration"] = {"returnImmediately": True}
        with contextlib.suppress(httpx.TransportError):
            self.received = (await self._call(url, "SendMessage", self.params, **self.key))["task"]
            received()

    async def judge(self, url: str) -> str:
        task = (await self._call(url, "SendMessage", self.params, **self.key))["task"]
        await self._one_task(url)
        now = await self._call(url, "GetTask", {"id": task["id"]})
        state = now["status"]["state"]
        if self.received is not None:
            assert task["id"] == self.received["id"]
            if not self.at_once:
                assert json.dumps(now) == json.dumps(self.received)
            return state.removeprefix("TASK_STATE_")
        if state == "TASK_STATE_FAILED":
            self._judge_failure(now)
        return "unknown"

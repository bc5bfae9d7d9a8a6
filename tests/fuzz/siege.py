"""An application under attack: requests as bytes, answers as bytes, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import Message

from codin import a2a
from codin.agent import agent
from codin.net import AddressGuard
from codin.server import App, ServerLimits
from codin.task import PushPolicy, Task
from codin.trust import BearerTokens, Caller
from tests.fuzz.schema import IDS
from tests.laws.loop import run
from tests.server.exchange import eventually

__all__ = ["SECRET", "TOKEN", "Answer", "Asked", "Siege", "besieged", "new_app", "nobody_left", "quiet"]

TOKEN = "let-me-in"
SECRET = "a-secret-that-nobody-may-repeat"
"""A credential that is none."""

_QUIET = 20.0
_LONGEST = 10.0


@agent
async def obedient(text: str, task: Task) -> str | None:
    """Ask when it is told to."""
    if text == "ask":
        return (await task.ask("what?")).text
    if text == "write":
        await task.write("a piece, ")
        await task.write("and another")
        return None
    return text


async def _nowhere(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@dataclass(frozen=True)
class Asked:
    """One request as it comes from the wire.

    Args:
        pieces: in which the body arrives.
        cut: the client goes away before the last one.
    """

    verb: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    pieces: int = 1
    cut: bool = False


@dataclass
class Answer:
    """What came back; `complete` says whether the end of it did."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    complete: bool = False

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class Siege:
    """One app, asked again and again."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.ids: list[str] = []

    async def ask(self, asked: Asked) -> Answer:
        """Ask, with the ids of real tasks where the request has those that stand for them.

        Who subscribes goes away after the first event: a task that has asked something does not end.
        """
        asked = self._real(asked)
        answer, gone = Answer(), asyncio.Event()
        step = max(1, -(-len(asked.body) // asked.pieces))
        pieces = [asked.body[at : at + step] for at in range(0, len(asked.body), step)] or [b""]
        if asked.cut:
            pieces.pop()

        async def receive() -> Message:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces) or asked.cut}
            if not asked.cut:
                await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert not answer.status
                answer.status = message["status"]
                answer.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
                return
            answer.body += message.get("body", b"")
            answer.complete = not message.get("more_body", False)
            if answer.body and not answer.complete and b"ubscribe" in asked.path + asked.body:
                gone.set()

        async with asyncio.timeout(_LONGEST):
            await self.app(_scope(asked), receive, send)
        return answer

    def real(self, body: bytes) -> bytes:
        """The bytes, with the ids of real tasks."""
        for stands, task_id in zip(IDS, self.ids, strict=False):
            body = body.replace(stands.encode(), task_id.encode())
        return body

    def _real(self, asked: Asked) -> Asked:
        path, query, body = map(self.real, (asked.path, asked.query, asked.body))
        return replace(asked, path=path, query=query, body=body)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """A call as it should be, and its result."""
        headers = [(b"content-type", b"application/json"), (b"a2a-version", b"1.0"), (b"authorization", _KNOWN)]
        body = a2a.call_bytes(b"1", method, json.dumps(params).encode())
        answer = await self.ask(Asked("POST", b"/", b"", headers, body))
        assert answer.complete, answer
        return json.loads(answer.body)["result"]

    async def begin(self) -> None:
        """Make tasks: one has asked something, the others have ended."""
        for text in ("ask", "write", "hello"):
            message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
            self.ids.append((await self.call("SendMessage", {"message": message}))["task"]["id"])

    async def end(self) -> None:
        """It answers as ever, and nobody is left inside."""
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "still there"}]}
        task = (await self.call("SendMessage", {"message": message}))["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert task["artifacts"][0]["parts"] == [{"text": "still there"}]
        assert not self.app.open_streams


_KNOWN = b"Bearer " + TOKEN.encode()


def _scope(asked: Asked) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.verb,
        "scheme": "http",
        "path": unquote_to_bytes(asked.path).decode("utf-8", "replace"),
        "raw_path": asked.path,
        "root_path": "",
        "query_string": asked.query,
        "headers": list(asked.headers),
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }


def new_app(*, guarded: bool = False, max_values: int = 250_000, **options: Any) -> App:
    """An app whose pushes go nowhere.

    Args:
        guarded: only a caller with a token comes in, and has a card of its own.
    """
    if guarded:
        options |= {"authenticator": BearerTokens({TOKEN: "ada"}), "extended_card": _same}
    push = PushPolicy(guard=AddressGuard(resolve=_nowhere), tries=1)
    limits = ServerLimits(max_body=1_000_000, max_values=max_values, max_parts=64, max_batch=4)
    return App(obedient, push=push, server_limits=limits, **options)


def _same(card: a2a.AgentCard, caller: Caller) -> a2a.AgentCard:
    return card


class _Loud(logging.Handler):
    """Keeps what nobody should have to read: errors, and traces of exceptions."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = self.format(record)
        if record.levelno >= logging.ERROR or record.exc_info or SECRET in said or TOKEN in said:
            self.records.append(said)


@contextmanager
def quiet() -> Generator[None]:
    """Fails when an error is logged."""
    loud = _Loud()
    logging.getLogger().addHandler(loud)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(loud)
    assert not loud.records, "\n".join(loud.records)


async def nobody_left() -> None:
    """Wait until no task is left but the one that waits."""
    await eventually(lambda: len(asyncio.all_tasks()) == 1)


def besieged(attack: Callable[[Siege], Coroutine[Any, Any, None]], *, guarded: bool = False) -> None:
    """Run an attack on a new app, on a loop of its own."""

    async def example() -> None:
        siege = Siege(new_app(guarded=guarded))
        await siege.begin()
        await attack(siege)
        await siege.end()
        await siege.app.close()
        await nobody_left()

    with quiet():
        run(example, patience=_QUIET)

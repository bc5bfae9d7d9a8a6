"""A plain peer that runs ahead of what it tells, by as much as a test draws."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from codin import a2a
from codin.errors import TransportError
from codin.net import Response
from tests.client.scripted import now, piece, task

_JSON = {"content-type": "application/json"}


class RacingPeer:
    """The transport to a peer that writes pieces of artifacts. It tells one event whenever the reader wants one.

    Like the official Python server, it keeps a piece before it tells it, and begins to collect for a subscriber before
    it makes the subscriber's Task.

    Args:
        pieces: artifact and text, in the order in which they are written.
        moves: how many pieces more it has come each time when it matters; none when they are used up.
    """

    def __init__(self, pieces: Iterable[tuple[str, str]], moves: Iterable[int]) -> None:
        self.pieces = [*pieces]
        self._moves = [*moves]
        self._kept = 0
        self._told = 0
        self.questions = [0]
        """How often the task was asked for, for each connection."""

    def _further(self, place: int) -> int:
        return min(len(self.pieces), place + (self._moves.pop(0) if self._moves else 0))

    def texts(self, length: int | None = None) -> dict[str, str]:
        """What the first pieces add up to."""
        texts: dict[str, str] = {}
        for name, text in self.pieces[:length]:
            texts[name] = texts.get(name, "") + text
        return texts

    def _task(self) -> dict[str, Any]:
        self._kept = self._further(max(self._kept, self._told))
        artifacts = [{"artifactId": name, "parts": [{"text": text}]} for name, text in self.texts(self._kept).items()]
        return task(artifacts=artifacts)

    def _events(self, method: str) -> Iterable[dict[str, Any]]:
        if method == "SubscribeToTask":
            self._told = self._further(self._told)
        yield self._task() if method == "SubscribeToTask" else task()
        cut = self._further(self._told) if self._moves else None
        while self._told < len(self.pieces):
            if self._told == cut:
                raise TransportError("cut")
            name, text = self.pieces[self._told]
            append = any(name == earlier for earlier, _ in self.pieces[: self._told])
            self._told += 1
            yield piece(text, artifact=name, append=append)
        yield now("COMPLETED")

    @asynccontextmanager
    async def stream(self, *_: Any, content: bytes = b"", **__: Any) -> AsyncGenerator[_Told]:
        self.questions.append(0)
        yield _Told(self._events(json.loads(content)["method"]))

    async def request(self, *_: Any, content: bytes = b"", **__: Any) -> Response:
        assert json.loads(content)["method"] == "GetTask"
        self.questions[-1] += 1
        return Response(200, _JSON, json.dumps({"jsonrpc": "2.0", "id": 1, "result": self._task()["task"]}).encode())

    async def aclose(self) -> None:
        pass


class _Told:
    status = 200
    headers: Mapping[str, str] = {"content-type": "text/event-stream"}

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self._events = events

    @property
    async def chunks(self) -> AsyncIterator[bytes]:
        for event in self._events:
            yield a2a.sse_event(json.dumps({"jsonrpc": "2.0", "id": 1, "result": event}).encode())

    async def read(self, limit: int | None = None) -> bytes:
        raise AssertionError("nothing but streams is told")

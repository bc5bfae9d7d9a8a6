"""A model on a local port, for tests, demos and machines without a key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from codin.testing._answers import Answer, Body, Said, by_last_message, said
from codin.testing._signal import Signal
from codin.testing._wires.chat import Chat
from codin.testing._wires.embeddings import embedded
from codin.testing._wires.gemini import Gemini
from codin.testing._wires.responses import Responses
from codin.testing._wires.wire import Wire

__all__ = ["ModelServer", "model_server"]

_logger = logging.getLogger("codin.testing")
_WIRES: Mapping[str, Wire] = {
    "/chat/completions": Chat(),
    "/responses": Responses(),
    ":generateContent": Gemini(),
    ":streamGenerateContent": Gemini(),
}
_MODEL = {"id": "local", "object": "model", "created": 0, "owned_by": "codin"}


class _Request(NamedTuple):
    method: str
    path: str
    content: bytes


@dataclass
class ModelServer:
    """One model, behind OpenAI Chat Completions and Responses, Gemini, and embeddings.

        with ModelServer() as model:                # in a thread; in a coroutine: async with model_server() as model
            OpenAI(base_url=model.url, api_key="x")

    What it answers is a function of the request. By default the last message decides:

        "call NAME {json}"   a call of that tool
        "hang ..."           three words, and then nothing until the caller goes away
        after a tool result  "The tool said RESULT"
        anything else        "You said ANYTHING"

    Args:
        answer: the model; may be changed at any time. `scripted(…)` and `extractive` make others.
        port: 0 takes a free one.

    Attributes:
        requests: all requests so far, as Chat Completions puts them; not those for embeddings.
        spent: the tokens of all answers so far: `input_tokens`, `output_tokens`.
        dropped: how many callers went away before their answer was complete.
        stuck: set when the model has said all it will say of an answer without an end.
        drop: set when a caller goes away.
    """

    answer: Answer = field(default_factory=lambda: by_last_message)
    port: int = 0
    requests: list[Body] = field(default_factory=list[Body])
    spent: dict[str, int] = field(default_factory=lambda: {"input_tokens": 0, "output_tokens": 0})
    dropped: int = 0
    stuck: Signal = field(default_factory=Signal)
    drop: Signal = field(default_factory=Signal)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _stop: Signal = field(default_factory=Signal, init=False, repr=False)

    @property
    def url(self) -> str:
        """What OpenAI's clients call `base_url`."""
        return f"{self.gemini_url}/v1"

    @property
    def gemini_url(self) -> str:
        """What Gemini's clients call `base_url`."""
        return f"http://127.0.0.1:{self.port}"

    # -- life ----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """Answer while the block runs, in this event loop."""
        working: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
            working.add(task)
            task.add_done_callback(working.discard)

        listener = await asyncio.start_server(connected, "127.0.0.1", self.port)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def __enter__(self) -> Self:
        listening: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="codin-model", daemon=True)
        self._thread.start()
        listening.result()
        return self

    def _run(self, listening: Future[None]) -> None:
        try:
            asyncio.run(self._until_stopped(listening))
        except BaseException as error:
            if listening.done():
                raise
            listening.set_exception(error)

    async def _until_stopped(self, listening: Future[None]) -> None:
        async with self.running():
            self._stop.clear()
            listening.set_result(None)
            await self._stop.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._thread is not None
        self._stop.set()
        self._thread.join()

    # -- answers -------------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _request(reader)
            if request is None:
                return
            try:
                await self._respond(request, reader, writer)
            except ConnectionError:
                self._gone()
        finally:
            writer.close()

    async def _respond(self, request: _Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = request.path.partition("?")[0]
        wire = next((wire for ending, wire in _WIRES.items() if path.endswith(ending)), None)
        try:
            if wire is not None:
                body = _body(wire, request, path)
                self.requests.append(body)
                answer = self.answer(body)
                spoken = said(body, answer)
            elif path.endswith("/embeddings"):
                return await _whole(writer, embedded(json.loads(request.content)))
            else:
                return await _elsewhere(writer, path)
        except Exception as error:
            _logger.exception("the model cannot answer")
            return await _problem(writer, 400, f"The model cannot answer this: {error!r}")
        if answer.status != 200:
            return await _problem(writer, answer.status, answer.text)
        return await self._say(wire, spoken, reader, writer)

    async def _say(self, wire: Wire, answer: Said, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        events = wire.streamed(answer) if answer.body.get("stream") else None
        if events is not None:
            await _write(writer, _head(200, "text/event-stream"))
            for event in events.saying:
                await _write(writer, event)
        if not answer.ends:
            self.stuck.set()
            await reader.read()  # until the caller closes the connection
            self._gone()
            return
        self.spent["input_tokens"] += answer.read
        self.spent["output_tokens"] += answer.written
        if events is None:
            await _whole(writer, wire.whole(answer))
        else:
            await _write(writer, b"".join(events.closing))

    def _gone(self) -> None:
        self.dropped += 1
        self.drop.set()


@asynccontextmanager
async def model_server(answer: Answer = by_last_message, *, port: int = 0) -> AsyncGenerator[ModelServer]:
    """A model that answers while the block runs; see `ModelServer`."""
    async with ModelServer(answer, port).running() as model:
        yield model


def _body(wire: Wire, request: _Request, path: str) -> Body:
    body = wire.read(json.loads(request.content))
    if ":" not in path:
        return body
    name, _, method = path.rpartition("/")[2].partition(":")  # Gemini names the model and the method in the path
    return {**body, "model": name, "stream": method == "streamGenerateContent"}


async def _request(reader: asyncio.StreamReader) -> _Request | None:
    """One HTTP request; None when the caller hangs up before it is complete."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.partition("\r\n")[0].split(" ", 2)
        length = re.search(r"^content-length: *(\d+)", head, re.MULTILINE | re.IGNORECASE)
        return _Request(method, path, await reader.readexactly(int(length[1])) if length else b"")
    except (ConnectionError, asyncio.IncompleteReadError):
        return None


async def _elsewhere(writer: asyncio.StreamWriter, path: str) -> None:
    if path.endswith("/models"):
        await _whole(writer, {"object": "list", "data": [_MODEL]})
    elif path.endswith(f"/models/{_MODEL['id']}"):
        await _whole(writer, _MODEL)
    else:
        await _problem(writer, 404, f"There is nothing at {path}.")


async def _problem(writer: asyncio.StreamWriter, status: int, message: str) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": status}
    await _whole(writer, {"error": error}, status)


async def _whole(writer: asyncio.StreamWriter, payload: Mapping[str, Any], status: int = 200) -> None:
    content = json.dumps(payload).encode()
    await _write(writer, _head(status, "application/json", len(content)) + content)


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _head(status: int, media_type: str, length: int | None = None) -> bytes:
    reason = "OK" if status == 200 else "Error"
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Type: {media_type}", "Connection: close"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()

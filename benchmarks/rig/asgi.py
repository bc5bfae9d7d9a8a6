"""Child process: drive an ASGI app without sockets and report the CPU time it takes.

`python -m benchmarks.rig.asgi MODULE unary|rest|stream --seconds 2 [--chunks 100]`
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import uvloop

from benchmarks.rig import calls
from benchmarks.rig.cpu import cpu_batches, report

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_Fields = list[tuple[bytes, bytes]]


def _fields(headers: Mapping[str, str]) -> _Fields:
    return [(b"host", b"127.0.0.1:1"), *((name.encode(), value.encode()) for name, value in headers.items())]


_HEADERS, _REST_HEADERS = _fields(calls.HEADERS), _fields(calls.REST_HEADERS)
_UNARY_BATCH = 10


async def exchange(app: App, body: bytes, path: str = "/", headers: _Fields = _HEADERS) -> list[bytes]:
    """Send one POST to the app and return the bodies it wrote, one item per write."""
    closed = asyncio.get_running_loop().create_future()
    unread = True
    written: list[bytes] = []

    async def receive() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        await closed
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            written.append(message["body"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 2),
        "server": ("127.0.0.1", 1),
        "state": {},
    }
    await app(scope, receive, send)
    if not closed.done():
        closed.set_result(None)
    return written


async def start(app: App) -> asyncio.Task[None]:
    """Run the app's lifespan as a server would; return the task that holds it open."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    await inbox.put({"type": "lifespan.startup"})
    settled = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise SystemExit(f"the app did not start: {message.get('message')}")
        settled.set()

    async def run() -> None:
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, send)
        finally:
            settled.set()  # an app without lifespan raises or returns at once, which is allowed

    held = asyncio.create_task(run())
    await settled.wait()
    return held


async def unary_batch(app: App) -> float:
    """A few echo calls, one after the other; CPU seconds per call."""
    bodies = [calls.send_message() for _ in range(_UNARY_BATCH)]
    begin = time.process_time()
    answers = [await exchange(app, body) for body in bodies]
    return _checked(answers, time.process_time() - begin)


async def rest_batch(app: App) -> float:
    """The same over HTTP+JSON."""
    bodies = [calls.rest_message() for _ in range(_UNARY_BATCH)]
    begin = time.process_time()
    answers = [await exchange(app, body, calls.REST_PATH, _REST_HEADERS) for body in bodies]
    return _checked(answers, time.process_time() - begin)


def _checked(answers: list[list[bytes]], cost: float) -> float:
    for answer in answers:
        whole = b"".join(answer)
        assert calls.DONE in whole, whole
        assert calls.TEXT.encode() in whole, whole
    return cost / _UNARY_BATCH


async def stream_batch(app: App, chunks: int) -> float:
    """One stream of many chunks; CPU seconds per event. Every event must be a body write of its own."""
    body = calls.send_streaming_message(str(chunks))
    begin = time.process_time()
    events = await exchange(app, body)
    cost = time.process_time() - begin
    check_events(events, chunks)
    return cost / len(events)


def check_events(bodies: list[bytes], chunks: int) -> None:
    """Raise unless each body is one event, each chunk came, and the stream ended well.

    The last body may hold two: between its closing update and the outcome a library has no reason to yield. It counts
    as one all the same, so that sharing a write makes no figure look better.
    """
    *early, last = bodies
    crowded = [body for body in early if body.count(b"data:") != 1]
    assert not crowded, f"{len(crowded)} bodies do not hold exactly one event, the first is {crowded[0][:300]!r}"
    arrived = sum(b'"chunk ' in body and b"chunk 0 chunk 1 " not in body for body in early)
    assert arrived == chunks, f"{arrived} chunk events of {chunks}"
    assert last.count(b"data:") <= 2, last[-600:]
    assert calls.DONE in last, last[-600:]


async def measure(app: App, kind: str, chunks: int, seconds: float) -> None:
    held = await start(app)
    events = 1
    if kind == "stream":
        events = len(await exchange(app, calls.send_streaming_message(str(chunks))))
        figures = await cpu_batches(lambda: stream_batch(app, chunks), seconds)
    else:
        batch = rest_batch if kind == "rest" else unary_batch
        figures = await cpu_batches(lambda: batch(app), seconds)
    report(**figures, events=events)
    held.cancel()


def load(module: str, agent: str) -> App:
    return importlib.import_module(module).build(agent)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("kind", choices=("unary", "rest", "stream"))
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    app = load(options.module, "stream" if options.kind == "stream" else "echo")
    uvloop.run(measure(app, options.kind, options.chunks, options.seconds))
    sys.stdout.flush()
    os._exit(0)  # the figures are out; the shutdown of either side is not what is measured


if __name__ == "__main__":
    main()

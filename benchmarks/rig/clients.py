"""The loop around a client that is measured: the same for every client, run inside the client's own process."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import uvloop

from benchmarks.rig import calls
from benchmarks.rig.cpu import cpu_batches, report

CHUNKS = 100
_CALLS_PER_BATCH = 5


@dataclass(frozen=True, slots=True)
class Client:
    """A connected client reduced to the two things that are measured.

    Args:
        ask: One call that waits; returns the text of the answer.
        follow: One streamed call; yields the text each event brought.
    """

    ask: Callable[[str], Awaitable[str]]
    follow: Callable[[str], AsyncIterator[str]]


Connect = Callable[[str, bool, str], AbstractAsyncContextManager[Client]]


def main(connect: Connect) -> None:
    """Measure `MODULE URL unary|stream TRANSPORT SECONDS`.

    Args:
        connect: Takes the URL, whether the client will stream, and the name of the transport.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("kind", choices=("unary", "stream"))
    parser.add_argument("transport")
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    uvloop.run(_measure(connect, options))
    sys.stdout.flush()
    os._exit(0)  # the figures are out; how a client closes is not what is measured


async def _measure(connect: Connect, options: argparse.Namespace) -> None:
    streaming = options.kind == "stream"
    batch = _stream_batch if streaming else _unary_batch
    async with connect(options.url, streaming, options.transport) as client:
        report(**await cpu_batches(lambda: batch(client), options.seconds))


async def _unary_batch(client: Client) -> float:
    answer = ""
    begin = time.process_time()
    for _ in range(_CALLS_PER_BATCH):
        answer = await client.ask(calls.TEXT)
    cost = time.process_time() - begin
    assert answer == calls.TEXT, answer
    return cost / _CALLS_PER_BATCH


async def _stream_batch(client: Client) -> float:
    begin = time.process_time()
    texts = [text async for text in client.follow(str(CHUNKS))]
    cost = time.process_time() - begin
    assert "".join(texts) == "".join(f"chunk {number} " for number in range(CHUNKS)), texts
    return cost / len(texts)

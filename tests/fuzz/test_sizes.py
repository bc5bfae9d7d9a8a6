"""What a body costs grows with its size and no faster, whatever its shape is."""

from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from codin.errors import ResponseTooLarge
from tests.fuzz.siege import Answer, Asked, Siege, new_app
from tests.fuzz.sound import check_rpc, read_json
from tests.fuzz.test_client import Said, card, meet, some

_HEADERS = [(b"content-type", b"application/json"), (b"a2a-version", b"1.0")]
_SMALL, _LARGE = 25_000, 100_000
_MEMORY = 80
"""Bytes that are held for each byte of a body. Most go into parts: `{"text":""}` is eleven bytes, and an object."""
_ONCE = 300_000
_PARTS = b'"parts":[{"text":"x"}]'
_MAX_EVENT = 16 * 1024 * 1024


def _sent(inside: bytes, behind: bytes = b"") -> bytes:
    message = b'{"messageId":"m","role":"ROLE_USER",%s}' % inside
    return b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":%s%s}}' % (message, behind)


def _row(item: bytes, size: int) -> bytes:
    return b",".join([item] * (size // (len(item) + 1)))


def _keys(size: int) -> bytes:
    return b",".join([b'"k%d":0' % number for number in range(size // 9)])


_SHAPES: dict[str, Callable[[int], bytes]] = {
    "opening brackets": lambda size: b"[" * size,
    "deep lists": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "deep objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "deep in the metadata": lambda size: _sent(_PARTS + b',"metadata":{"k":' + b"[" * size + b"]" * size + b"}"),
    "quotes": lambda size: b'"' * size,
    "backslashes": lambda size: b'"' + b"\\" * size,
    "escapes": lambda size: _sent(b'"parts":[{"text":"' + b"\\u00e9" * (size // 6) + b'"}]'),
    "a long text": lambda size: _sent(b'"parts":[{"text":"' + b"a" * size + b'"}]'),
    "many parts": lambda size: _sent(b'"parts":[' + _row(b'{"text":""}', size) + b"]"),
    "wrong parts": lambda size: _sent(b'"parts":[' + _row(b"{}", size) + b"]"),
    "unknown fields": lambda size: _sent(_PARTS + b"," + _keys(size)),
    "one field again and again": lambda size: _sent(_PARTS + b"," + _row(b'"metadata":{}', size)),
    "many keys": lambda size: _sent(_PARTS + b',"metadata":{' + _keys(size) + b"}"),
    "empty lists": lambda size: _sent(_PARTS + b',"metadata":{"k":[' + _row(b"[]", size) + b"]}"),
    "empty objects": lambda size: _sent(_PARTS + b',"metadata":{"k":[' + _row(b"{}", size) + b"]}"),
    "numbers": lambda size: _sent(_PARTS + b',"metadata":{"k":[' + _row(b"0.5", size) + b"]}"),
    "one long number": lambda size: _sent(_PARTS + b',"metadata":{"k":' + b"9" * size + b"}"),
    "long numbers": lambda size: _sent(_PARTS + b',"metadata":{"k":[' + _row(b"9" * 4000, size) + b"]}"),
    "many extensions": lambda size: _sent(_PARTS + b',"extensions":[' + _row(b'""', size) + b"]"),
    "wrong extensions": lambda size: _sent(_PARTS + b',"extensions":[' + _row(b"0", size) + b"]"),
    "many modes": lambda size: _sent(_PARTS, b',"configuration":{"acceptedOutputModes":[' + _row(b'"a"', size) + b"]}"),
    "base64 of the other alphabet": lambda size: _sent(b'"parts":[{"raw":"' + b"-_" * (size // 2) + b'"}]'),
    "a large batch": lambda size: b"[" + _row(b"0", size) + b"]",
    "a long id": lambda size: b'{"jsonrpc":"2.0","id":"' + b"a" * size + b'","method":"Nope"}',
    "a long name": lambda size: b'{"jsonrpc":"2.0","id":1,"method":"' + b"a" * size + b'"}',
    "what would be large if it were unpacked": lambda size: gzip.compress(b"0" * size * 50),
}


@pytest.mark.parametrize("shape", _SHAPES.values(), ids=list(_SHAPES))
def test_the_cost_of_a_body_is_linear_in_its_size(shape: Callable[[int], bytes]) -> None:
    async def example() -> None:
        siege = Siege(new_app())
        await siege.begin()
        await _cost(siege, shape(100))  # what is loaded with the first such body
        (small, memory), (large, _) = [await _cost(siege, shape(size)) for size in (_SMALL, _LARGE)]
        assert memory <= _MEMORY * len(shape(_SMALL)) + _ONCE
        assert large <= _LARGE / _SMALL * small * 1.2 + 500
        await siege.end()
        await siege.app.close()

    asyncio.run(example())


async def _cost(siege: Siege, body: bytes) -> tuple[int, int]:
    """The calls of functions and the bytes of memory that it takes to answer."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        _check(await siege.ask(Asked("POST", b"/", b"", _HEADERS, body)))
    finally:
        sys.setprofile(None)
    tracemalloc.start()
    try:
        await siege.ask(Asked("POST", b"/", b"", _HEADERS, body))
        return calls, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _check(answer: Answer) -> None:
    document: Any = read_json(answer.body)
    check_rpc(document[0] if isinstance(document, list) else document)


_MOST = 20_000
_FULL: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "empty objects": ("message.metadata", lambda count: _PARTS + b',"metadata":{"k":[' + _items(b"{}", count) + b"]}"),
    "empty lists": ("message.metadata", lambda count: _PARTS + b',"metadata":{"k":[' + _items(b"[ ]", count) + b"]}"),
    "small objects": ("message.metadata", lambda count: _PARTS + b',"metadata":[' + _items(b'{"":0}', count) + b"]"),
    "data": ("message.parts[1].data", lambda count: b'"parts":[{"text":"x"},{"data":[' + _items(b"0", count) + b"]}]"),
    "keys": ("message.metadata", lambda count: _PARTS + b',"metadata":{' + _keys(8 * count) + b"}"),
    "texts": ("message.extensions", lambda count: _PARTS + b',"extensions":[' + _items(b'",{["', count) + b"]"),
}


def _items(item: bytes, count: int) -> bytes:
    return b",".join([item] * count)


@pytest.mark.parametrize("shape", _FULL)
@pytest.mark.parametrize("path", ["/", "/message:send"])
def test_values_are_counted_before_they_take_memory(shape: str, path: str) -> None:
    field, inside = _FULL[shape]

    async def example() -> None:
        siege = Siege(new_app(max_values=_MOST))
        await siege.begin()

        async def refusal(count: int) -> tuple[str, int]:
            body = _sent(inside(count))
            body = body if path == "/" else body[body.index(b'{"message"') : -1]
            tracemalloc.start()
            answer = await siege.ask(Asked("POST", path.encode(), b"", _HEADERS, body))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return answer.body.decode(), peak - len(body)

        taken, _ = await refusal(_MOST // 3)
        assert "too many values" not in taken
        refused, peak = await refusal(5 * _MOST)
        assert field in refused
        assert f"holds too many values; {_MOST} are allowed in a request" in refused
        assert peak < 300 * _MOST + 10 * len(_sent(inside(5 * _MOST)))
        await siege.end()
        await siege.app.close()

    asyncio.run(example())


@pytest.mark.parametrize("dialect", ["JSONRPC", "HTTP+JSON", "0.3"])
@pytest.mark.parametrize("piece", [b"data: " + b"x" * 1_000_000, b"x" * 1_000_000, b"data: " + b"x" * 99_000 + b"\n"])
def test_an_event_that_never_ends_fills_no_memory(dialect: str, piece: bytes) -> None:
    said = Said(200, [(b"content-type", b"text/event-stream")], [piece], "for ever")
    tracemalloc.start()
    try:
        error = meet(card(dialect, resumable=False), [said], lambda peer: some(peer.stream("x")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, ResponseTooLarge)
    assert peak < 4 * _MAX_EVENT


@pytest.mark.parametrize("dialect", ["JSONRPC", "HTTP+JSON", "0.3"])
def test_an_error_that_never_ends_fills_no_memory(dialect: str) -> None:
    said = Said(500, [(b"content-type", b"application/json")], [b"x" * 100_000], "for ever")
    error = meet(card(dialect, resumable=False), [said], lambda peer: some(peer.stream("x")))
    assert isinstance(error, ResponseTooLarge)

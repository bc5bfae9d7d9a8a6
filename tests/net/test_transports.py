"""Every transport keeps the one promise, whatever the peer does."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from codin.errors import BadResponse, ConnectError, DeadlineExceeded, ResponseTooLarge, TransportError
from codin.net import Transport
from tests.net.wire import Exchange, serving

pytestmark = pytest.mark.anyio

PATIENT = 60.0
BRIEF = 0.05
ALIVE = b": alive\n\n"


async def hang(exchange: Exchange) -> None:
    await exchange.gone()


def is_cut(error: TransportError) -> bool:
    return type(error) is TransportError


async def test_a_request_carries_its_headers_and_body_and_brings_the_answer(transport: Transport) -> None:
    seen: list[Exchange] = []

    async def echo(exchange: Exchange) -> None:
        seen.append(exchange)
        await exchange.answer(exchange.body.upper(), status=201, headers={"X-Mixed-Case": "yes"})

    async with serving(echo) as url:
        response = await transport.request(
            "POST", f"{url}/a?b=c", headers={"A2A-Version": "1.0"}, content=b"hello", timeout=PATIENT
        )
    assert (response.status, response.body) == (201, b"HELLO")
    assert response.headers.get("x-mixed-case") == "yes"
    assert (seen[0].method, seen[0].path, seen[0].body) == ("POST", "/a?b=c", b"hello")
    assert seen[0].headers["a2a-version"] == "1.0"
    assert seen[0].headers["accept-encoding"] == "identity"


async def test_a_redirect_is_an_answer_and_is_not_followed(transport: Transport) -> None:
    paths: list[str] = []

    async def redirect(exchange: Exchange) -> None:
        paths.append(exchange.path)
        await exchange.answer(status=307, headers={"Location": "/elsewhere"})

    async with serving(redirect) as url:
        response = await transport.request("GET", f"{url}/here", headers={}, timeout=PATIENT)
    assert response.status == 307
    assert paths == ["/here"]


async def test_a_cookie_is_not_kept(transport: Transport) -> None:
    cookies: list[str | None] = []

    async def bake(exchange: Exchange) -> None:
        cookies.append(exchange.headers.get("cookie"))
        await exchange.answer(headers={"Set-Cookie": "who=you"})

    async with serving(bake) as url:
        for _ in range(2):
            await transport.request("GET", url, headers={}, timeout=PATIENT)
    assert cookies == [None, None]


async def test_a_body_that_says_it_is_too_long_is_not_waited_for(transport: Transport) -> None:
    async def boast(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        await exchange.gone()

    async with serving(boast) as url:
        with pytest.raises(ResponseTooLarge):
            await transport.request("GET", url, headers={}, timeout=PATIENT, limit=1000)


async def test_a_body_without_end_is_read_to_the_limit_only(transport: Transport) -> None:
    async def flood(exchange: Exchange) -> None:
        await exchange.begin("application/json")
        while True:
            await exchange.chunk(b"x" * 1000)

    async with serving(flood) as url:
        with pytest.raises(ResponseTooLarge):
            await transport.request("GET", url, headers={}, timeout=PATIENT, limit=100_000)


async def test_a_compressed_body_was_not_asked_for(transport: Transport) -> None:
    async def compress(exchange: Exchange) -> None:
        await exchange.answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with serving(compress) as url:
        with pytest.raises(BadResponse, match="gzip"):
            await transport.request("GET", url, headers={}, timeout=PATIENT)
        with pytest.raises(BadResponse, match="gzip"):
            async with transport.stream("GET", url, headers={}, timeout=PATIENT):
                pass


async def test_nobody_there_is_a_connect_error(transport: Transport) -> None:
    with socket.socket() as taken:  # and not listened on, as long as nobody else has it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectError):
            await transport.request("GET", f"http://127.0.0.1:{port}", headers={}, timeout=PATIENT)
        with pytest.raises(ConnectError):
            async with transport.stream("GET", f"http://127.0.0.1:{port}", headers={}, timeout=PATIENT):
                pass


async def test_the_deadline_holds_for_an_answer_that_never_comes(transport: Transport) -> None:
    async with serving(hang) as url:
        with pytest.raises(DeadlineExceeded):
            await transport.request("GET", url, headers={}, timeout=BRIEF)


@pytest.mark.parametrize(
    ("timeout", "said"), [(0.05, "within 0.05 s"), (0.0499999, "within 0.05 s"), (0.123456, "within 0.12 s")]
)
async def test_a_deadline_is_told_in_round_numbers(transport: Transport, timeout: float, said: str) -> None:
    async with serving(hang) as url:
        with pytest.raises(DeadlineExceeded, match=f"{said}[.]"):
            await transport.request("GET", url, headers={}, timeout=timeout)


async def test_a_large_request_that_nobody_reads_ends_with_a_reason(transport: Transport) -> None:
    """A connection that is reset says nothing itself."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TransportError) as caught:
            await transport.request("POST", url, headers={}, content=b"x" * 30_000_000, timeout=PATIENT)
    assert is_cut(caught.value)
    assert caught.value.message.rpartition("was lost: ")[2]
    assert caught.value.hint is not None
    assert "30000" in caught.value.hint


async def test_the_deadline_holds_for_an_answer_that_always_comes(transport: Transport) -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.begin("application/json")
        while True:
            await exchange.chunk(b" ")
            await asyncio.sleep(0)

    async with serving(drip) as url:
        with pytest.raises(DeadlineExceeded):
            await transport.request("GET", url, headers={}, timeout=BRIEF)


@pytest.mark.parametrize(
    "answer",
    [b"", b"0123456789", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", b"HTTP/1.1 200 OK\r\nTra"],
    ids=["nothing", "garbage", "half a body", "half a head"],
)
async def test_an_answer_that_breaks_off_is_a_lost_connection(transport: Transport, answer: bytes) -> None:
    async def break_off(exchange: Exchange) -> None:
        await exchange.raw(answer)
        exchange.cut()

    async with serving(break_off) as url:
        with pytest.raises(TransportError) as caught:
            await transport.request("POST", url, headers={}, content=b"{}", timeout=PATIENT)
    assert is_cut(caught.value) or isinstance(caught.value, BadResponse)
    if answer != b"0123456789":
        assert is_cut(caught.value)


async def test_a_stream_hands_over_what_has_come_while_more_is_to_come(transport: Transport) -> None:
    more = asyncio.Event()

    async def two(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(b"one")
        await more.wait()
        await exchange.chunk(b"two")
        await exchange.end()

    async with (
        serving(two) as url,
        asyncio.timeout(PATIENT),
        transport.stream("POST", url, headers={}, content=b"x", timeout=PATIENT) as response,
    ):
        assert (response.status, response.headers.get("content-type")) == (200, "text/event-stream")
        chunks = response.chunks
        assert await anext(chunks) == b"one"
        more.set()
        assert b"".join([chunk async for chunk in chunks]) == b"two"


async def test_a_silent_stream_meets_its_deadline_and_a_talking_one_does_not(transport: Transport) -> None:
    silence = 1.5  # seconds: it talks for longer, with much shorter pauses

    async def talk_then_hush(exchange: Exchange) -> None:
        await exchange.begin()
        for _ in range(8):
            await exchange.chunk(ALIVE)
            with suppress(TimeoutError):
                async with asyncio.timeout(silence / 6):
                    await exchange.gone()
        await exchange.gone()

    async with serving(talk_then_hush) as url, transport.stream("GET", url, headers={}, timeout=silence) as response:
        chunks = response.chunks
        heard = b""
        while len(heard) < 8 * len(ALIVE):
            heard += await anext(chunks)
        with pytest.raises(DeadlineExceeded):
            await anext(chunks)
    assert heard == ALIVE * 8


async def test_a_cut_stream_says_so(transport: Transport) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(b"one")
        exchange.cut()

    async with serving(cut) as url, transport.stream("GET", url, headers={}, timeout=PATIENT) as response:
        with pytest.raises(TransportError) as caught:
            await response.read()
    assert is_cut(caught.value)


async def test_leaving_a_stream_hangs_up(transport: Transport) -> None:
    gone = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.chunk(b"one")
        await exchange.gone()
        gone.set()

    async with serving(endless) as url, asyncio.timeout(PATIENT):
        async with transport.stream("GET", url, headers={}, timeout=PATIENT) as response:
            await anext(response.chunks)
        await gone.wait()


async def test_a_connection_is_used_again_after_a_stream_that_was_read_to_its_end(transport: Transport) -> None:
    connections: list[int] = []

    async def short(exchange: Exchange) -> None:
        connections.append(exchange.connection)
        await exchange.begin()
        await exchange.chunk(b"all")
        await exchange.end()

    async with serving(short) as url:
        for _ in range(3):
            async with transport.stream("GET", url, headers={}, timeout=PATIENT) as response:
                assert await response.read() == b"all"
            assert (await transport.request("GET", url, headers={}, timeout=PATIENT)).body == b"all"
    assert set(connections) == {1}


async def test_many_streams_are_open_at_once(transport: Transport) -> None:
    everyone = asyncio.Barrier(150)

    async def together(exchange: Exchange) -> None:
        await exchange.begin()
        await everyone.wait()
        await exchange.chunk(b"all here")
        await exchange.end()

    async def read(url: str) -> bytes:
        async with transport.stream("GET", url, headers={}, timeout=PATIENT) as response:
            return await response.read()

    async with serving(together) as url, asyncio.timeout(PATIENT):
        assert await asyncio.gather(*(read(url) for _ in range(150))) == [b"all here"] * 150


async def test_an_answer_of_a_stream_can_be_read_within_a_limit(transport: Transport) -> None:
    async def words(exchange: Exchange) -> None:
        await exchange.answer(b"x" * 100)

    async with serving(words) as url, transport.stream("GET", url, headers={}, timeout=PATIENT) as response:
        with pytest.raises(ResponseTooLarge):
            await response.read(10)


async def test_what_is_no_url_cannot_be_reached(transport: Transport) -> None:
    for url in ("http://", "ftp://127.0.0.1/", "http://[::1", "http://xn--a.localhost/"):
        with pytest.raises(ConnectError):
            await transport.request("GET", url, headers={}, timeout=PATIENT)


async def test_an_interim_answer_is_not_the_answer(transport: Transport) -> None:
    async def patient(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n")
        await exchange.answer(b"the answer")

    async with serving(patient) as url:
        for _ in range(2):
            response = await transport.request("GET", url, headers={}, timeout=PATIENT)
            assert (response.status, response.body) == (200, b"the answer")


async def test_a_body_of_no_declared_length_ends_with_the_connection(transport: Transport) -> None:
    async def old(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")
        await exchange.hang_up()

    async with serving(old) as url:
        for _ in range(2):
            assert (await transport.request("GET", url, headers={}, timeout=PATIENT)).body == b"hello"


async def test_an_answer_without_a_body_leaves_the_connection(transport: Transport) -> None:
    connections: list[int] = []

    async def unchanged(exchange: Exchange) -> None:
        connections.append(exchange.connection)
        await exchange.raw(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")

    async with serving(unchanged) as url:
        for _ in range(2):
            response = await transport.request("GET", url, headers={}, timeout=PATIENT)
            assert (response.status, response.body) == (304, b"")
    assert connections == [1, 1]


async def test_a_connection_the_peer_wants_closed_is_not_used_again(transport: Transport) -> None:
    connections: list[int] = []

    async def once(exchange: Exchange) -> None:
        connections.append(exchange.connection)
        await exchange.answer(b"bye", headers={"Connection": "close"})

    async with serving(once) as url:
        for _ in range(2):
            assert (await transport.request("GET", url, headers={}, timeout=PATIENT)).body == b"bye"
    assert connections == [1, 2]


async def test_headers_without_end_are_bounded(transport: Transport) -> None:
    async def flood(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.raw(b"X-%d: y\r\n" % 1 * 1000)

    async with serving(flood) as url:
        with pytest.raises(TransportError):
            await transport.request("GET", url, headers={}, timeout=PATIENT)


async def test_a_large_body_goes_both_ways(transport: Transport) -> None:
    async def echo(exchange: Exchange) -> None:
        await exchange.answer(exchange.body)

    body = bytes(range(256)) * 40_000
    async with serving(echo) as url:
        for _ in range(2):
            response = await transport.request("POST", url, headers={}, content=body, timeout=PATIENT)
            assert response.body == body


async def test_a_reader_that_is_slow_is_not_a_peer_that_is_silent(transport: Transport) -> None:
    async def pour(exchange: Exchange) -> None:
        await exchange.begin()
        for _ in range(40):
            await exchange.chunk(b"x" * 100_000)
        await exchange.end()

    async with serving(pour) as url, transport.stream("GET", url, headers={}, timeout=1.0) as response:
        assert sum([len(chunk) async for chunk in response.chunks]) == 4_000_000


async def test_a_call_that_is_cancelled_leaves_no_connection_to_the_next(transport: Transport) -> None:
    asked = asyncio.Event()

    async def slow_then_swift(exchange: Exchange) -> None:
        if exchange.path == "/slow":
            asked.set()
            await exchange.gone()
        else:
            await exchange.answer(b"swift")

    async with serving(slow_then_swift) as url, asyncio.timeout(PATIENT):
        call = asyncio.create_task(transport.request("GET", f"{url}/slow", headers={}, timeout=PATIENT))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await transport.request("GET", url, headers={}, timeout=PATIENT)).body == b"swift"


async def test_the_path_arrives_as_it_was_meant(transport: Transport) -> None:
    paths: list[str] = []

    async def note(exchange: Exchange) -> None:
        paths.append(exchange.path)
        await exchange.answer()

    async with serving(note) as url:
        for path in ("", "/a%20b?c=d%26e", "/ü?q=ü", "/x#fragment"):
            await transport.request("GET", url + path, headers={}, timeout=PATIENT)
    assert paths == ["/", "/a%20b?c=d%26e", "/%C3%BC?q=%C3%BC", "/x"]

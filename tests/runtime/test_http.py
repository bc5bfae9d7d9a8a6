"""Endpoints over HTTP, in order and out of it."""

from __future__ import annotations

import asyncio
import ctypes
import json
import platform
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable, WorkloadFailed, WorkloadTimeout
from codin.net import AddressGuard
from codin.runtime import Endpoint, Item, Runtime, runtime_of
from codin.sandbox import Limits
from tests.servers.docker import DockerDaemon

pytestmark = pytest.mark.anyio

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
At = Callable[[Answer], AbstractAsyncContextManager[str]]
NEAR = AddressGuard(allow_loopback=True)


@pytest.fixture(params=["http", "local", "docker"])
def where(request: pytest.FixtureRequest) -> str:
    if request.param == "docker":
        request.getfixturevalue("docker_host")
    return request.param


@pytest.fixture
async def runtime(where: str) -> AsyncIterator[Runtime]:
    async with runtime_of(where, guard=NEAR) as runtime:
        yield runtime


@pytest.fixture
def at(where: str, request: pytest.FixtureRequest) -> At:
    """An endpoint that the runtime reaches: the daemon of the tests has a network of its own."""
    if where != "docker":
        return endpoint
    daemon: DockerDaemon = request.getfixturevalue("docker_daemon")
    return lambda answer: endpoint(answer, inside(daemon))


def inside(daemon: DockerDaemon) -> socket.socket:
    """A socket in the network of a daemon's containers. Only the thread that opens it goes there."""

    def opened() -> socket.socket:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(daemon.socket))
            process, *_ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        with Path(f"/proc/{process}/ns/net").open("rb") as network:
            assert ctypes.CDLL(None, use_errno=True).setns(network.fileno(), 0) == 0
        return socket.create_server(("127.0.0.1", 0))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(opened).result()


@asynccontextmanager
async def endpoint(answer: Answer, listener: socket.socket | None = None) -> AsyncGenerator[str]:
    """An endpoint that answers every connection in its own way; gives its URL."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        try:
            await answer(await reader.readexactly(size), writer)
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    listener = listener or socket.create_server(("127.0.0.1", 0))
    async with await asyncio.start_server(connected, sock=listener) as server:
        try:
            yield "http://{}:{}/".format(*server.sockets[0].getsockname())
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


def said(status: int, body: bytes, content_type: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_json_goes_out_and_json_comes_back(runtime: Runtime, at: At) -> None:
    async def add(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, json.dumps({"sum": sum(json.loads(body))}).encode(), "application/json"))

    async with at(add) as url:
        done = await runtime.run(Endpoint(url, body=[1, 2, 3]))
    assert done.value == {"sum": 6}


async def test_an_answer_comes_in_pieces(runtime: Runtime, at: At) -> None:
    went_on = asyncio.Event()

    async def slowly(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n")
        await went_on.wait()
        writer.write(b"data: two\n\n")

    async with at(slowly) as url, asyncio.timeout(20):
        running = await runtime.run(Endpoint(url), stream=True)
        pieces: list[str] = []
        async for event in running:
            assert isinstance(event, Item)
            pieces.append(event.value)
            went_on.set()
    assert "".join(pieces) == running.value == "data: one\n\ndata: two\n\n"
    assert len(pieces) > 1


async def test_a_status_from_400_on_is_a_failure_with_what_was_said(runtime: Runtime, at: At) -> None:
    async def refuse(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(422, b"the field a is missing"))

    async with at(refuse) as url:
        with pytest.raises(WorkloadFailed, match="HTTP 422: the field a is missing"):
            await runtime.run(Endpoint(url))


@pytest.mark.parametrize("lie", [b"{", b"[" * 100_000], ids=["cut", "deep"])
async def test_json_that_is_none_is_a_failure(runtime: Runtime, at: At, lie: bytes) -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, lie, "application/json"))

    async with at(answer) as url:
        with pytest.raises(WorkloadFailed, match="says JSON"):
            await runtime.run(Endpoint(url))


@pytest.mark.parametrize(
    ("content_type", "value"),
    [
        ("Application/JSON; charset=utf-8", [1]),
        ("application/problem+json", [1]),
        ("application/x-ndjson", "[1]\n"),
        ("application/json-seq", "[1]\n"),
    ],
)
async def test_what_is_json_and_what_only_has_it(runtime: Runtime, at: At, content_type: str, value: object) -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, b"[1]\n", content_type))

    async with at(answer) as url:
        assert (await runtime.run(Endpoint(url))).value == value


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", said(200, b"{}", "application/json")[:-2]),
        ("DELETE", b"HTTP/1.1 204 Gone\r\ncontent-type: application/json\r\n\r\n"),
        ("POST", said(200, b"", "application/json")),
    ],
)
async def test_json_without_a_body_is_nothing(runtime: Runtime, at: At, method: str, answer: bytes) -> None:
    async def empty(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with at(empty) as url:
        assert (await runtime.run(Endpoint(url, method=method))).value is None


SECRET = "sk-SECRET"


@pytest.mark.parametrize(
    "value",
    [
        f"{SECRET}\n",
        f"{SECRET}\r\nx: y",
        f" {SECRET}",
        f"{SECRET}\0",
        f"{SECRET}é",
        f"{SECRET}\ud800",
        SECRET.encode(),
        5,
    ],
)
def test_of_a_header_that_cannot_be_sent_the_name_is_told_and_not_the_value(value: Any) -> None:
    with pytest.raises(ConfigError, match="'Authorization'") as told:
        Endpoint("http://127.0.0.1:9/", headers={"Authorization": value})
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("headers: 'a b' is no name", {"headers": {"a b": "c"}}),
        ("headers: 5 is no name", {"headers": {5: "c"}}),
        ("headers: 'Content-Length' is not for you", {"headers": {"Content-Length": "5"}}),
        ("headers: 'transfer-encoding' is not for you", {"headers": {"transfer-encoding": "chunked"}}),
        ("headers are no mapping", {"headers": [("a", "b")]}),
        ("method='' is none", {"method": ""}),
        (r"method='GET\\r\\nX' is none", {"method": "GET\r\nX"}),
        ("method=None is none", {"method": None}),
        ("url=5 is no text", {"url": 5}),
        ("the URL holds", {"url": "http://127.0.0.1:9/\x01"}),
        ("the URL holds", {"url": "http://127.0.0.1:9/\ud800"}),
    ],
)
def test_what_makes_no_request_is_refused_with_its_name(said: str, asked: dict[str, Any]) -> None:
    request: dict[str, Any] = {"url": "http://127.0.0.1:9/", **asked}
    with pytest.raises(ConfigError, match=said):
        Endpoint(**request)


@pytest.mark.parametrize("body", [{1, 2}, [float("nan")], object()], ids=["set", "nan", "object"])
async def test_a_body_that_is_no_json_is_refused(runtime: Runtime, body: object) -> None:
    with pytest.raises(ConfigError, match="the body of the endpoint is no JSON"):
        await runtime.run(Endpoint("http://127.0.0.1:9/", body=body))


async def test_a_reset_is_an_error_that_says_the_outcome_is_unknown(runtime: Runtime, at: At) -> None:
    async def reset(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
        await writer.drain()
        writer.transport.abort()

    async with at(reset) as url:
        with pytest.raises(RuntimeUnavailable, match="unknown"):
            await runtime.run(Endpoint(url))


async def test_an_endpoint_that_was_lost_is_called_again_when_the_workload_says_so(runtime: Runtime, at: At) -> None:
    calls = 0

    async def at_the_second_call(body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            writer.transport.abort()
        else:
            writer.write(said(200, b"there"))

    async with at(at_the_second_call) as url:
        done = await runtime.run(Endpoint(url, retries=1))
    assert (done.value, done.attempts) == ("there", 2)


async def test_silence_ends_at_the_limit(runtime: Runtime, at: At) -> None:
    async def never(body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with at(never) as url:
        with pytest.raises(WorkloadTimeout):
            await runtime.run(Endpoint(url, limits=Limits(time=0.2)))


async def test_an_answer_that_is_too_long_is_cut_off(runtime: Runtime, at: At) -> None:
    async def flood(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, b"x" * 100_000))

    async with at(flood) as url:
        with pytest.raises(WorkloadFailed, match="too much"):
            await runtime.run(Endpoint(url, limits=Limits(output=1000)))


async def test_nobody_there(runtime: Runtime, at: At) -> None:
    async with at(lambda body, writer: asyncio.sleep(0)) as url:
        gone = url
    with pytest.raises(RuntimeUnavailable, match="could not be reached"):
        await runtime.run(Endpoint(gone))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://169.254.169.254/", "http://localhost/"])
async def test_an_address_inside_is_refused_unless_somebody_said_so(where: str, url: str) -> None:
    async with runtime_of(where) as runtime:
        with pytest.raises(NoRuntime, match=r"127\.0\.0\.1|169\.254") as told:
            await runtime.run(Endpoint(url))
    assert "somebody else" not in told.value.message
    assert "guard=AddressGuard(allow_private=…, allow_loopback=…, allowed_hosts=…), from codin.net" in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.com/", "data:,a", "/etc/passwd", "api", "", "http:///v1"),
        *("http://[::1/", "http://example.com:0/", "http://example.com:99999/", "127.0.0.1:8000/v1"),
    ],
)
def test_nothing_but_http_is_called(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is not an http\(s\) URL"):
        Endpoint(url)


async def elsewhere(host: str, port: int) -> list[str]:
    """A DNS by which every name is in the internet."""
    return ["198.41.0.4"]


async def test_a_name_that_leads_inside_only_in_the_container_is_refused_there(docker_host: str) -> None:
    host = platform.node()  # a container in this machine's network finds it in its own hosts
    with socket.socket() as closed:
        try:
            closed.bind((host, 0))
        except OSError:
            pytest.skip(f"no hosts file knows {host!r}")
        url = f"http://{host}:{closed.getsockname()[1]}/"
        async with runtime_of("docker", guard=AddressGuard(resolve=elsewhere)) as runtime:
            with pytest.raises(NoRuntime, match=r"leads to \S+ there, which is"):
                await runtime.run(Endpoint(url))
        async with runtime_of("docker", guard=AddressGuard(resolve=elsewhere, allowed_hosts=[host])) as runtime:
            with pytest.raises(RuntimeUnavailable, match="could not be reached"):
                await runtime.run(Endpoint(url))


async def test_an_endpoint_that_needs_a_sandbox_needs_the_network_too(docker_host: str) -> None:
    # The daemon of the tests has a network of its own, and the sandbox says so.
    async with runtime_of("docker", guard=NEAR) as runtime:
        with pytest.raises(NoRuntime, match="network") as told:
            await runtime.run(Endpoint("http://127.0.0.1:9/", sandbox="required"))
    assert told.value.able == ("local", "docker", "kubernetes", "ray", "http")


async def test_a_redirect_is_no_success_and_is_not_followed(runtime: Runtime, at: At) -> None:
    calls = 0

    async def away(body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 4\r\n\r\nmove")

    async with at(away) as url:
        with pytest.raises(WorkloadFailed, match="302, a redirect, which is not followed: move"):
            await runtime.run(Endpoint(url))
    assert calls == 1


async def test_an_error_tells_no_secret_of_a_url(runtime: Runtime) -> None:
    with pytest.raises(RuntimeUnavailable) as told:
        await runtime.run(Endpoint("http://ada:PASSWORD@127.0.0.1:9/path?key=SECRET"))
    assert "127.0.0.1:9/path?…" in str(told.value)
    assert "PASSWORD" not in str(told.value)
    assert "SECRET" not in str(told.value)


async def test_an_error_tells_no_secret_of_a_header(runtime: Runtime, at: At) -> None:
    async def echoes(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(500, b"x" * 290 + b" Bearer SECRET+KEY, and SECRET%2BKEY"))

    async with at(echoes) as url:
        with pytest.raises(WorkloadFailed, match=r"500: x+ \*\*\*, and") as told:
            await runtime.run(Endpoint(url, headers={"Authorization": "Bearer SECRET+KEY"}))
    assert "SECRET" not in str(told.value)


async def test_letters_may_be_cut_in_two(runtime: Runtime, at: At) -> None:
    went_on = asyncio.Event()

    async def slowly(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, '{"word": "é"}'.encode(), "application/json")[:-3])
        await went_on.wait()
        writer.write(b'\xa9"}')

    async with at(slowly) as url, asyncio.timeout(60):
        running = await runtime.run(Endpoint(url), stream=True)
        async for _ in running:
            went_on.set()
    assert running.value == {"word": "é"}
    assert "".join(running.items) == '{"word": "é"}'


async def test_a_letter_that_is_cut_off_is_told_at_the_end(runtime: Runtime, at: At) -> None:
    async def cut(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, b"caf\xc3"))

    async with at(cut) as url:
        done = await runtime.run(Endpoint(url))
    assert "".join(done.items) == done.value == "caf\ufffd"


async def test_bytes_arrive_as_they_are(runtime: Runtime, at: At) -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, body[::-1].hex().encode()))

    async with at(answer) as url:
        assert (await runtime.run(Endpoint(f"{url}way?a=b c", method="PUT", body=b"\x00\xff\xe9"))).value == "e9ff00"


async def test_cancelling_closes_the_connection(runtime: Runtime, at: At) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def endless(body: bytes, writer: asyncio.StreamWriter) -> None:
        came.set()
        try:
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            left.set()
            raise

    async with at(endless) as url, asyncio.timeout(20):
        running = await runtime.run(Endpoint(url), stream=True)
        await came.wait()
        await running.cancel()
        await left.wait()

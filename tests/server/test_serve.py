"""`codin.serve` before it serves: what it refuses, and what it warns about."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

import codin
from codin.agent import agent
from codin.errors import ConfigError
from codin.server._listen import listen
from codin.trust import BearerTokens
from tests.server.exchange import call_body
from tests.server.process import running
from tests.server.rpc import HEADERS, message

pytestmark = pytest.mark.anyio

PROGRAM = "tests.server.holder"


@agent
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


async def status(url: str, **headers: str) -> int:
    async with httpx.AsyncClient() as http:
        body = call_body("ListTasks", {"message": message()})
        return (await http.post(url, content=body, headers={**HEADERS, **headers})).status_code


# -- token files -------------------------------------------------------------------------------------------------------


def token_file(tmp_path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "tokens"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no token"),
        ("# only a comment\n\n", "has no token"),
        ("alice\n", "line 1"),
        ("alice t0ken\nbob\n", "line 2"),
        ("alice t0ken extra\n", "line 1"),
        ("alice same\nbob same\n", "line 2"),
        ("anonymous t0ken\n", "line 1"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_token_file_that_is_not_understood(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = token_file(tmp_path, text)
    for attempt in (lambda: BearerTokens.from_file(path), lambda: codin.serve(shout, port=0, token_file=path)):
        with pytest.raises(ConfigError, match=says) as caught:
            attempt()
        assert "t0ken" not in str(caught.value)


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        codin.serve(shout, port=0, token_file=tmp_path / "nope")
    with pytest.raises(ConfigError, match="cannot be read"):
        codin.serve(shout, port=0, token_file=tmp_path)


def test_a_token_file_that_others_can_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    BearerTokens.from_file(token_file(tmp_path, "alice t0ken\n"))
    assert not caplog.records
    BearerTokens.from_file(token_file(tmp_path, "alice t0ken\n", 0o644))
    [record] = caplog.records
    assert "chmod 600" in record.getMessage()
    assert "t0ken" not in record.getMessage()


async def test_two_tokens_of_one_caller_are_one_owner(tmp_path: Path) -> None:
    tokens = BearerTokens.from_file(token_file(tmp_path, "alice one\nalice two\n  bob\tthree  \n"))
    callers = [
        await tokens.authenticate({b"authorization": b"Bearer " + token}) for token in (b"one", b"two", b"three")
    ]
    assert [caller and caller.id for caller in callers] == ["alice", "alice", "bob"]
    assert await tokens.authenticate({b"authorization": b"Bearer four"}) is None


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"store": "nope://"}, "store"),
        ({"store": "memory://?max_ended=many"}, "not understood"),
        ({"host": "no.such.host.invalid"}, "cannot listen"),
        ({"token_file": "tokens", "authenticator": BearerTokens({"t": "alice"})}, "exclude"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        codin.serve(shout, port=0, **settings)


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="cannot listen") as caught:
            codin.serve(shout, port=other.getsockname()[1])
    assert "--port" in (caught.value.hint or "")


async def test_an_event_loop_that_runs_is_not_blocked() -> None:
    with pytest.raises(ConfigError, match="an event loop is running here") as caught:
        codin.serve(shout, port=0)
    assert "uvicorn" in (caught.value.hint or "")


def test_nothing_to_serve() -> None:
    with pytest.raises(ConfigError):
        codin.serve(port=0)
    with pytest.raises(ConfigError):
        codin.serve(object(), port=0)


# -- serving -----------------------------------------------------------------------------------------------------------


async def test_an_open_address_without_tokens_is_warned_about() -> None:
    async with running(PROGRAM, host="0.0.0.0") as process:
        assert await status(process.url) == 200
        process.stop()
        await process.ended()
        assert "without tokens" in await process.errors()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_loopback_address_is_not(host: str) -> None:
    async with running(PROGRAM, host=host) as process:
        assert await status(process.url) == 200
        process.stop()
        await process.ended()
        assert await process.errors() == ""


async def test_it_is_the_client_who_closes_an_idle_connection() -> None:
    """Five seconds are usual for servers and for clients: then a request may cross with the server's closing."""
    async with running(PROGRAM, host="127.0.0.1") as process:
        reader, writer = await asyncio.open_connection(*process.address)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6):
                await reader.read()  # to the end, which does not come
        writer.close()
        await writer.wait_closed()


async def test_an_open_address_with_tokens_is_not(tmp_path: Path) -> None:
    tokens = token_file(tmp_path, "alice t0ken\n")
    async with running(PROGRAM, host="0.0.0.0", token_file=str(tokens)) as process:
        assert await status(process.url) == 401
        assert await status(process.url, Authorization="Bearer t0ken") == 200
        process.stop()
        await process.ended()
        assert await process.errors() == ""


async def test_a_store_that_cannot_be_opened_ends_it_with_a_word(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nope"):
        async with running(PROGRAM, store=f"sqlite:///{tmp_path / 'nope' / 'tasks.db'}"):
            pass


def test_connections_do_not_wait_to_be_filled() -> None:
    """asyncio sets TCP_NODELAY on what it knows to be TCP; without it, answers wait for what the client says next."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP

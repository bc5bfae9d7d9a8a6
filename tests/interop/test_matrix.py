"""Every client with every server over every binding: `matrix.toml` says what is tried, and what is known to fail.

A test is a column: a conversation that is the same whoever takes part. A peer's client talks to the agent in `twin.py`,
codin's client to the agent of a peer, which does the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial, wraps
from itertools import count
from typing import Any

import httpx
import pytest

from codin.client import connect
from docs.interop import MATRIX, Known, Row
from tests.interop.callers import Caller, CodinCaller, caller_of
from tests.interop.conftest import VERSIONS, Programs
from tests.interop.line import Refused
from tests.interop.told import Listener, Told
from tests.interop.twin import TOKEN, twin
from tests.server.hook import hooked

pytestmark = pytest.mark.anyio

PATIENT = 60.0
PIECES = "".join(f"piece {number} " for number in range(20))

_keys = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        rows = [row for row in MATRIX.rows if _cell(metafunc.function) not in row.lacks]
        metafunc.parametrize("row", rows, ids=[row.id for row in rows])


def _cell(test: Callable[..., Any]) -> str:
    return test.__name__.removeprefix("test_")


@dataclass(frozen=True)
class Pair:
    """A client and the agent that it calls.

    Attributes:
        calling: the client with a tenant.
        release: lets a task that goes by steps say its next piece; it is named by its key.
    """

    caller: Caller
    calling: Callable[[str], AbstractAsyncContextManager[Caller]]
    release: Callable[[str], Awaitable[None]]


@pytest.fixture
async def pair(
    request: pytest.FixtureRequest,
    row: Row,
    programs: Programs,
    record_property: Callable[[str, object], None],
) -> AsyncIterator[Pair]:
    cell = _cell(request.function)
    record_property("cell", [row.id, cell, MATRIX.mark(row, cell)])
    meet = _their_client if row.side == "client" else _our_client
    if row.peer != "agno":  # whose client is a package here
        assert programs[_program(row)]  # a framework may take a minute to start
    async with asyncio.timeout(PATIENT), meet(row, cell, programs) as pair:
        yield pair


def _program(row: Row) -> str:
    """What speaks for the peer of a row."""
    if row.side == "client":
        return f"{row.peer} client"
    return f"{row.peer} grpc server" if row.binding == "GRPC" else f"{row.peer} server"


@asynccontextmanager
async def _our_client(row: Row, cell: str, programs: Programs) -> AsyncGenerator[Pair]:
    url = programs[_program(row)]

    @asynccontextmanager
    async def calling(tenant: str) -> AsyncGenerator[Caller]:
        async with connect(url) as known:
            card = known.card
        named = [each.model_copy(update={"tenant": tenant}) for each in card.supported_interfaces]
        theirs = card.model_copy(update={"supported_interfaces": named})
        async with connect(theirs, binding=row.binding) as peer:
            yield CodinCaller(peer)

    async def release(key: str) -> None:
        async with httpx.AsyncClient() as http:
            (await http.post(f"{url}release/{key}")).raise_for_status()

    async with connect(url, binding=row.binding) as peer:
        yield Pair(CodinCaller(peer), calling, release)


@asynccontextmanager
async def _their_client(row: Row, cell: str, programs: Programs) -> AsyncGenerator[Pair]:
    tokens = cell == "extended_card"
    # ADK takes the first interface that it can call, so the card has no other.
    bindings = (row.binding,) if row.peer == "adk" else ("JSONRPC", "HTTP+JSON")
    grpc = row.binding == "GRPC"
    async with twin(bindings, grpc=grpc, message=cell == "message", tokens=tokens) as served:
        caller = partial(caller_of, row, programs, served.url, TOKEN if tokens else None)

        @asynccontextmanager
        async def calling(tenant: str) -> AsyncGenerator[Caller]:
            yield caller(tenant)

        yield Pair(caller(), calling, served.release)


def cell(test: Callable[[Pair], Awaitable[None]]) -> Callable[[Pair, Row], Awaitable[None]]:
    """A column; where it is known to fail, it has to fail as it is known."""

    @wraps(test)
    async def tried(pair: Pair, row: Row) -> None:
        known = MATRIX.failure(row, _cell(test))
        if known is None:
            await test(pair)
        else:
            await _fails(test(pair), known)

    del tried.__wrapped__  # pytest would take the parameters from there
    return tried


async def _fails(trying: Awaitable[None], known: Known) -> None:
    try:
        await trying
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        assert re.search(known.shows, said), f"it fails, but not as it is known to: {said}"
    else:
        pytest.fail("it works now: take the row out of matrix.toml")


async def _last(events: AsyncGenerator[Told]) -> Told:
    async with aclosing(events):
        *_, told = [told async for told in events]
    return told


@cell
@pytest.mark.requirement("GRPC-SERVICE", "V03-SERVER", "V03-CLIENT")
async def test_send(pair: Pair) -> None:
    told = await pair.caller.send("hello there")
    assert told.reached("completed")
    assert told.text == "HELLO THERE"
    again = await pair.caller.send("and again", after=told)
    assert again.text == "AND AGAIN"
    assert again.context == told.context
    assert again.task != told.task or not told.task


@cell
async def test_message(pair: Pair) -> None:
    told = await pair.caller.send("message hi")
    assert told.reached("message")
    assert told.text == "HI"
    assert (await _last(pair.caller.stream("message hi"))).text == "HI"


@cell
@pytest.mark.requirement("STREAM-TASK-FIRST", "STREAM-ENDS", "GRPC-STREAM", "V03-CLIENT")
async def test_stream(pair: Pair) -> None:
    events = [told async for told in pair.caller.stream("chunks 20")]
    texts = [told.text for told in events]
    assert texts[-1] == PIECES
    assert len(set(texts) - {"", PIECES}) >= 19
    assert events[-1].reached("completed")
    if events[0].task:
        stored = await pair.caller.get(events[0].task)
        assert (stored.state, stored.text) == ("completed", PIECES)


@cell
@pytest.mark.requirement("STATE-INPUT")
async def test_question(pair: Pair) -> None:
    asked = await pair.caller.send("ask size")
    assert asked.state == "input-required"
    assert asked.text == "Which size?"
    answered = await pair.caller.send("large", after=asked)
    assert answered.text == "large"
    assert answered.reached("completed")
    assert answered.task == asked.task


@cell
@pytest.mark.requirement("SUBSCRIBE-TASK-FIRST", "STREAM-SEVERAL")
async def test_subscribe(pair: Pair) -> None:
    key = f"key{next(_keys)}"
    task = (await pair.caller.send(f"steps 3 {key} 0 0", wait=False)).task
    events = pair.caller.subscribe(task)
    joined = await anext(events)
    assert joined.task == task
    assert joined.state in {"submitted", "working"}
    for _ in range(2):
        await pair.release(key)
    told = await _last(events)
    assert (told.state, told.text) == ("completed", "piece 0 piece 1 piece 2 ")


@cell
async def test_resume(pair: Pair) -> None:
    key = f"key{next(_keys)}"
    async with aclosing(pair.caller.stream(f"steps 4 {key} 0 0")) as events:
        task = ""
        async for told in events:
            task = told.task
            if told.text:
                break
    await pair.release(key)
    events = pair.caller.subscribe(task)
    await anext(events)
    for _ in range(2):
        await pair.release(key)
    told = await _last(events)
    assert (told.state, told.text) == ("completed", "piece 0 piece 1 piece 2 piece 3 ")


@cell
@pytest.mark.requirement("CANCEL-UPDATED")
async def test_cancel(pair: Pair) -> None:
    task = (await pair.caller.send("slow", wait=False)).task
    assert (await pair.caller.cancel(task)).state == "canceled"
    assert (await pair.caller.get(task)).state == "canceled"


@cell
async def test_list(pair: Pair) -> None:
    first = await pair.caller.send("first")
    second = await pair.caller.send("second", after=first)
    await pair.caller.send("elsewhere")
    assert sorted(await pair.caller.list(first.context)) == sorted([first.task, second.task])


@cell
async def test_push(pair: Pair) -> None:
    key = f"key{next(_keys)}"
    async with hooked() as hook:
        task = (await pair.caller.send(f"steps 2 {key} 0 0", wait=False)).task
        await pair.caller.push(task, hook.url)
        await pair.release(key)
        listener, told = Listener(), Told()
        for number in count():
            told = listener.hear((await hook.seen(number + 1))[number].event)
            if told.state == "completed":
                break
        assert told.task == task


@cell
async def test_extended_card(pair: Pair) -> None:
    assert await pair.caller.extended_card() == "Does even more."


@cell
async def test_tenant(pair: Pair) -> None:
    async with pair.calling("acme") as caller:
        told = await caller.send("tenant")
        assert told.text == "acme"
        assert (await caller.get(told.task)).task == told.task


@cell
async def test_failure(pair: Pair) -> None:
    told = await pair.caller.send("fail no paper")
    assert told.reached("failed")
    assert told.text == "no paper"


def test_the_peers_are_those_of_the_page() -> None:
    """What the page names is what is installed."""
    for name, peer in MATRIX.peers.items():
        assert VERSIONS[name](peer.name) == peer.version


# The Python SDK for 0.3 has one error for all, which has the code, or over HTTP+JSON the status.
_CODES = {"TaskNotFound": {"-32001", "404"}, "TaskNotCancelable": {"-32002", "400"}}


async def _refused(calling: Awaitable[object], error: str) -> None:
    with pytest.raises(Refused) as refusal:
        await calling
    name = refusal.value.name
    assert name.startswith(error) or name.rpartition(" ")[2] in _CODES[error], name


@cell
@pytest.mark.requirement("ERROR-MAPPING", "GRPC-ERROR-INFO")
async def test_refusal(pair: Pair) -> None:
    done = await pair.caller.send("done")
    await _refused(pair.caller.get("no such task"), "TaskNotFound")
    await _refused(pair.caller.cancel("no such task"), "TaskNotFound")
    await _refused(pair.caller.send("more", after=Told("no such task", "", "input-required")), "TaskNotFound")
    await _refused(pair.caller.cancel(done.task), "TaskNotCancelable")

"""A peer that is called over gRPC: how it is chosen, what goes wrong on the way, streams that are cut."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Backoff
from codin.client._grpc_interface import grpc_address
from codin.errors import AddressRefused, BadResponse, ConfigError, ConnectError, DeadlineExceeded, TransportError
from codin.net import AddressGuard
from codin.server import App, ServerLimits
from codin.task import Task
from codin.trust import BearerTokens, TrustPolicy
from tests.interop.proxy import cutting
from tests.server.puppet import Puppet
from tests.server.sockets import listening, open_listener

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PIECES = [f"piece {number} " for number in range(40)]
HASTY = Backoff(tries=3, first=0.01, longest=0.02)


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def ask(task: Task) -> str:
    """Asks back."""
    return f"You chose {(await task.ask('Which?')).text} for {task.caller.id}."


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App(pieces, grpc_port=0)
    await app.start()
    async with asyncio.timeout(30):
        yield app
        await app.close()


def card_of(app: App, *names: str, url: str = "") -> a2a.AgentCard:
    """The card of an app with the interfaces of these bindings, in this order."""
    card = app.endpoints[0].cards.card("http://127.0.0.1:9/")
    by_name = {each.protocol_binding: each for each in reversed(card.supported_interfaces)}
    chosen = [by_name[name].model_copy(update={"url": url or by_name[name].url}) for name in names]
    return card.model_copy(update={"supported_interfaces": chosen})


# -- which interface ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("GRPC-CLIENT")
async def test_it_is_called_when_it_is_asked_for() -> None:
    async with listening(App(ask, pieces, grpc_port=0)) as served:
        async with codin.connect(f"{served.url}/ask/", binding="GRPC") as peer:
            assert peer.interface.protocol_binding == "GRPC"
            assert peer.interface.tenant == "ask"
            reply = await peer.send("go")
            assert (reply.state, reply.text) == (a2a.TaskState.INPUT_REQUIRED, "Which?")
            assert (await peer.send("blue", task_id=reply.task_id)).text == "You chose blue for anonymous."
        async with codin.connect(f"{served.url}/ask/") as peer:
            assert peer.interface.protocol_binding == "JSONRPC"


@pytest.mark.parametrize(
    ("names", "first"), [(["JSONRPC", "GRPC"], "JSONRPC"), (["GRPC", "JSONRPC"], "GRPC"), (["GRPC"], "GRPC")]
)
async def test_the_card_says_which_comes_first(app: App, names: list[str], first: str) -> None:
    async with codin.connect(card_of(app, *names)) as peer:
        assert peer.interface.protocol_binding == first


async def test_it_is_tried_when_the_first_is_not_reached(app: App) -> None:
    async with codin.connect(card_of(app, "JSONRPC", "GRPC"), backoff=HASTY) as peer:
        assert (await peer.send("go")).text == "".join(PIECES)
        assert peer.interface.protocol_binding == "GRPC"


async def test_without_the_packages_it_is_no_way(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr("codin.client._grpc_interface.find_spec", nothing)
    with pytest.raises(ConfigError, match=r"pip install 'codin\[grpc\]'"):
        codin.connect("http://127.0.0.1:9", binding="GRPC")
    with pytest.raises(BadResponse, match="it offers GRPC"):
        await codin.connect(card_of(app, "GRPC")).__aenter__()
    async with codin.connect(card_of(app, "GRPC", "JSONRPC")) as peer:
        assert peer.interface.protocol_binding == "JSONRPC"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("127.0.0.1:50051", "http://127.0.0.1:50051"),
        ("[::1]:50051", "http://[::1]:50051"),
        ("localhost:50051", "http://localhost:50051"),
        ("agents.example.com:443", "https://agents.example.com:443"),
        ("agents.example.com", "https://agents.example.com"),
        ("plain.example.com:50051", "http://plain.example.com:50051"),
        ("https://plain.example.com:50051/some/where", "https://plain.example.com:50051"),
        ("http://agents.example.com:50051", "http://agents.example.com:50051"),
        ("dns:///agents.example.com", None),
        ("unix:/run/agent.sock", None),
        ("somebody@agents.example.com:443", None),
        ("agents.example.com:port", None),
        ("", None),
    ],
)
async def test_where_an_interface_leads(app: App, url: str, address: str | None) -> None:
    card = card_of(app, "JSONRPC", url="http://plain.example.com/")
    assert grpc_address(url, card) == address


# -- what goes wrong ---------------------------------------------------------------------------------------------------


async def test_a_port_where_nobody_listens() -> None:
    listener = open_listener()
    app = App(pieces, grpc_port=0)
    await app.start()
    card = card_of(app, "GRPC", url=f"127.0.0.1:{listener.getsockname()[1]}")
    await app.close()
    with listener:  # held, so that nobody else can listen there
        async with codin.connect(card, backoff=HASTY) as peer:
            with pytest.raises(ConnectError):
                await peer.send("go")
            with pytest.raises(ConnectError):
                await anext(peer.stream("go"))


async def test_tls_is_never_left_out(app: App) -> None:
    assert app.grpc is not None
    async with codin.connect(card_of(app, "GRPC", url=f"https://{app.grpc.address}"), backoff=HASTY) as peer:
        with pytest.raises(TransportError):
            await peer.get("none", timeout=5)


def test_the_certificate_is_looked_at_for_the_name_that_was_called(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.client.over_tls"]
    told = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "roots.pem")}
    done = subprocess.run(program, cwd=ROOT, env=told, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["agents.invalid found", "others.invalid ConnectError"]


async def test_a_deadline_ends_the_call_and_not_the_task() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0)
    await app.start()
    async with codin.connect(card_of(app, "GRPC")) as peer:
        with pytest.raises(DeadlineExceeded):
            await peer.send("a", timeout=1.0)
        (task,) = [task async for task in peer.list()]
        assert task.status.state == a2a.TaskState.WORKING
        puppet.strings["a"].end()
    await app.close()


async def test_a_quiet_agent_is_waited_for() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0)
    await app.start()
    async with codin.connect(card_of(app, "GRPC")) as peer:
        stream = peer.stream("a", timeout=0.5)
        await anext(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await anext(stream)
        puppet.strings["a"].end()
    await app.close()


async def test_a_connection_that_is_closed_here_is_no_cancellation() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0)
    await app.start()
    peer = codin.connect(card_of(app, "GRPC"), backoff=HASTY)
    await peer.__aenter__()
    stream = peer.stream("a")
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    while not any(each is waiting for each in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0)
    await peer.__aexit__(None, None, None)
    with pytest.raises(ConfigError, match="was closed here"):
        await waiting
    puppet.strings["a"].end()
    await app.close()


async def test_the_errors_of_a_stranger_have_a_class() -> None:
    """A server that says nothing in its trailers."""

    async def refuse(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        code = dict(context.invocation_metadata() or ())["x-code"]
        assert isinstance(code, str)
        await context.abort(grpc.StatusCode[code], "no")

    class Stranger(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, None]:
            return grpc.unary_unary_rpc_method_handler(refuse)  # pyright: ignore[reportArgumentType]

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Stranger(),))
    url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    app = App(pieces, grpc_port=0)
    await app.start()
    card = card_of(app, "GRPC", url=url)
    for code, kind in {
        "NOT_FOUND": a2a.TaskNotFound,
        "INVALID_ARGUMENT": a2a.InvalidParams,
        "UNAUTHENTICATED": a2a.Unauthenticated,
        "PERMISSION_DENIED": a2a.PermissionDenied,
        "UNIMPLEMENTED": a2a.MethodNotFound,
        "UNAVAILABLE": TransportError,
        "CANCELLED": TransportError,
        "DATA_LOSS": BadResponse,
    }.items():
        async with codin.connect(card, headers={"X-Code": code}, backoff=Backoff(tries=0)) as peer:
            with pytest.raises(kind):
                await peer.get("none")
    await server.stop(None)
    await app.close()


# -- credentials and addresses -----------------------------------------------------------------------------------------


@pytest.mark.requirement("GRPC-CLIENT")
async def test_credentials_travel_as_metadata() -> None:
    app = App(ask, grpc_port=0, authenticator=BearerTokens({"t0ken": "ada"}))
    await app.start()
    card = card_of(app, "GRPC")
    async with codin.connect(card, token="t0ken") as peer:
        question = await peer.send("go")
        assert (await peer.send("blue", task_id=question.task_id)).text == "You chose blue for ada."
    async with codin.connect(card, token="wrong") as peer:
        with pytest.raises(a2a.Unauthenticated):
            await peer.send("go")
    await app.close()


async def test_credentials_do_not_go_to_another_host_that_a_card_names() -> None:
    app = App(ask, grpc_port=0, grpc_address="elsewhere.example.com:443")
    async with listening(app) as served:
        with pytest.raises(ConfigError, match="credentials for the one are not sent to the other"):
            await codin.connect(served.url, token="t0ken", binding="GRPC").__aenter__()


async def test_what_grpc_does_not_allow_is_not_sent_and_not_quoted(app: App) -> None:
    async with codin.connect(card_of(app, "GRPC"), headers={"X-Secret": "gehäim"}) as peer:
        with pytest.raises(ConfigError) as refused:
            await peer.send("go")
        assert "gehäim" not in str(refused.value)


async def test_the_guard_is_asked_before_the_first_byte(app: App) -> None:
    policy = TrustPolicy("off", guard=AddressGuard())
    async with codin.connect(card_of(app, "GRPC"), trust=policy) as peer:
        with pytest.raises(AddressRefused):
            await peer.send("go")


async def test_the_address_that_was_looked_at_is_the_one_that_is_called(app: App) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    assert app.grpc is not None
    policy = TrustPolicy("off", guard=AddressGuard(allow_loopback=True, resolve=resolve))
    url = f"http://agents.invalid:{app.grpc.port}"  # a name that no DNS knows
    async with codin.connect(card_of(app, "GRPC", url=url), trust=policy) as peer:
        assert (await peer.send("go")).text == "".join(PIECES)
        assert (await peer.send("go")).text == "".join(PIECES)
    assert asked == ["agents.invalid"]


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [400, 900, 1500, 3000])
async def test_a_cut_stream_goes_on_without_a_gap(app: App, cut: int) -> None:
    assert app.grpc is not None
    async with cutting(f"http://{app.grpc.address}", [cut, cut + 700]) as proxy:
        card = card_of(app, "GRPC", url=proxy.url.removeprefix("http://").rstrip("/"))
        async with codin.connect(card, backoff=HASTY) as peer:
            events = [event async for event in peer.stream("go")]
        assert proxy.connections >= 2
    assert "".join(event.text for event in events) == "".join(PIECES)
    numbers = [event.number for event in events if event.number is not None]
    assert numbers == sorted(set(numbers))
    task = events[-1].task
    assert task is not None
    assert task.metadata is None  # the numbers are not the agent's


async def test_a_stream_may_be_taken_up_behind_a_number(app: App) -> None:
    async with codin.connect(card_of(app, "GRPC")) as peer:
        events = [event async for event in peer.stream("go")]
        (first, *_) = events
        assert first.task is not None
        again = [event async for event in peer.subscribe(first.task.id, after=first.number)]
        assert [event.number for event in again] == [event.number for event in events[1:]]


async def test_a_reader_that_was_cut_off_comes_back() -> None:
    puppet = Puppet()
    app = App(puppet, grpc_port=0, server_limits=ServerLimits(keep_alive=0.2, send_timeout=0.2))
    await app.start()
    async with asyncio.timeout(30), codin.connect(card_of(app, "GRPC"), backoff=HASTY) as peer:
        stream = peer.stream("a")
        await anext(stream)
        for number in range(8):
            await puppet.strings["a"].write(f"{number}" * 1_000_000)
        while app.open_streams:  # noqa: ASYNC110
            await asyncio.sleep(0)
        puppet.strings["a"].end()
        text = "".join([event.text async for event in stream])
    assert text == "".join(f"{number}" * 1_000_000 for number in range(8))
    await app.close()

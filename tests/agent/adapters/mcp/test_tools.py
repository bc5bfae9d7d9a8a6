"""Tools of real MCP servers as tools of codin."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest
from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

import codin
from codin.agent import agent
from codin.agent.adapters.mcp import McpTools, ToolServer, mcp_tools
from codin.errors import ConfigError, InvalidArguments, InvalidResult, ToolFailed, ToolTimeout, UnknownTool
from codin.net import AddressGuard, _guard
from codin.sandbox import Mount, Policy
from codin.task import Task
from codin.testing import serving as served
from codin.tool import Tool, ToolExecutor, ToolLimits, ToolRegistry, tool
from codin.trust import Caller
from tests.agent.adapters.mcp.kit import shady, unlogged
from tests.agent.adapters.mcp.programs import ROOT, command, free_port, serving
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

POLICY = Policy(mounts=(Mount(source=ROOT),), env={"PYTHONPATH": str(ROOT)})


@pytest.fixture(params=["stdio", "sandbox", "http"])
async def tools(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[McpTools]:
    match request.param:
        case "stdio":
            async with mcp_tools(command("kit"), cwd=ROOT, sandbox="off") as found:
                yield found
        case "sandbox":
            async with mcp_tools(command("kit"), policy=POLICY) as found:
                yield found
        case _:
            port = free_port()
            with serving("kit", port):
                async with mcp_tools(url=f"http://127.0.0.1:{port}/mcp") as found:
                    yield found


async def test_they_are_used_like_any_other(tools: McpTools) -> None:
    executor = ToolExecutor(tools)
    assert await executor.call("add", {"a": 1, "b": 2}) == {"result": 3}
    assert await executor.call("shout", {"text": "tea", "times": 2}) == {"result": "TEA TEA"}
    assert [each["text"] for each in (await executor.call("count", {"to": 2}))["result"]] == ["one", "two"]
    assert (await executor.call("picture", {"kind": 1}))[0]["type"] == "image"
    assert await executor.call("measure", {"what": 1}) == {"result": "decline"}  # there is nobody to ask
    with pytest.raises(InvalidArguments):
        await executor.call("add", {"a": 1, "b": "two"})
    with pytest.raises(ToolFailed, match="no such town: 3"):
        await executor.call("fail", {"why": 3})
    many = await asyncio.gather(*(executor.call("add", {"a": number, "b": 1}) for number in range(20)))
    assert [each["result"] for each in many] == [number + 1 for number in range(20)]


ONCE = """
import os, sys
from mcp.server.fastmcp import FastMCP
with open(sys.argv[1], "a") as begun:
    begun.write(f"{os.getpid()}\\n")
server = FastMCP("s", log_level="ERROR")
@server.tool()
def process() -> int:
    return os.getpid()
server.run()
"""


async def test_the_session_in_which_the_tools_are_asked_for_is_the_one_of_the_calls(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with mcp_tools([sys.executable, "-c", ONCE, str(begun)], sandbox="off") as tools:
        called = (await ToolExecutor(tools).call("process"))["result"]
    assert begun.read_text() == f"{called}\n"


async def test_the_loop_does_not_wait_for_a_server_and_who_asks_may_give_up(tmp_path: Path) -> None:
    pipe, begun = tmp_path / "pipe", tmp_path / "begun"
    os.mkfifo(pipe)
    silent = "import os, sys; open(sys.argv[2], 'w').write(str(os.getpid())); open(sys.argv[1]).read()"

    async def use() -> None:
        async with mcp_tools([sys.executable, "-c", silent, str(pipe), str(begun)], sandbox="off"):
            pytest.fail("it has said nothing")

    using = asyncio.create_task(use())
    with await asyncio.to_thread(pipe.open, "w"):  # which waits until the server has it open, too
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        with pytest.raises(ProcessLookupError):
            os.kill(int(begun.read_text()), 0)


async def test_results_are_checked_by_a_servers_schema_and_never_stop_the_loop() -> None:
    async with listening(shady().streamable_http_app()) as here:
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp"))
        async with tools:
            executor = ToolExecutor(tools)
            assert await executor.call("letters", {"word": "é"}) == {"word": "é"}
            for name, word in (("letters", "5"), ("endless", "a" * 40 + "!")):
                with pytest.raises(InvalidResult, match="word: should fit pattern"):
                    await executor.call(name, {"word": word})


async def test_a_sandboxed_server_sees_nothing_of_the_host_and_is_begun_anew() -> None:
    script = """
import os
from mcp.server.fastmcp import FastMCP
server = FastMCP("s", log_level="ERROR")
@server.tool()
def there(path: str) -> bool:
    return os.path.exists(path)
@server.tool()
def die() -> str:
    os._exit(1)
server.run()
"""
    async with mcp_tools([sys.executable, "-c", script]) as tools:
        executor = ToolExecutor(tools)
        assert await executor.call("there", {"path": sys.executable}) == {"result": True}
        assert await executor.call("there", {"path": __file__}) == {"result": False}
        with pytest.raises(ToolFailed, match="went away"):
            await executor.call("die")
        assert await executor.call("there", {"path": "/proc"}) == {"result": True}


async def test_a_call_is_to_be_made_again_where_nothing_was_sent_or_the_server_says_so(tmp_path: Path) -> None:
    program = tmp_path / "mortal.py"
    program.write_text("""
import os
from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations
server = FastMCP("s", log_level="ERROR")
for name, hints in {
    "pay": None,
    "change": ToolAnnotations(idempotentHint=False),
    "put": ToolAnnotations(idempotentHint=True),
    "look": ToolAnnotations(readOnlyHint=True),
}.items():
    server.add_tool(lambda: os._exit(1), name=name, description="Die.", annotations=hints)
server.run()
""")
    async with mcp_tools([sys.executable, str(program)], sandbox="off") as tools:
        executor = ToolExecutor(tools)
        for name, again in (("pay", False), ("change", False), ("put", True), ("look", True)):
            with pytest.raises(ToolFailed, match="went away") as died:
                await executor.call(name)
            assert died.value.retryable is again
        program.unlink()
        with pytest.raises(ToolFailed, match="cannot be reached") as missing:
            await executor.call("pay")
        assert missing.value.retryable


async def test_who_gives_up_a_call_has_the_server_told() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()
    server = unlogged("slow")

    @server.tool()
    async def hang(seconds: int) -> str:
        """Wait for nothing."""
        begun.set()
        try:
            await asyncio.sleep(seconds)
        finally:
            stopped.set()
        return "slept"

    async with listening(server.streamable_http_app()) as here:
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp"))
        async with tools, asyncio.timeout(60):
            call = asyncio.create_task(ToolExecutor(tools).call("hang", {"seconds": 1000}))
            await begun.wait()
            call.cancel()
            await stopped.wait()
            with pytest.raises(asyncio.CancelledError):
                await call


STUCK = """
import os, sys
from mcp.server.fastmcp import FastMCP
server = FastMCP("s", log_level="ERROR")
@server.tool()
def read() -> str:
    with open(sys.argv[1]) as pipe:
        return pipe.read()
@server.tool()
def process() -> int:
    return os.getpid()
server.run()
"""


@pytest.fixture
async def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> AsyncIterator[Stuck]:
    """A server that does nothing else while a tool of it reads, and whatever else is to be known of it."""
    monkeypatch.setattr("codin.agent.adapters.mcp._session._ANSWER", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with mcp_tools([sys.executable, "-c", STUCK, str(pipe)], sandbox="off") as tools:
        executor = ToolExecutor(tools)
        process = (await executor.call("process"))["result"]
        reading = asyncio.create_task(executor.call("read"))
        with await asyncio.to_thread(pipe.open, "w") as writing:  # which waits until the tool has it open, too
            yield Stuck(executor, process, reading, writing)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@dataclass
class Stuck:
    executor: ToolExecutor
    process: int
    reading: asyncio.Task[Any]
    writing: TextIO

    async def another_process(self) -> bool:
        async with asyncio.timeout(60):
            return (await self.executor.call("process"))["result"] != self.process


async def test_a_server_that_hangs_is_begun_anew_when_a_call_of_it_was_given_up(stuck: Stuck) -> None:
    stuck.reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck.reading
    assert await stuck.another_process()


async def test_calls_of_a_server_that_hangs_have_all_their_time(stuck: Stuck) -> None:
    impatient = ToolExecutor(stuck.executor.registry, limits=ToolLimits(timeout=0.1))
    with pytest.raises(ToolTimeout):
        await impatient.call("process")
    assert await stuck.another_process()
    assert not stuck.reading.done()
    stuck.writing.write("here")
    stuck.writing.close()
    assert (await stuck.reading) == {"result": "here"}


async def test_a_server_that_answers_is_kept_when_a_call_of_it_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.agent.adapters.mcp._session._ANSWER", 30.0)
    server = unlogged("slow")
    begun = asyncio.Event()
    sessions: set[object] = set()

    @server.tool()
    async def hang(context: Context[Any, Any, Any]) -> str:
        """Wait for nothing."""
        sessions.add(context.session)
        begun.set()
        await asyncio.sleep(1000)
        return "slept"

    @server.tool()
    async def count(context: Context[Any, Any, Any]) -> int:
        """Say how many sessions there have been."""
        sessions.add(context.session)
        return len(sessions)

    async with (
        listening(server.streamable_http_app()) as here,
        await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp")) as tools,
        asyncio.timeout(60),
    ):
        executor = ToolExecutor(tools)
        call = asyncio.create_task(executor.call("hang"))
        await begun.wait()
        call.cancel()
        assert await executor.call("count") == {"result": 1}


async def test_a_session_is_closed_although_its_server_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.agent.adapters.mcp._connect._GOODBYE", 0.1)
    server = unlogged("slow")
    server.add_tool(lambda: "here", name="where", description="Say where you are.")
    app = server.streamable_http_app()
    released = asyncio.Event()

    async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "DELETE":
            await released.wait()
        await app(scope, receive, send)

    async with listening(hanging) as here:
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp"))
        async with asyncio.timeout(60):
            assert await ToolExecutor(tools).call("where") == "here"
            await tools.close()
        released.set()


class Told(ToolRegistry):
    """A registry that says when it is given something, and how often it has changed."""

    def __init__(self) -> None:
        self.added = asyncio.Event()
        self.changes: asyncio.Queue[None] = asyncio.Queue()
        super().__init__()

    def add(self, *tools: Tool) -> None:
        super().add(*tools)
        if tools:
            self.added.set()
            self.changes.put_nowait(None)

    def remove(self, name: str) -> None:
        super().remove(name)
        self.changes.put_nowait(None)


def growing() -> FastMCP:
    """A server that has another tool when it is told its name."""
    server = unlogged("growing")

    @server.tool()
    async def grow(name: str, context: Context[Any, Any, Any]) -> str:
        """Have another tool."""
        server.add_tool(lambda: name, name=name, description="A new one.")
        await context.session.send_tool_list_changed()
        return "grown"

    return server


async def test_a_list_that_changes_is_followed_in_a_registry() -> None:
    async with listening(growing().streamable_http_app()) as here:
        registry = Told()
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp", prefix="x.", registry=registry))
        async with tools:
            executor = ToolExecutor(registry)
            assert [tool.name for tool in registry] == ["x_grow"]
            registry.added.clear()
            assert await executor.call("x_grow", {"name": "leaf"}) == {"result": "grown"}
            async with asyncio.timeout(30):
                await registry.added.wait()
            assert await executor.call("x_leaf") == "leaf"


async def test_a_list_that_changes_while_the_server_cannot_be_heard_is_followed() -> None:
    app = growing().streamable_http_app()
    grown = asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "GET":  # the stream of what a server says by itself
            await grown.wait()
        await app(scope, receive, send)

    async with listening(late) as here:
        registry = Told()
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp", registry=registry))
        async with tools, asyncio.timeout(30):
            registry.added.clear()
            assert await ToolExecutor(registry).call("grow", {"name": "leaf"}) == {"result": "grown"}
            grown.set()
            await registry.added.wait()
        assert [tool.name for tool in registry] == ["grow", "leaf"]


CHANGING = """
import asyncio
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.types import Tool
server, names = Server("s"), ["look"]
@server.list_tools()
async def told():
    tools = [Tool(name=name, inputSchema={"type": "object"}) for name in names]
    if len(names) == 1:
        names.append("leaf")
        await server.request_context.session.send_tool_list_changed()
    return tools
@server.call_tool()
async def called(name, arguments):
    return []
async def main():
    async with stdio_server() as streams:
        await server.run(*streams, server.create_initialization_options(NotificationOptions(tools_changed=True)))
asyncio.run(main())
"""


async def test_a_list_that_changes_while_it_is_on_its_way_is_followed() -> None:
    registry = Told()
    async with mcp_tools([sys.executable, "-c", CHANGING], sandbox="off", registry=registry) as tools:
        assert [tool.name for tool in tools] == ["look"]
        registry.added.clear()
        await ToolExecutor(registry).call("look")
        async with asyncio.timeout(30):
            await registry.added.wait()
    assert [tool.name for tool in registry] == ["look", "leaf"]


async def test_of_two_lists_the_newer_counts_although_the_older_takes_longer() -> None:
    server, held, released = growing(), asyncio.Event(), asyncio.Event()
    told, low = server.list_tools, server._mcp_server  # pyright: ignore[reportPrivateUsage]

    async def slow() -> list[types.Tool]:
        found = await told()
        if [tool.name for tool in found] == ["grow", "one"] and not held.is_set():
            held.set()
            await released.wait()
        return found

    low.list_tools()(slow)
    async with listening(server.streamable_http_app()) as here:
        registry = Told()
        tools = await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp", registry=registry))
        async with tools, asyncio.timeout(30):
            executor = ToolExecutor(registry)
            await executor.call("grow", {"name": "one"})
            await held.wait()
            for _ in range(5):  # meanwhile the newer list would be there, if it did not wait for the older
                await executor.call("grow", {"name": "two"})
            released.set()
            for _ in range(3):  # the first list, and these two
                await registry.changes.get()
        assert [tool.name for tool in registry] == ["grow", "one", "two"]


async def test_in_a_task_progress_is_told_and_questions_are_put() -> None:
    async with mcp_tools(command("kit"), cwd=ROOT, sandbox="off") as tools:

        @agent(tools=list(tools))
        async def work(name: str, task: Task) -> str:
            """Use a tool."""
            arguments = {"to": 2} if name == "count" else {"what": 7}
            return str(await task.tool(name, **arguments))

        async with served(work) as url, codin.connect(url) as peer:
            assert "two" in (await peer.send("count")).text
            asked = await peer.send("measure")
            assert asked.text == "How big is 7?"
            assert (await peer.send("70", task_id=asked.task_id)).text == "{'result': '7 is 70'}"


async def test_scopes_and_names() -> None:
    async with mcp_tools(command("kit"), cwd=ROOT, sandbox="off", only=["add"], scopes=["sums"]) as tools:
        assert [tool.name for tool in tools] == ["add"]
        executor = ToolExecutor(tools)
        with pytest.raises(UnknownTool):
            await executor.call("add", {"a": 1, "b": 2})
        ada = Caller("ada", scopes=frozenset({"sums"}))
        assert await executor.call("add", {"a": 1, "b": 2}, caller=ada) == {"result": 3}


async def test_a_server_leads_into_no_inner_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "_met", _guard._Met())  # pyright: ignore[reportPrivateUsage]
    server = unlogged("mover")
    server.add_tool(lambda: "here", name="where", description="Say where you are.")
    here_it_is, inside = "127.0.0.1", "169.254.169.254"
    leads = [here_it_is]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [leads.pop(0) if len(leads) > 1 else leads[0]]

    async with listening(server.streamable_http_app()) as here:
        url = f"http://localhost:{here.url.rpartition(':')[2]}/mcp"
        with pytest.raises(ConfigError, match="may be called"):
            await asyncio.to_thread(lambda: mcp_tools(url=url, guard=AddressGuard()))
        # The name leads to the server when it is asked for its tools, and to the metadata of a cloud in the call.
        guard = AddressGuard(named_by=url, resolve=resolve)
        async with await asyncio.to_thread(lambda: mcp_tools(url=url, guard=guard)) as tools:
            executor = ToolExecutor(tools)
            leads = [inside]
            with pytest.raises(ToolFailed, match=f"now leads to {inside}"):
                await executor.call("where")
            leads = [here_it_is, inside]  # for the look at it, and for the connection
            with pytest.raises(ToolFailed, match="cannot be reached"):
                await executor.call("where")
            leads = [here_it_is]
            assert await executor.call("where") == "here"


async def test_a_server_that_sends_on_to_another_sends_nobody_there() -> None:
    called: list[str] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        called.append(scope["path"])
        await PlainTextResponse("thanks for the secret")(scope, receive, send)

    async with listening(elsewhere) as other, listening(RedirectResponse(f"{other.url}/mcp", 307)) as here:
        with pytest.raises(ConfigError, match="cannot be asked"):
            await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp", headers={"x-secret": "s3cret"}))
    assert called == []


async def entered(tools: McpTools) -> None:
    async with tools:
        assert len(tools)


async def looked_at(tools: McpTools) -> None:
    assert await asyncio.to_thread(list, tools)


@pytest.mark.parametrize("ask", [entered, looked_at])
async def test_a_server_that_says_nothing_is_told_of(
    ask: Callable[[McpTools], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codin.agent.adapters.mcp._session._START", 0.5)
    silent = [sys.executable, "-c", "input(); import time; time.sleep(100)"]
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        for tools in (
            mcp_tools(silent),
            mcp_tools(silent, sandbox="off"),
            mcp_tools(url=f"http://127.0.0.1:{nobody.getsockname()[1]}/mcp"),
        ):
            with pytest.raises(ConfigError, match=r"cannot be asked for its tools: it has not answered within 0\.5 s"):
                await ask(tools)


@pytest.mark.parametrize("ask", [entered, looked_at])
async def test_what_is_no_server_says_so(ask: Callable[[McpTools], Awaitable[None]]) -> None:
    with pytest.raises(ConfigError, match="a command or a url="):
        mcp_tools()
    with pytest.raises(ConfigError, match="cannot be asked"):
        await ask(mcp_tools([sys.executable, "-c", "print('hello')"]))
    with pytest.raises(ConfigError, match="ended before it answered") as ended:
        await ask(mcp_tools(["false"], sandbox="off"))
    assert ended.value.hint is not None
    with pytest.raises(ConfigError, match="cannot be asked"):
        await ask(mcp_tools(url="http://127.0.0.1:1/mcp"))
    with pytest.raises(ConfigError, match="sandbox"):
        mcp_tools(["true"], sandbox="maybe")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"only= names 'ad', 'sub', which .* there are .*add"):
        await ask(mcp_tools(command("kit"), cwd=ROOT, sandbox="off", only=["ad", "add", "sub"]))


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
async def test_what_ends_in_its_sandbox_is_told_with_its_last_words() -> None:
    program = "import sys; print('long ago\\n' * 999 + 'no secret\\nis here', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ConfigError) as told:
        await entered(mcp_tools([sys.executable, "-c", program]))
    assert "no secret | is here" in told.value.message
    assert told.value.message.count("long ago") == 3
    assert told.value.hint is not None
    assert 'sandbox="off"' in told.value.hint
    assert "policy=" in told.value.hint


async def test_a_url_that_is_no_endpoint_is_told_in_a_sentence() -> None:
    async with listening(unlogged("kit").streamable_http_app()) as here:
        with pytest.raises(ConfigError, match=r"nothing at this path speaks MCP.*/mcp"):
            await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/elsewhere"))


async def test_what_fails_at_a_server_of_codin_is_told_once() -> None:
    @tool
    def boom() -> str:
        """Fail."""
        raise ValueError("it is broken")

    async with (
        listening(ToolServer(ToolExecutor([boom])).app()) as here,
        await asyncio.to_thread(lambda: mcp_tools(url=f"{here.url}/mcp")) as tools,
    ):
        with pytest.raises(ToolFailed, match=r"^'boom' failed: ValueError: it is broken$"):
            await ToolExecutor(tools).call("boom")

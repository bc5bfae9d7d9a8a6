"""Agents and peers as the tools of an MCP server, seen by MCP's own client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.server.fastmcp import FastMCP
from mcp.shared.memory import create_connected_server_and_client_session

from codin.agent.adapters import Question, answers, ask
from codin.agent.adapters.mcp import expose
from codin.client import Peer
from codin.errors import ConfigError
from codin.task import AgentResponse, Answer, Task
from tests.agent.adapters.mcp.offered import Waiter, brew
from tests.agent.adapters.mcp.programs import ROOT, command, free_port, serving
from tests.agent.adapters.outward import made_of
from tests.agent.adapters.translator import Translator

pytestmark = pytest.mark.anyio

Answering = Callable[[types.ElicitRequestFormParams], types.ElicitResult]


@dataclass
class Client:
    """MCP's client, and what it is told."""

    answer: Answering | None = None
    asked: list[Any] = field(default_factory=list[Any])
    logged: list[Any] = field(default_factory=list[Any])
    progress: list[tuple[float, str | None]] = field(default_factory=list[tuple[float, str | None]])
    session: Any = None

    @property
    def callbacks(self) -> dict[str, Any]:
        return {"logging_callback": self._log, **({"elicitation_callback": self._elicit} if self.answer else {})}

    async def _elicit(self, context: Any, params: types.ElicitRequestFormParams) -> types.ElicitResult:
        assert self.answer is not None
        self.asked.append(params)
        return self.answer(params)

    async def _log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logged.append(params.data)

    async def _progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, message))

    async def call(self, tool: str, **arguments: Any) -> types.CallToolResult:
        async with asyncio.timeout(30):
            return await self.session.call_tool(tool, arguments, progress_callback=self._progress)


@asynccontextmanager
async def talking(server: FastMCP, answer: Answering | None = None) -> AsyncGenerator[Client]:
    client = Client(answer)
    async with create_connected_server_and_client_session(server, **client.callbacks) as client.session:
        yield client


def text(result: types.CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


def saying(**content: Any) -> Answering:
    return lambda params: types.ElicitResult(action="accept", content=content)


# -- tools -------------------------------------------------------------------------------------------------------------


async def test_agents_are_tools_with_name_description_and_schema(peer: Peer) -> None:
    async with talking(expose(brew, Waiter(), peer)) as client:
        tools = {tool.name: tool for tool in (await client.session.list_tools()).tools}
        assert set(tools) == {"brew", "tea_waiter", "translator"}
        assert tools["brew"].description == "Brew tea."
        assert set(tools["brew"].inputSchema["properties"]) == {"tea", "cups"}
        assert set(tools["tea_waiter"].inputSchema["properties"]) == {"request"}
        assert "Says it in French." in tools["translator"].description


async def test_data_goes_in_and_comes_out(peer: Peer) -> None:
    async with talking(expose(brew)) as client:
        result = await client.call("brew", tea="green", cups=2)
        assert result.structuredContent == {"tea": "green", "cups": 2}
        assert text(result) == '{"tea":"green","cups":2}'
        wrong = await client.call("brew", cups=2)
        assert (wrong.isError, "tea: is missing" in text(wrong)) == (True, True)


async def test_text_is_progress_and_news_is_logged() -> None:
    async with talking(expose(Waiter())) as client:
        result = await client.call("tea_waiter", request="hello")
        assert text(result) == "one moment"
        assert client.progress == [(1, "one "), (2, "moment")]
        assert client.logged == ["walking"]


async def test_files_are_pictures_and_resources() -> None:
    async with talking(expose(Waiter())) as client:
        said, picture, bill = (await client.call("tea_waiter", request="file")).content
        assert isinstance(said, types.TextContent)
        assert isinstance(picture, types.ImageContent)
        assert (picture.mimeType, picture.data) == ("image/png", "iVBORw==")
        assert isinstance(bill, types.EmbeddedResource)
        assert (str(bill.resource.uri), bill.resource.mimeType) == ("file:///bill.csv", "text/csv")


@pytest.mark.parametrize(("request_", "words"), [("refuse", "We are closed."), ("break", "RuntimeError")])
async def test_what_does_not_complete_is_an_error_without_secrets(request_: str, words: str) -> None:
    async with talking(expose(Waiter())) as client:
        result = await client.call("tea_waiter", request=request_)
        assert result.isError
        assert words in text(result)
        assert "hunter2" not in text(result)


async def test_a_session_is_a_context_and_another_is_another() -> None:
    waiter = Waiter()
    server = expose(waiter)
    for _ in range(2):
        async with talking(server) as client:
            await client.call("tea_waiter", request="hello")
            await client.call("tea_waiter", request="hello")
    first, second, third, fourth = waiter.contexts
    assert (first == second, third == fourth, first == third) == (True, True, False)


def test_two_of_one_name_and_none_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="different names"):
        expose(brew, brew)
    with pytest.raises(ConfigError, match="none"):
        expose()


def test_the_root_logger_stays_as_it_was() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    root.handlers[:] = []
    try:
        expose(brew)
        assert root.handlers == []
    finally:
        root.handlers[:], level = before
        root.setLevel(level)


# -- questions ---------------------------------------------------------------------------------------------------------


async def test_a_question_is_asked_by_elicitation() -> None:
    async with talking(expose(Waiter()), saying(answer="green")) as client:
        assert text(await client.call("tea_waiter", request="tea")) == "One green tea."
        (asked,) = client.asked
        assert asked.message == "Green or black?"
        assert asked.requestedSchema["properties"] == {"answer": {"type": "string"}}


async def test_the_schema_of_a_question_is_the_form() -> None:
    async with talking(expose(Waiter()), saying(answer=3)) as client:
        assert text(await client.call("tea_waiter", request="size")) == "3 cups"
        assert client.asked[0].requestedSchema["properties"] == {"answer": {"type": "integer"}}


async def test_a_question_of_a_peer_is_asked_too(peer: Peer, target: Peer | str, translator: Translator) -> None:
    async with talking(await made_of(target, expose), saying(answer="formal")) as client:
        assert text(await client.call("translator", request="which")) == "formal: bonjour"
        assert translator.heard == ["which"]


async def test_several_questions_are_one_form() -> None:
    class Clerk:
        id = name = "clerk"
        description = "Asks a lot."
        tools = ()
        questions = (
            Question("ok", "Approve it?", schema={"anyOf": [{"type": "boolean"}, {"type": "object"}]}),
            Question("who", "Who are you?"),
        )

        async def handle(self, task: Task) -> AgentResponse:
            if task.resume is None:
                return ask(self.questions, "token")
            return AgentResponse.completed(data=answers(self.questions, Answer(task.message)))

    async with talking(expose(Clerk()), saying(ok=True, who="ann")) as client:
        assert (await client.call("clerk", request="go")).structuredContent == {"ok": True, "who": "ann"}
        fields = client.asked[0].requestedSchema["properties"]
        assert fields["ok"] == {"type": "boolean", "description": "Approve it?"}
        assert fields["who"] == {"type": "string", "description": "Who are you?"}


async def test_one_question_with_a_form_of_its_own_is_that_form() -> None:
    schema = {"type": "object", "properties": {"cups": {"type": "integer"}}, "required": ["cups"]}

    class Clerk:
        id = name = "clerk"
        description = "Asks."
        tools = ()
        questions = (Question("q", "How many?", schema=schema),)

        async def handle(self, task: Task) -> AgentResponse:
            if task.resume is None:
                return ask(self.questions, "token")
            return AgentResponse.completed(data=answers(self.questions, Answer(task.message)))

    async with talking(expose(Clerk()), saying(cups=2)) as client:
        assert (await client.call("clerk", request="go")).structuredContent == {"q": {"cups": 2}}
        assert client.asked[0].requestedSchema == schema


def _declining(params: types.ElicitRequestFormParams) -> types.ElicitResult:
    return types.ElicitResult(action="decline")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("tea", None),
        ("tea", _declining),
        ("key", saying(answer="secret")),
    ],
    ids=["the client cannot ask", "the user will not say", "a credential is never asked for"],
)
async def test_what_nobody_answers_ends_the_call(request_: str, answer: Answering | None) -> None:
    async with talking(expose(Waiter()), answer) as client:
        result = await client.call("tea_waiter", request=request_)
        assert result.isError
        assert "The agent asks" in text(result)
        assert (len(client.asked) == 1) == (request_ == "tea" and answer is not None)


async def test_a_peer_s_task_whose_question_nobody_answers_is_canceled(peer: Peer, target: Peer | str) -> None:
    async with talking(await made_of(target, expose)) as client:
        assert (await client.call("translator", request="which")).isError
    assert [task.status.state.name async for task in peer.list()] == ["CANCELED"]


@pytest.mark.parametrize("near", [True, False])
async def test_a_call_that_is_given_up_is_canceled_where_it_runs(
    target: Peer | str, translator: Translator, near: bool
) -> None:
    server = expose(translator) if near else await made_of(target, expose)
    async with talking(server) as client, asyncio.timeout(30):
        waiting = asyncio.create_task(client.call("translator", request="hang"))
        await translator.stuck.wait()
        given_up = types.CancelledNotification(params=types.CancelledNotificationParams(requestId=1))
        await client.session.send_notification(types.ClientNotification(given_up))
        await translator.stopped.wait()
        waiting.cancel()


# -- programs ----------------------------------------------------------------------------------------------------------


async def _check(run: Callable[[Client], Awaitable[None]], streams: Any, answer: Answering) -> None:
    client = Client(answer)
    async with ClientSession(*streams, **client.callbacks) as client.session:
        await client.session.initialize()
        await run(client)


async def _everything(client: Client) -> None:
    assert (await client.call("brew", tea="green")).structuredContent == {"tea": "green", "cups": 1}
    assert text(await client.call("tea_waiter", request="hello")) == "one moment"
    assert client.progress == [(1, "one "), (2, "moment")]
    assert text(await client.call("tea_waiter", request="tea")) == "One black tea."


async def test_over_stdio() -> None:
    program, *arguments = command("offered")
    async with stdio_client(StdioServerParameters(command=program, args=arguments, cwd=ROOT)) as streams:
        await _check(_everything, streams, saying(answer="black"))


async def test_over_http() -> None:
    port = free_port()
    with serving("offered", port):
        async with streamable_http_client(f"http://127.0.0.1:{port}/mcp") as (read, write, _):
            await _check(_everything, (read, write), saying(answer="black"))

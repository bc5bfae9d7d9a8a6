"""An MCP server of this process as an agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import types
from mcp.server.lowlevel import Server

from codin import a2a
from codin.agent import as_agent
from codin.agent.adapters import ACTIVITY_KEY
from codin.agent.adapters.mcp import McpAgent, adapt
from codin.errors import ConfigError
from codin.task import Limits, MemoryStore
from codin.tool import Tool
from tests.agent.adapters.desk import Desk, Turn
from tests.agent.adapters.mcp.kit import PNG, Kit, kit, shady

pytestmark = pytest.mark.anyio


@pytest.fixture
def state() -> Kit:
    return Kit()


@pytest.fixture
async def agent(anyio_backend: str, state: Kit) -> AsyncIterator[McpAgent]:
    agent = adapt(kit(state))
    yield agent
    state.released.set()
    await agent.close()


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments}


async def sent(agent: McpAgent, content: Any) -> Turn:
    return await Desk(agent).send(content)


# -- the card ----------------------------------------------------------------------------------------------------------


def test_a_server_is_found_by_its_type() -> None:
    agent = as_agent(kit())
    assert isinstance(agent, McpAgent)
    assert (agent.name, agent.id, agent.description) == ("kit", "kit", "A bit of everything.")


def test_its_tools_are_the_skills_and_each_is_there_once() -> None:
    agent = adapt(kit(), expose_tools=True, tags=["t"], name="Tools")
    skills = {skill.id: skill for skill in agent.skills}
    assert len(skills) == len(agent.skills) == 14
    assert (skills["add"].name, skills["add"].description) == ("add", "Add two numbers.")
    assert (skills["shout"].name, skills["shout"].tags) == ("Shout it", ["t"])
    assert agent.name == "Tools"


def test_the_schema_of_a_call_is_on_the_card() -> None:
    from jsonschema import validators

    schema = adapt(kit()).input_schema
    assert schema is not None
    assert schema["required"] == ["tool", "arguments"]
    known: Any = validators.validator_for(schema)(schema)
    assert known.is_valid(call("add", a=1, b=2))
    assert not known.is_valid(call("add", a=1))
    assert not known.is_valid(call("sub", a=1, b=2))


def test_what_is_no_server_or_has_no_tools_is_refused() -> None:
    with pytest.raises(ConfigError, match="no MCP server"):
        adapt(types.Tool(name="x", inputSchema={}))
    with pytest.raises(ConfigError, match="no tools"):
        adapt(Server("empty"))
    with pytest.raises(ConfigError, match="'add'"):
        adapt(kit(), text_tool="add")


async def test_a_low_level_server_will_do() -> None:
    server: Any = Server("low", instructions="Echoes.")
    schema = {"$defs": {"Word": {"type": "string"}}, "type": "object", "properties": {"word": {"$ref": "#/$defs/Word"}}}

    async def tools() -> list[types.Tool]:
        return [types.Tool(name="echo", description="Echo.", inputSchema=schema)]

    async def called(name: str, arguments: dict[str, Any]) -> list[types.TextContent]:
        return [types.TextContent(type="text", text=f"{name} {arguments['word']}")]

    server.list_tools()(tools)
    server.call_tool()(called)
    agent = adapt(server)
    assert (agent.name, agent.description, agent.input_schema) == ("low", "Echoes.", schema)
    assert (await sent(agent, {"word": "hi"})).text == "echo hi"
    assert (await sent(agent, call("echo", word="hi"))).text == "echo hi"
    assert (await sent(agent, {"word": 1})).state == "REJECTED"
    await agent.close()


async def test_the_tools_are_tools_of_codin_too(agent: McpAgent) -> None:
    tools = {tool.name: tool for tool in agent.tools}
    assert isinstance(tools["add"], Tool)
    assert set(tools["add"].spec.input_schema["properties"]) == {"a", "b"}
    assert await tools["add"].invoke(a=1, b=2) == {"result": 3}
    assert await tools["measure"].invoke({"what": 1}) == {"result": "decline"}
    with pytest.raises(RuntimeError, match="no such town"):
        await tools["fail"].invoke(why=1)


# -- calls -------------------------------------------------------------------------------------------------------------


async def test_a_data_part_calls_a_tool_and_its_result_is_text_and_data(agent: McpAgent) -> None:
    turn = await sent(agent, call("add", a=1, b=2))
    assert (turn.state, turn.text, turn.data) == ("COMPLETED", "3", {"result": 3})
    assert (await sent(agent, '{"tool": "add", "arguments": {"a": 2, "b": 2}}')).text == "4"


async def test_a_result_that_does_not_fit_the_tools_schema_fails_the_task() -> None:
    agent = adapt(shady())
    assert (await sent(agent, call("letters", word="é"))).data == {"word": "é"}
    for name, word in (("letters", "5"), ("endless", "a" * 40 + "!")):
        turn = await sent(agent, call(name, word=word))
        assert (turn.state, turn.data) == ("FAILED", None)
        assert "word: should fit pattern" in turn.said
    await agent.close()


async def test_text_goes_to_the_only_tool_that_takes_one_text(agent: McpAgent) -> None:
    assert (await sent(agent, "hello there")).text == "HELLO THERE"
    assert (await sent(agent, '{"not": "a call"}')).text == '{"NOT": "A CALL"}'


async def test_several_texts_are_set_apart(agent: McpAgent) -> None:
    turn = await sent(agent, call("count", to=1))
    assert turn.text == "".join(turn.chunks) == "one\n\ntwo"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (call("sub", a=1), "There is no tool 'sub'."),
        (call("add", a=1), "b: is missing."),
        (call("add", a="x", b=1), 'a: should be of type "integer".'),
        ({"a": 1, "b": 2}, "It is not clear which tool to call."),
        ([a2a.Part(data=call("add", a=1, b=2)), a2a.Part(data={})], "One call at a time"),
        (a2a.Part(raw=PNG, media_type="image/png"), "no files"),
    ],
)
async def test_what_calls_nothing_is_rejected_with_the_list_of_tools(agent: McpAgent, content: Any, words: str) -> None:
    turn = await sent(agent, content)
    assert turn.state == "REJECTED"
    assert words in turn.said
    assert "add(a: integer, b: integer); shout(text: string, times?: integer)" in turn.said


async def test_progress_is_told_as_status(agent: McpAgent) -> None:
    turn = await sent(agent, call("count", to=2))
    assert [text for text, _ in turn.news] == ["1 of 2", "at 2"]
    assert turn.news[1][1][ACTIVITY_KEY] == {"event": {"progress": 2.0, "total": 2.0, "message": "at 2"}}


async def test_pictures_and_resources_are_files(agent: McpAgent) -> None:
    turn = await sent(agent, call("picture", kind=1))
    parts = [part for artifact in turn.task.artifacts for part in artifact.parts if part.kind in {"raw", "url"}]
    assert [(part.raw or part.url, part.media_type, part.filename) for part in parts] == [
        (PNG, "image/png", None),
        (b"tide", "text/plain", "note.txt"),
        (b"a memo", "text/markdown", None),
        ("https://example.com/map", None, "map"),
    ]


async def test_an_error_of_a_tool_fails_the_task_with_its_words(agent: McpAgent) -> None:
    turn = await sent(agent, call("fail", why=7))
    assert (turn.state, turn.said) == ("FAILED", "Error executing tool fail: no such town: 7")


async def test_a_server_that_cannot_start_fails_the_task_and_is_started_again() -> None:
    starts: list[int] = []

    @asynccontextmanager
    async def lifespan(server: Any) -> AsyncGenerator[None]:
        starts.append(1)
        if len(starts) == 1:
            raise RuntimeError("no database: hunter2")
        yield

    agent = adapt(kit(lifespan=lifespan))
    assert starts == []  # to ask for its tools does not run it
    turn = await sent(agent, call("add", a=1, b=2))
    assert (turn.state, turn.said) == ("FAILED", "The MCP server cannot be reached.")
    assert (await sent(agent, call("add", a=1, b=2))).text == "3"
    await agent.close()


async def test_tool_activity_is_told_when_asked_for(state: Kit) -> None:
    agent = adapt(kit(state), tool_activity=True)
    assert [text for text, _ in (await sent(agent, call("add", a=1, b=2))).news] == ["add: started", "add: finished"]
    await agent.close()


async def test_a_tool_that_blocks_holds_up_nobody_else(agent: McpAgent, state: Kit) -> None:
    desk = Desk(agent)
    async with asyncio.timeout(30):
        waiting = asyncio.create_task(desk.send(call("block", seconds=20)))
        await asyncio.to_thread(state.waits.wait, 20)
        assert not waiting.done()  # and this line runs: the event loop is free
        state.released.set()
        assert (await waiting).text == "released"
    assert (await desk.send(call("add", a=1, b=2))).text == "3"
    assert state.threads == {"codin-mcp"}


async def test_many_calls_at_once_do_not_mix(agent: McpAgent) -> None:
    desk = Desk(agent)
    turns = await asyncio.gather(*(desk.send(call("add", a=number, b=1)) for number in range(100)))
    assert [turn.data["result"] for turn in turns] == [number + 1 for number in range(100)]


async def test_cancel_stops_the_tool(agent: McpAgent, state: Kit) -> None:
    desk = Desk(agent)
    async with asyncio.timeout(30):
        task = await desk.begin(call("hang", seconds=1000))
        await asyncio.to_thread(state.stuck.wait, 20)
        assert (await desk.cancel(task)).status.state.name == "CANCELED"
        await asyncio.to_thread(state.stopped.wait, 20)
    assert state.stopped.is_set()
    assert (await desk.send(call("add", a=1, b=2))).text == "3"


# -- questions ---------------------------------------------------------------------------------------------------------


async def test_an_elicitation_is_a_question_with_its_schema(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("measure", what=7))
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "How big is 7?")
    (question,) = asked.questions
    assert question["schema"]["properties"]["size"]["type"] == "integer"
    assert 'size: should be of type "integer"' in (await desk.send("huge", task=asked.task)).said
    done = await desk.send("12", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "7 is 12")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"tea": "green", "cups": 2}, "2 green"),
        ({"answer": {"tea": "green", "cups": 2}}, "2 green"),
        ('{"tea": "green", "cups": 2}', "2 green"),
        ("decline", "decline"),
        ({"action": "cancel"}, "cancel"),
    ],
)
async def test_a_form_is_filled_in_or_refused(agent: McpAgent, answer: Any, text: str) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("order", table=1))
    assert "Send a data part with tea, cups" in (await desk.send("green tea", task=asked.task)).said
    assert (await desk.send(answer, task=asked.task)).text == text


async def test_calls_that_ask_at_the_same_time_get_their_own_answers(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await asyncio.gather(*(desk.send(call("measure", what=number)) for number in range(5)))
    assert [turn.said for turn in asked] == [f"How big is {number}?" for number in range(5)]
    assert (await desk.send(call("add", a=1, b=2))).text == "3"  # an open question holds up nobody
    done = await asyncio.gather(*(desk.send(str(10 + number), task=turn.task) for number, turn in enumerate(asked)))
    assert [turn.text for turn in done] == [f"{number} is {10 + number}" for number in range(5)]


async def test_a_task_that_asks_can_be_canceled(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("measure", what=1))
    assert (await desk.cancel(asked.task)).status.state.name == "CANCELED"
    assert (await desk.send(call("add", a=1, b=2))).text == "3"


async def test_a_question_is_answered_after_a_restart(state: Kit) -> None:
    store = MemoryStore()
    first = adapt(kit(state))
    before = Desk(first, store)
    asked = await before.send(call("measure", what=7))
    await before.close()
    await first.close()
    second = adapt(kit(state))
    done = await Desk(second, store).send("12", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "7 is 12")
    await second.close()


async def test_two_questions_of_one_call_are_asked_one_after_the_other(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("twice", what=1))
    then = await desk.send("3" if "wide" in asked.said else "4", task=asked.task)
    assert {asked.said, then.said} == {"How wide?", "How high?"}
    done = await desk.send("3" if "wide" in then.said else "4", task=asked.task)
    assert (done.state, done.text) == ("COMPLETED", "3 by 4")


async def test_a_tool_that_asks_something_else_after_a_restart_fails_the_task(state: Kit) -> None:
    store = MemoryStore()
    first, second = adapt(kit(state)), adapt(kit(state))
    before = Desk(first, store)
    asked = await before.send(call("fickle", what=1))
    await before.close()
    await first.close()
    done = await Desk(second, store).send("1", task=asked.task)
    assert (done.state, "RESUME_MISMATCH" in done.said) == ("FAILED", True)
    await second.close()


async def test_a_question_outlives_the_call_that_asked(agent: McpAgent, state: Kit) -> None:
    desk = Desk(agent, limits=Limits(park_timeout=0.05))
    asked = await desk.send(call("measure", what=7))
    assert await asyncio.to_thread(state.stopped.wait, 20)  # the call has been let go
    done = await desk.send("12", task=asked.task)  # and is made again
    assert (done.state, done.text) == ("COMPLETED", "7 is 12")


@pytest.mark.parametrize(
    ("answer", "action"), [("done", "accept"), ("no", "decline"), ({"action": "cancel"}, "cancel")]
)
async def test_a_visit_somewhere_else_is_a_credential(agent: McpAgent, answer: Any, action: str) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("sign", paper=1))
    assert asked.state == "AUTH_REQUIRED"
    assert "https://example.com/sign" in asked.said
    assert asked.questions[0]["value"] == {"url": "https://example.com/sign"}
    assert (await desk.send(answer, task=asked.task)).text == action


async def test_a_tool_that_wants_a_visit_first_is_called_again(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("locked", door=1))
    assert asked.state == "AUTH_REQUIRED"
    assert "https://example.com/log-in" in asked.said
    assert (await desk.send("done", task=asked.task)).text == "open"


async def test_progress_while_a_question_is_open_harms_nobody(agent: McpAgent) -> None:
    desk = Desk(agent)
    asked = await desk.send(call("measure", what=7))
    done = await desk.send({"size": 1}, task=asked.task)
    assert [text for text, _ in done.news] == ["1"]

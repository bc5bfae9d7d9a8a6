"""Tools of codin in every framework, and tools of every framework in codin. CrewAI's are in a folder of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any, cast

import pytest
from pydantic_core import to_json

import codin
from codin.agent import Task, agent
from codin.agent.adapters import tool_of
from codin.errors import ConfigError, InvalidArguments, ToolRefused
from codin.testing import ModelServer, serving
from codin.tool import ToolExecutor
from tests.agent.adapters.natives import Native, Scenario, scenarios, steep

pytestmark = pytest.mark.anyio


def _text(result: Any) -> str:
    return result if isinstance(result, str) else to_json(result).decode()


@asynccontextmanager
async def langgraph(model: ModelServer) -> AsyncGenerator[Native]:
    import httpx
    from langchain_core.messages import ToolCall
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import InjectedState, ToolNode, tools_condition
    from pydantic import SecretStr
    from typing_extensions import Annotated  # noqa: UP035 - LangChain reads it where the tool is made

    async with httpx.AsyncClient(trust_env=False) as http:
        chat: Any = ChatOpenAI(model="local", base_url=model.url, api_key=SecretStr("x"), http_async_client=http)

        def agent(tools: Sequence[Any]) -> Any:
            bound = chat.bind_tools(list(tools)) if tools else chat

            async def speak(state: Any) -> dict[str, Any]:
                return {"messages": [await bound.ainvoke(state["messages"])]}

            builder: Any = StateGraph(MessagesState)
            builder.add_node("agent", speak).add_edge(START, "agent").add_node("tools", ToolNode(list(tools)))
            return builder.add_conditional_edges("agent", tools_condition).add_edge("tools", "agent").compile()

        def bound() -> Any:
            def look(words: str, state: Any) -> str:
                """Look around."""
                return words

            look.__annotations__ = {"words": str, "state": Annotated[dict[str, Any], InjectedState], "return": str}
            return tool(look)

        async def told(native: Any, arguments: Mapping[str, Any]) -> str:
            call = ToolCall(name=native.name, args=dict(arguments), id="1", type="tool_call")
            return (await native.ainvoke(call)).content

        yield Native(
            import_module("codin.agent.adapters.langgraph"),
            model,
            agent,
            cast("Any", tool),
            lambda native: native.tool_call_schema,
            told,
            bound,
        )


@asynccontextmanager
async def adk(model: ModelServer) -> AsyncGenerator[Native]:
    from google.adk.agents import BaseAgent, LlmAgent
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.integrations.openai import OpenAILlm
    from google.adk.sessions import InMemorySessionService
    from google.adk.tools import FunctionTool, ToolContext
    from openai import AsyncOpenAI

    async def told(native: Any, arguments: Mapping[str, Any]) -> str:
        service = InMemorySessionService()
        session = await service.create_session(app_name="a", user_id="u")
        around = InvocationContext(
            session_service=service, session=session, agent=BaseAgent(name="a"), invocation_id="1"
        )
        return _text(await native.run_async(args=dict(arguments), tool_context=ToolContext(around)))

    def bound() -> Any:
        def look(words: str, tool_context: ToolContext) -> str:
            """Look around."""
            return words

        return FunctionTool(look)

    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        yield Native(
            import_module("codin.agent.adapters.adk"),
            model,
            lambda tools: LlmAgent(name="a", model=OpenAILlm(model="local", client=client), tools=list(tools)),
            FunctionTool,
            lambda native: native._get_declaration().parameters_json_schema,
            told,
            bound,
        )


@asynccontextmanager
async def pydantic_ai(model: ModelServer) -> AsyncGenerator[Native]:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, ModelRetry, RunContext, Tool
    from pydantic_ai.exceptions import ToolFailed
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def told(native: Any, arguments: Mapping[str, Any]) -> str:
        try:
            return _text(await native.function_schema.call(dict(arguments), None))
        except (ModelRetry, ToolFailed) as error:
            return error.message

    def bound() -> Any:
        def look(ctx: RunContext[None], words: str) -> str:
            """Look around."""
            return words

        look.__annotations__["ctx"] = RunContext[None]
        return Tool(look)

    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        chat = OpenAIChatModel("local", provider=OpenAIProvider(openai_client=client))
        yield Native(
            import_module("codin.agent.adapters.pydantic_ai"),
            model,
            lambda tools: Agent(chat, tools=list(tools)),
            Tool,
            lambda native: native.tool_def.parameters_json_schema,
            told,
            bound,
        )


@asynccontextmanager
async def openai_agents(model: ModelServer) -> AsyncGenerator[Native]:
    from agents.tool_context import ToolContext
    from openai import AsyncOpenAI

    from agents import Agent, OpenAIChatCompletionsModel, RunContextWrapper, function_tool

    async def told(native: Any, arguments: Mapping[str, Any]) -> str:
        text = to_json(arguments).decode()
        context = ToolContext[Any](None, tool_name=native.name, tool_call_id="1", tool_arguments=text)
        return await native.on_invoke_tool(context, text)

    def bound() -> Any:
        def look(context: RunContextWrapper[Any], words: str) -> str:
            """Look around."""
            return words

        look.__annotations__["context"] = RunContextWrapper[Any]
        return function_tool(look)

    async with AsyncOpenAI(base_url=model.url, api_key="x", max_retries=0) as client:
        yield Native(
            import_module("codin.agent.adapters.openai_agents"),
            model,
            lambda tools: Agent("a", model=OpenAIChatCompletionsModel("local", client), tools=list(tools)),
            function_tool,
            lambda native: native.params_json_schema,
            told,
            bound,
        )


@asynccontextmanager
async def agno(model: ModelServer) -> AsyncGenerator[Native]:
    import agno.tools
    import httpx
    from agno.agent import Agent
    from agno.models.openai.like import OpenAILike
    from agno.run import RunContext
    from agno.tools.function import FunctionCall

    tool: Any = cast("Any", agno.tools).tool

    async def told(native: Any, arguments: Mapping[str, Any]) -> str:
        done = await FunctionCall(function=native, arguments=dict(arguments)).aexecute()
        return str(done.result)

    def bound() -> Any:
        def look(words: str, run_context: RunContext) -> str:
            """Look around."""
            return words

        look.__annotations__["run_context"] = RunContext
        return tool(look)

    async with httpx.AsyncClient(trust_env=False) as http:
        chat = OpenAILike(id="local", base_url=model.url, api_key="x", http_client=http, max_retries=0)
        yield Native(
            import_module("codin.agent.adapters.agno"),
            model,
            lambda tools: Agent(model=chat, tools=list(tools)),
            tool,
            lambda native: native.parameters,
            told,
            bound,
        )


_FRAMEWORKS: Mapping[str, Callable[[ModelServer], AbstractAsyncContextManager[Native]]] = {
    "langgraph": langgraph,
    "google.adk": adk,
    "pydantic_ai": pydantic_ai,
    "agents": openai_agents,
    "agno": agno,
}


@pytest.fixture(params=list(_FRAMEWORKS))
async def native(request: pytest.FixtureRequest, model: ModelServer) -> AsyncIterator[Native]:
    pytest.importorskip(request.param)
    async with _FRAMEWORKS[request.param](model) as opened:
        yield opened


@scenarios()
async def test_tools(scenario: Scenario, native: Native) -> None:
    await scenario(native)


def _confirmed(function: Callable[..., Any]) -> Any:
    from google.adk.tools import FunctionTool

    return FunctionTool(function, require_confirmation=True)


def _approved(function: Callable[..., Any]) -> Any:
    from pydantic_ai import Tool

    return Tool(function, requires_approval=True)


def _asked(function: Callable[..., Any]) -> Any:
    from agents import function_tool

    return function_tool(needs_approval=True)(function)


def _paused(function: Callable[..., Any]) -> Any:
    import agno.tools

    return cast("Any", agno.tools).tool(requires_confirmation=True)(function)


_ASKING = {"google.adk": _confirmed, "pydantic_ai": _approved, "agents": _asked, "agno": _paused}


@pytest.mark.parametrize("framework", list(_ASKING))
async def test_what_has_to_be_approved_there_has_to_be_here(framework: str) -> None:
    pytest.importorskip(framework)
    made = tool_of(_ASKING[framework](steep))
    with pytest.raises(ToolRefused, match="no task to ask in"):
        await ToolExecutor([made]).call("steep", {"leaves": 1, "kind": "green"})

    @agent(tools=[made])
    async def pot(leaves: int, task: Task) -> str:
        """Makes tea."""
        return await task.tool("steep", leaves=leaves, kind="green")

    async with serving(pot) as url, codin.connect(url) as peer:
        asked = await peer.send({"leaves": 4})
        assert (await peer.send("yes", task_id=asked.task_id)).text == "4 leaves of green"


async def test_what_a_run_of_its_framework_decides_is_refused() -> None:
    pytest.importorskip("agents")
    from agents import function_tool

    with pytest.raises(ConfigError, match="enables it"):
        tool_of(function_tool(is_enabled=lambda context, agent: False)(steep))
    pytest.importorskip("pydantic_ai")
    from pydantic_ai import Tool

    with pytest.raises(ConfigError, match="context of a run"):
        tool_of(Tool(steep, prepare=lambda ctx, told: None))
    pytest.importorskip("agno")
    import agno.tools

    with pytest.raises(ConfigError, match="its user"):
        tool_of(cast("Any", agno.tools).tool(external_execution=True)(steep))


async def test_one_of_langchain_that_takes_a_text_takes_its_one_argument() -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.tools import Tool

    made = tool_of(Tool(name="louder", func=str.upper, description="Say it louder."))
    assert made.spec.input_schema["properties"] == {"tool_input": {"type": "string"}}
    assert await ToolExecutor([made]).call("louder", {"tool_input": "tea"}) == "TEA"
    with pytest.raises(InvalidArguments, match="tool_input: is missing"):
        await ToolExecutor([made]).call("louder", {})

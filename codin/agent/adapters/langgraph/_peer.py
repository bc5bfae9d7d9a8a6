"""The way out: a remote A2A agent as a node or a tool of a graph.

What the peer asks goes up by `interrupt()`. A node that is resumed runs again from its top, so each call to the peer is
a LangGraph task of its own: its result is in the checkpoint, and the peer is not asked twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.config import get_config
from langgraph.func import task as graph_task
from langgraph.types import interrupt

from codin import a2a
from codin.agent.adapters._questions import object_of
from codin.agent.adapters._remote import Remote, question_data, result_of
from codin.agent.adapters.langgraph._shape import MESSAGES
from codin.client import Content, Event, Peer, Reply

__all__ = ["node", "tool"]

Outcome = dict[str, Any]
"""What a checkpoint keeps of a reply: text, data, whether it asks, and how to go on."""

Call = Callable[[Content, str | None, str | None], Awaitable[Outcome]]
"""A call to the peer with (content, task id, context id)."""


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> StructuredTool:
    """A remote agent as a LangChain tool, for `ToolNode`, `create_agent` and `bind_tools`.

    Args:
        peer: a URL, a name, or a connected peer.
        name: the card's by default; so is `description`. A URL or name with both is not asked for its card.
    """
    remote = Remote(peer, name=name, description=description)

    async def call_peer(**arguments: Any) -> str:
        content = remote.content(arguments)
        if not _in_graph():
            return result_of(await remote.invoke(arguments))

        async def call(content: Content, task_id: str | None, context_id: str | None) -> Outcome:
            return _outcome(await remote.call(content, task_id=task_id, context_id=context_id))

        outcome = await _converse(remote.name, call, content)
        return cast("str", outcome["result"])

    return StructuredTool.from_function(
        coroutine=call_peer, name=remote.name, description=remote.description, args_schema=dict(remote.input_schema)
    )


def node(
    peer: Peer | str,
    *,
    name: str | None = None,
    reads: str | Callable[[Any], Content] = MESSAGES,
    writes: str | Callable[[AIMessage], Any] = MESSAGES,
) -> Callable[[Any], Any]:
    """A remote agent as a node: `graph.add_node("translator", node("http://…"))`. Its text streams like a model's.

    Args:
        peer: a URL, a name, or a connected peer.
        name: of its messages; the card's by default. A URL or name with it is not asked for its card.
        reads: the field of the state that is sent, or a function of the state. Of a list of messages, the last.
        writes: the field that takes the answer, or a function from the answer to the node's update. A list of messages
            gets an AIMessage; another field gets the data when there is some, else the text.
    """
    remote = Remote(peer, name=name, description="")  # no model reads what a node is

    async def call_peer(state: Any) -> Any:
        async def call(content: Content, task_id: str | None, context_id: str | None) -> Outcome:
            model = _PeerModel(remote=remote, content=content, task_id=task_id, context_id=context_id)
            message = await model.ainvoke([])
            return {**message.response_metadata["a2a"], "id": message.id}

        content = reads(state) if callable(reads) else _content(state, reads)
        outcome = await _converse(remote.name, call, content)
        message = AIMessage(outcome["text"], id=outcome["id"], name=remote.name, response_metadata={"a2a": outcome})
        if outcome["state"] != a2a.TaskState.COMPLETED:
            raise PeerFailed(outcome["result"])
        if callable(writes):
            return writes(message)
        if writes == MESSAGES:
            return {MESSAGES: [message]}
        return {writes: outcome["text"] if outcome["data"] is None else outcome["data"]}

    call_peer.__name__ = remote.name
    return call_peer


class PeerFailed(Exception):
    """The agent behind a node did not finish; the text says why."""


async def _converse(name: str, once: Call, content: Content) -> Outcome:
    """Call, and put what the peer asks to whoever runs the graph, until it has ended."""
    call: Any = graph_task(name=name)(once)
    outcome: Outcome = await call(content, None, None)
    while outcome["asks"]:
        answer = interrupt({"question": outcome["text"], "data": outcome["data"], "auth": outcome["auth"]})
        outcome = await call(_answered(answer), outcome["task_id"], outcome["context_id"])
    return outcome


def _answered(answer: Any) -> Content:
    return answer if isinstance(answer, str) else [a2a.Part(data=answer)]


def _outcome(reply: Reply) -> Outcome:
    state = reply.state or a2a.TaskState.COMPLETED
    return {
        "state": state.value,
        "asks": state.interrupted,
        "auth": state is a2a.TaskState.AUTH_REQUIRED,
        "text": reply.text,
        "data": question_data(reply) if state.interrupted else reply.data,
        "result": result_of(reply),
        "task_id": reply.task_id,
        "context_id": reply.context_id,
    }


def _content(state: Any, field: str) -> Content:
    value: Any = object_of(state)[field] if isinstance(state, dict) else getattr(state, field)
    if field == MESSAGES:
        value = cast("Sequence[BaseMessage]", value)[-1]
    return str(value.text) if isinstance(value, BaseMessage) else cast("Content", value)


def _in_graph() -> bool:
    """Whether this runs in a node, where LangGraph keeps the results of tasks."""
    try:
        return "__pregel_call" in get_config().get("configurable", {})
    except RuntimeError:
        return False


def _end(pieces: asyncio.Queue[str | None]) -> Callable[[object], None]:
    return lambda _: pieces.put_nowait(None)


class _PeerModel(BaseChatModel):
    """One call to a peer, in the form whose text LangGraph streams."""

    remote: Any
    content: Any
    task_id: str | None
    context_id: str | None
    cache: Any = False

    @property
    def _llm_type(self) -> str:
        return "a2a"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a peer is called asynchronously: use ainvoke or astream of the graph")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        outcome = _outcome(await self.remote.call(self.content, task_id=self.task_id, context_id=self.context_id))
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", response_metadata={"a2a": outcome}))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def heard(event: Event) -> None:
            if event.kind == "artifact" and event.text:
                pieces.put_nowait(event.text)

        calling = asyncio.ensure_future(
            self.remote.call(self.content, task_id=self.task_id, context_id=self.context_id, on_event=heard)
        )
        calling.add_done_callback(_end(pieces))
        streamed = False
        try:
            while (piece := await pieces.get()) is not None:
                streamed = True
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            outcome = _outcome(await calling)
        finally:
            calling.cancel()
            await asyncio.wait({calling})
        rest = "" if streamed or outcome["asks"] else outcome["text"]
        yield ChatGenerationChunk(message=AIMessageChunk(content=rest, response_metadata={"a2a": outcome}))

"""A chat graph whose model streams words from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph

from benchmarks.ours.words import PIECES, TEXT

__all__ = ["TEXT", "Words", "build", "direct"]


class Words(BaseChatModel):
    """The model."""

    @property
    def _llm_type(self) -> str:
        return "words"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(TEXT))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in PIECES:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))


def build() -> Any:
    """The graph."""
    model = Words()

    async def say(state: MessagesState) -> dict[str, list[AIMessage]]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("say", say)
    graph.add_edge(START, "say")
    return graph.compile(name="words")


def direct() -> Callable[[], Awaitable[None]]:
    """One run, streamed as who shows it to a person would."""
    graph = build()

    async def run() -> None:
        text = ""
        async for message, _ in graph.astream({"messages": [HumanMessage("go")]}, stream_mode="messages"):
            text += message.text
        assert text == TEXT, text

    return run

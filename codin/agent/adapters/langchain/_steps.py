"""Steps of a chain that do less for each piece than LangChain's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, RunnableSequence

from codin.agent.adapters.langchain._calls import Calls

__all__ = ["FollowedModel", "TextParser", "light"]


class TextParser(StrOutputParser):
    """A `StrOutputParser` that reads each piece where it comes.

    LangChain hands every piece to a thread, since a parser may take its time. This one reads an attribute, and the way
    to the thread and back costs more than everything else that is done for the piece.
    """

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[str]:
        async for piece in input:
            read = ChatGeneration(message=piece) if isinstance(piece, BaseMessage) else Generation(text=piece)
            yield self.parse_result([read])


class FollowedModel(RunnableBinding[Any, Any]):
    """A chat model whose pieces are shown to `Calls` as they pass.

    A callback is told of each piece by two coroutines and a future, which costs as much as everything else that codin
    does for the piece. So the model is not told of `Calls` when it streams; other callbacks are called as ever.
    """

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        rest, calls = _apart(config or {})
        calls.check()
        async with aclosing(cast("Any", self.bound.astream(input, rest, **kwargs))) as pieces:
            async for piece in pieces:
                calls.hear(piece)
                yield piece

    def atransform(
        self, input: AsyncIterator[Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        # As a model does, which wants the whole of its input first. That of a binding would go around `astream`.
        return cast("Any", Runnable).atransform(self, input, config, **kwargs)


def _apart(config: RunnableConfig) -> tuple[RunnableConfig, Calls]:
    """The config without the callback that follows the calls, and this callback."""
    callbacks = config.get("callbacks") or []
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks
    calls = next((handler for handler in handlers if isinstance(handler, Calls)), None)
    if calls is None:
        return config, Calls()
    if isinstance(callbacks, BaseCallbackManager):
        rest = callbacks.copy()
        rest.remove_handler(calls)
    else:
        rest = [handler for handler in callbacks if handler is not calls]
    return {**config, "callbacks": rest}, calls


def light(runnable: Any) -> Any:
    """The same chain with such steps for its chat models and plain `StrOutputParser`s; the given one stays as it is."""
    kind = cast("object", type(runnable))  # exactly: what is derived may do more
    if kind is StrOutputParser:
        return TextParser(name=runnable.get_name())
    if isinstance(runnable, BaseChatModel):
        return FollowedModel(bound=runnable)
    if kind is RunnableBinding:
        return runnable.model_copy(update={"bound": light(runnable.bound)})
    if kind is RunnableSequence:
        first, *middle, last = map(light, runnable.steps)
        return runnable.model_copy(update={"first": first, "middle": middle, "last": last})
    return runnable

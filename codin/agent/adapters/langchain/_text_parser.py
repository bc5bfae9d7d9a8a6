"""Chains whose text stays on the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableBinding, RunnableSequence

__all__ = ["TextParser", "on_the_loop"]


class TextParser(StrOutputParser):
    """A `StrOutputParser` that reads each piece where it comes.

    LangChain hands every piece to a thread, since a parser may take its time. This one reads an attribute, and the way
    to the thread and back costs more than everything else that is done for the piece.
    """

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[str]:
        async for piece in input:
            read = ChatGeneration(message=piece) if isinstance(piece, BaseMessage) else Generation(text=piece)
            yield self.parse_result([read])


def on_the_loop(runnable: Any) -> Any:
    """The same chain with a `TextParser` for each of its plain `StrOutputParser`s; the given one stays as it is."""
    kind = cast("object", type(runnable))  # exactly: what is derived may do more
    if kind is StrOutputParser:
        return TextParser(name=runnable.get_name())
    if kind is RunnableBinding:
        return runnable.model_copy(update={"bound": on_the_loop(runnable.bound)})
    if kind is RunnableSequence:
        *middle, last = map(on_the_loop, runnable.steps[1:])
        return runnable.model_copy(update={"middle": middle, "last": last})
    return runnable

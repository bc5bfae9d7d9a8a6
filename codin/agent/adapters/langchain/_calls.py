"""The model calls of one run: what they cost, and an end to them when the run is canceled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

__all__ = ["Calls"]

_COUNTS = ("input_tokens", "output_tokens", "total_tokens")


class Calls(BaseCallbackHandler):
    """Follows every model call of a run, streamed or not, in a subgraph or not, in a thread or not."""

    run_inline = True

    def __init__(self) -> None:
        self._counts: dict[str, Mapping[str, int]] = {}
        self._stopped = False

    @property
    def ignore_chain(self) -> bool:
        """Each step of a chain begins and ends, and nothing here listens to that."""
        return True

    async def guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work, and when that is canceled, end the calls that do not notice.

        `asyncio.wait_for` of Python 3.11, with which langchain-openai waits for the next piece, forgets a cancel that
        comes together with that piece. And a node in a thread cannot be canceled at all. Both are ended at the next
        piece, or when they begin another call.
        """
        child = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait({child})
        except asyncio.CancelledError:
            self._stopped = True
            child.cancel()
            await asyncio.wait({child})
            if not child.cancelled():
                child.exception()  # the cancel is what counts
            raise
        child.result()

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A model is about to be called."""
        self.check()

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A piece has come."""
        self.check()

    def check(self) -> None:
        """Raise CancelledError when the run has been canceled."""
        if self._stopped:
            raise asyncio.CancelledError

    def hear(self, piece: BaseMessage) -> None:
        """Take a piece that no callback is told of."""
        self.check()
        if isinstance(piece, AIMessage) and piece.usage_metadata is not None:  # each tells what has come since the last
            self.add(piece.model_copy(update={"id": f"piece-{len(self._counts)}"}))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        batches: Sequence[Sequence[Any]] = response.generations
        for generation in (generation for batch in batches for generation in batch):
            if isinstance(generation, ChatGeneration):
                self.add(generation.message, str(run_id))

    def add(self, message: BaseMessage, fallback: str = "") -> None:
        """Count a message, once."""
        counts = message.usage_metadata if isinstance(message, AIMessage) else None
        if counts is not None:
            self._counts[message.id or fallback] = {key: counts.get(key, 0) for key in _COUNTS}

    def usage(self) -> dict[str, int]:
        """The sums; empty when no model told."""
        if not self._counts:
            return {}
        return {key: sum(counts[key] for counts in self._counts.values()) for key in _COUNTS}

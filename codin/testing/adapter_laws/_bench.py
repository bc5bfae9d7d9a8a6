"""Where a case builds the object that is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from codin.agent import Agent, as_agent
from codin.testing._model_server import ModelServer

__all__ = ["SECRET", "Bench"]

SECRET = "hunter2-of-the-bench"

T = TypeVar("T")


class Bench:
    """What a factory of a case has at hand.

    Attributes:
        model: the model that the object shall speak to; the laws say what it answers.
        tools: plain functions with type hints and docstrings, which the object shall have as tools; often none.
        folder: kept when the server is started again; the place for what the framework stores.
        secret: what no caller may ever read.
    """

    def __init__(
        self,
        model: ModelServer,
        folder: Path,
        tools: Sequence[Callable[..., Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.folder = folder
        self.tools = tools
        self.secret: str = SECRET
        self._options = dict(options or {})
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """The base URL of the model for OpenAI's clients; for Gemini's it is `model.gemini_url`."""
        return self.model.url

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context that ends when the server does, e.g. that of a database."""
        return await self._stack.enter_async_context(context)

    def adapt(self, obj: object, **options: Any) -> Agent:
        """The agent of a framework's object, found as a server finds it. Only for options beside the object."""
        return as_agent(obj, **{**options, **self._options})

    async def close(self) -> None:
        """End what was entered."""
        await self._stack.aclose()

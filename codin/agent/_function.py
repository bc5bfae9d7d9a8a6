"""A function as an agent."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast

from codin import a2a
from codin.agent._bind import Inputs, Unfit, plan
from codin.agent._describe import id_of, input_modes, input_schema, output_modes, output_schema
from codin.agent._result import Unsendable, message_of, response_of, stream_item
from codin.agent._signature import read_signature
from codin.errors import ConfigError
from codin.task import AgentResponse, Task
from codin.tool import Tool
from codin.tool._describe import doc_of, name_of, summary_of
from codin.tool._hints import Kind
from codin.tool._signature import Flavour
from codin.tool._threads import Ended, Pulled, Threads

__all__ = ["FunctionAgent", "check_options"]

P = ParamSpec("P")
R = TypeVar("R")

_ID = re.compile(r"[A-Za-z0-9._~-]+")
_MAX_THREADS = 32


class FunctionAgent(Generic[P, R]):
    """A function as an agent, still callable as the function it was.

    Args:
        function: sync or async function or generator, bound method, partial, or callable object.
        id: its place on a server; from the name if not given.
        name: the function's name if not given.
        description: the first paragraph of its docstring if not given.
        skills: one skill, made from name and description, if not given.
        tags: of that one skill.
        examples: of that one skill: messages to try.
        input_modes, output_modes: media types; from the type hints if not given.
        tools: what it works with; not published.
        extensions: of the protocol that it speaks: URIs, or `a2a.AgentExtension`, which may be required.
        version: the agent's, for its card.
        reply: "message" answers with a message and keeps no task.
        rerunnable: may be run again from the top when the process died in the middle.
        closing_update: end a streamed text with an update that repeats it; the server's setting if None.
        closing_message: say the answer in the completed status too, for clients that read only messages.
        max_threads: of a blocking function: calls that run at once, 32 by default.
        local: names for hints that are text, where the function's module does not have them.

    Raises:
        ConfigError: the function cannot be an agent; the text names the parameter.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        skills: Sequence[a2a.AgentSkill] | None = None,
        tags: Sequence[str] = ("function",),
        examples: Sequence[str] = (),
        input_modes: Sequence[str] | None = None,
        output_modes: Sequence[str] | None = None,
        tools: Sequence[Tool] = (),
        extensions: Sequence[a2a.AgentExtension | str] = (),
        version: str = "1.0.0",
        reply: Literal["task", "message"] = "task",
        rerunnable: bool = False,
        closing_update: bool | None = None,
        closing_message: bool = False,
        max_threads: int | None = None,
        local: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function) or inspect.isclass(function):
            raise ConfigError(f"{function!r} is not a function", hint="decorate a function, or pass an instance")
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._call: Callable[..., Any] = function
        self.name: str = name or name_of(function)
        self.__name__: str = getattr(function, "__name__", self.name)
        self.id: str = _checked_id(id, self.name)
        self._doc = doc_of(function)
        self.description: str = summary_of(self._doc) if description is None else description
        self.tools = tools
        self.extensions = extensions
        self.version = version
        self.reply: Literal["task", "message"] = reply
        self.rerunnable = rerunnable
        self.closing_update = closing_update
        self.closing_message = closing_message
        label = repr(self.name)
        signature = read_signature(function, label, local or {})
        self._inputs = Inputs(signature.parameters, label)
        self._bind = plan(self._inputs, label)
        self._returns = signature.returns
        self._media = next(iter(signature.returns.media), None) if signature.returns else None
        self._check_reply(signature.flavour)
        self._skills = skills
        self._tags = tags
        self._examples = examples
        self._modes = input_modes, output_modes
        self._threads = Threads(max_threads or _MAX_THREADS, self.id)
        self._coroutine = signature.flavour is Flavour.COROUTINE
        self._start = {
            Flavour.STREAM: self._run_stream,
            Flavour.BLOCKING: self._run_blocking,
            Flavour.BLOCKING_STREAM: self._run_blocking_stream,
        }.get(signature.flavour, self._run_stream)
        self._answer = message_of if reply == "message" else response_of

    def _check_reply(self, flavour: Flavour) -> None:
        if self.reply == "message" and flavour in (Flavour.STREAM, Flavour.BLOCKING_STREAM):
            raise ConfigError(f"{self.name!r} yields, and a message cannot be streamed", hint="drop reply='message'")
        if self.reply == "task" and self._returns is not None and self._returns.kind is Kind.MESSAGE:
            raise ConfigError(f"{self.name!r} returns a message", hint="declare it with reply='message'")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<FunctionAgent {self.id!r}>"

    # -- what it tells about itself ------------------------------------------------------------------------------------

    @property
    def skills(self) -> Sequence[a2a.AgentSkill]:
        if self._skills is not None:
            return self._skills
        return [
            a2a.AgentSkill(
                id=self.id,
                name=self.name,
                description=self.description,
                tags=list(self._tags),
                examples=list(self._examples),
            )
        ]

    @property
    def input_modes(self) -> Sequence[str]:
        return input_modes(self._inputs) if self._modes[0] is None else self._modes[0]

    @property
    def output_modes(self) -> Sequence[str]:
        return output_modes(self._returns) if self._modes[1] is None else self._modes[1]

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        return self._schemas[0]

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        return self._schemas[1]

    @cached_property
    def _schemas(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        return input_schema(self._inputs, self.name, self._doc), output_schema(self._returns)

    # -- work ----------------------------------------------------------------------------------------------------------

    async def handle(self, task: Task) -> AgentResponse:
        """Call the function with what the task's message gives, and answer with what it gives back."""
        try:
            arguments = self._bind(task)
        except Unfit as unfit:
            return _refused(task, str(unfit))
        try:
            if self._coroutine:
                return self._answer(await self._call(**arguments), self._media)
            return await self._start(task, arguments)
        except Unsendable as error:
            reason = f"INVALID_AGENT_RESPONSE: {error}"
            if self.reply == "message":  # a message has no state to say that it failed
                raise a2a.InvalidAgentResponse(reason) from None
            return AgentResponse.failed(reason)

    async def _run_stream(self, task: Task, arguments: dict[str, Any]) -> AgentResponse:
        return await self._drain(task, self._call(**arguments))

    async def _drain(self, task: Task, items: AsyncGenerator[Any]) -> AgentResponse:
        write = task.write
        async with aclosing(items):  # canceled or failed between two items, the generator still gets to clean up
            async for item in items:
                if type(item) is str:
                    await write(item)
                elif (response := await stream_item(task, item, self._media)) is not None:
                    return response
        return AgentResponse.completed()

    async def _run_blocking(self, task: Task, arguments: dict[str, Any]) -> AgentResponse:
        result: Any = await self._threads.run(functools.partial(self._call, **arguments))
        if inspect.isawaitable(result):  # a wrapper hid that the function is async
            result = await result
        if isinstance(result, AsyncGenerator):
            return await self._drain(task, cast("AsyncGenerator[Any]", result))
        if inspect.isgenerator(result):
            return await self._pull(task, lambda: result)
        return self._answer(result, self._media)

    async def _run_blocking_stream(self, task: Task, arguments: dict[str, Any]) -> AgentResponse:
        return await self._pull(task, functools.partial(self._call, **arguments))

    async def _pull(self, task: Task, make: Callable[[], Generator[Any, Any, Any]]) -> AgentResponse:
        items = Pulled(self._threads, make)
        try:
            while not isinstance(item := await items.next(), Ended):
                response = await stream_item(task, item, self._media)
                if response is not None:
                    return response
        finally:
            items.close()
        return self._answer(item.value, self._media)


_PARAMETERS = inspect.signature(FunctionAgent).parameters.values()
_OPTIONS = [each.name for each in _PARAMETERS if each.kind is each.KEYWORD_ONLY and each.name != "local"]


def check_options(options: Iterable[str]) -> None:
    """Raise ConfigError for an option that an agent of a function does not have; the text names the nearest one."""
    for name in options:
        if name not in _OPTIONS:
            nearest = difflib.get_close_matches(name, _OPTIONS, 1)
            meant = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ConfigError(f"@agent has no option {name!r}", hint=f"{meant}it has {', '.join(_OPTIONS)}")


def _checked_id(id: str | None, name: str) -> str:
    chosen = id_of(name) if id is None else id
    if not _ID.fullmatch(chosen):
        raise ConfigError(f"{chosen!r} cannot be the id of {name!r}", hint="pass id= of letters, digits and -._~")
    return chosen


def _refused(task: Task, reason: str) -> AgentResponse:
    """A program that sent the wrong thing would not answer a question: REJECTED. A wrong answer is asked for again."""
    if task.resume is None and len(task.history) < 2:
        return AgentResponse.rejected(f"Invalid input: {reason}")
    return AgentResponse.input_required(f"That does not fit: {reason}", token=task.resume)

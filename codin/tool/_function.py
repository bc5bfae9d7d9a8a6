"""A function as a tool."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import difflib
import functools
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Generator, Mapping
from contextlib import aclosing
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, to_json

from codin.errors import ConfigError, InvalidArguments, ToolBusy, ToolRefused
from codin.task import Task, current_task
from codin.tool._describe import annotate, doc_of, name_of, parameter_docs, schema_of, summary_of
from codin.tool._fields import fields_adapter, hint_adapter
from codin.tool._given import Given, read, unfit, written
from codin.tool._hints import Kind
from codin.tool._json_schema import JsonSchema, Misfit, SchemaBroken
from codin.tool._pieces import whole
from codin.tool._protocol import Approval, Sandboxing, ToolSpec, checked_name, checked_version
from codin.tool._result import Result, value_of
from codin.tool._signature import Flavour, Parameter, read_signature
from codin.tool._threads import Ended, Pulled, Threads

__all__ = ["FunctionTool"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
Q = ParamSpec("Q")
T = TypeVar("T")

_MAX_THREADS = 32
_SAID = 3  # problems in one message
_SHOWN = 200  # letters of a field's path: a model may make up any
_STREAMS = (Flavour.STREAM, Flavour.BLOCKING_STREAM)


class FunctionTool(Generic[P, R]):
    """A function as a tool, still callable as the function it was; a method as a tool of each instance.

    A blocking function runs in a thread. A generator streams: the pieces of one that yields text are joined to the
    result, those of any other are a list. A parameter of the type `Task` is given the task, and is in no schema.

    Args:
        function: sync or async function or generator, method, partial, or callable object.
        name: the function's name if not given: letters, digits, "_" and "-", 64 at most, as models take it.
        description: the first paragraph of its docstring if not given.
        version, tags, scopes, secrets, sandbox, idempotent, timeout, retries, rate, concurrency, approval: as in
            `ToolSpec`.
        local: names for hints that are text, where the function's module does not have them.

    Attributes:
        unbound: it is a method without its instance, which cannot be used.

    Raises:
        ConfigError: the function cannot be a tool; the text names the parameter.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        version: str = "1.0.0",
        tags: Collection[str] = (),
        scopes: Collection[str] = (),
        secrets: Collection[str] = (),
        sandbox: Sandboxing = "off",
        idempotent: bool = False,
        timeout: float | None = None,
        retries: int = 0,
        rate: tuple[int, float] | None = None,
        concurrency: int | None = None,
        approval: bool | Approval = False,
        local: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(function) or inspect.isclass(function):
            raise ConfigError(f"{function!r} is not a function", hint="decorate a function, or pass an instance")
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self.name: str = checked_name(name_of(function) if name is None else name)
        self.__name__: str = getattr(function, "__name__", self.name)
        self.unbound: bool = _is_method(function, "self")
        if _is_method(function, "cls") and not _place_of(function).endswith("<locals>."):
            path = _place_of(function).rpartition("<locals>.")[2] + self.__name__
            raise ConfigError(
                f"{self.name!r} is a method of a class, which is not made yet",
                hint=f"make it a tool behind the class: {self.__name__} = tool({path})",
            )
        seen = cast("Callable[P, R]", types.MethodType(function, self)) if self.unbound else function
        signature = read_signature(seen, repr(self.name), local or {})
        self._flavour = signature.flavour
        self._tasks = [parameter for parameter in signature.parameters if parameter.hint.kind is Kind.TASK]
        fields = [parameter for parameter in signature.parameters if parameter.hint.kind is not Kind.TASK]
        self._check_parameters(fields, sandbox)
        adapter = fields_adapter(fields, repr(self.name))
        self._check = adapter.validate_json
        # None for what may be None and has no other default; every other default is Python's business
        self._nothing = {field.name: None for field in fields if not field.required and not field.has_default}
        self._changeable = {field.name: field.default for field in fields if type(field.default).__hash__ is None}
        self.result: Result = Result(signature.returns, self.name, streams=signature.flavour in _STREAMS)
        doc = doc_of(function)
        self.spec: ToolSpec = ToolSpec(
            summary_of(doc) if description is None else description,
            self._input_schema(schema_of(adapter, "validation"), fields, parameter_docs(doc)),
            self.result.schema,
            version=checked_version(version, repr(self.name)),
            tags=tags,
            scopes=scopes,
            secrets=secrets,
            streams=signature.flavour in _STREAMS,
            sandbox=sandbox,
            idempotent=idempotent,
            timeout=timeout,
            retries=retries,
            rate=rate,
            concurrency=concurrency,
            approval=approval,
        )
        self._check_secrets()
        self._exact = JsonSchema(self.spec.input_schema) if _says_more(self.spec.input_schema) else None
        self._threads = Threads(concurrency or _MAX_THREADS, self.name)

    def _check_parameters(self, fields: list[Parameter], sandbox: Sandboxing) -> None:
        if self._tasks and sandbox == "required":
            raise ConfigError(
                f"parameter {self._tasks[0].name!r} of {self.name!r} asks for the task, which no sandbox has",
                hint="drop it, or sandbox='required'",
            )
        for field in fields:
            if isinstance(field.default, FieldInfo):
                raise ConfigError(
                    f"the default of parameter {field.name!r} of {self.name!r} is a Field",
                    hint=f"write {field.name}: Annotated[…, Field(…)] = default",
                )

    def _input_schema(
        self, schema: dict[str, Any] | None, fields: list[Parameter], docs: Mapping[str, str]
    ) -> Mapping[str, Any]:
        if schema is None:
            label = repr(self.name)
            lost = [field for field in fields if schema_of(hint_adapter(field, label), "validation") is None]
            which = f"parameter {lost[0].name!r}" if lost else "a parameter"
            raise ConfigError(
                f"{which} of {label} has a type that no JSON can fill",
                hint="bind it by functools.partial, or take a type pydantic has a JSON Schema for",
            )
        schema.pop("title", None)
        properties = cast("dict[str, dict[str, Any]]", schema.setdefault("properties", {}))
        for field in fields:
            if field.name in properties:
                annotate(properties[field.name], field, docs.get(field.name))
        return schema

    def _check_secrets(self) -> None:
        """Each has to be the name of something that can be given: a misspelt one would hide nothing."""
        given = Given(self.spec.input_schema)
        for secret in sorted(self.spec.secrets):
            if not given.has(secret):
                near = difflib.get_close_matches(secret, given.names, 1)
                raise ConfigError(
                    f"{self.name!r} takes nothing that is called {secret!r}, as its secrets= say",
                    hint=f"did you mean {near[0]!r}?"
                    if near
                    else f"it takes {', '.join(sorted(given.names)) or 'nothing'}",
                )

    @property
    def function(self) -> Callable[P, R]:
        """The function itself; of an instance, its method."""
        return self._function

    @property
    def works_in_task(self) -> bool:
        """It takes the task that it is used in."""
        return bool(self._tasks)

    @property
    def is_blocking(self) -> bool:
        """It runs in a thread."""
        return self._flavour in (Flavour.BLOCKING, Flavour.BLOCKING_STREAM)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self._function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[Any], /) -> FunctionTool[P, R]: ...
    @overload
    def __get__(
        self: FunctionTool[Concatenate[S, Q], T], instance: S, owner: type[Any] | None = None, /
    ) -> FunctionTool[Q, T]: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None, /) -> FunctionTool[..., Any]:
        """The tool of one instance; the threads are those of all instances."""
        if instance is None or not self.unbound:
            return self
        bound: FunctionTool[..., Any] = copy.copy(self)
        bound._function = types.MethodType(self._function, instance)
        bound.unbound = False
        return bound

    def __repr__(self) -> str:
        function: Any = self._function
        return f"<FunctionTool {self.name!r} of {function.__module__}.{getattr(function, '__qualname__', self.name)}>"

    # -- work ----------------------------------------------------------------------------------------------------------

    async def invoke(self, /, **arguments: Any) -> Any:
        """Call the function with arguments as JSON has them, and give its result as JSON has it.

        Raises:
            InvalidArguments: they do not fit; the function is not called.
            InvalidResult: the result does not fit.
        """
        result = await (await self.begin(self.bind(arguments), current_task()))
        return value_of(self.result.encode(result), self.name)

    async def stream(self, /, **arguments: Any) -> AsyncGenerator[Any, None]:
        """The same in pieces, of a generator.

        Raises:
            InvalidArguments: they do not fit; the function is not called.
            InvalidResult: a piece does not fit.
        """
        async with aclosing(await self.begin_pieces(self.bind(arguments), current_task())) as pieces:
            async for piece in pieces:
                yield value_of(self.result.encode_piece(piece), self.name)

    def bind(self, arguments: Mapping[str, Any], body: bytes | None = None) -> dict[str, Any]:
        """The arguments as the function takes them.

        What the schema forbids is refused: "5" is no number.

        Args:
            body: the arguments as JSON, where that is known.

        Raises:
            InvalidArguments: they do not fit; the text names the field, and has of the values what a validator says.
        """
        if self.unbound:
            raise ConfigError(f"{self.name!r} is a method", hint="use the tool of an instance")
        if body is None:
            body = written(self.name, arguments)
        try:
            given = self._check(body, strict=True)
        except ValidationError as error:
            given = self._second_look(body, error)
        if self._exact is not None:
            try:
                self._exact.check(read(self.name, body))
            except Misfit as error:
                raise unfit(self.name, self.spec.input_schema, error.field, str(error)) from None
            except SchemaBroken as broken:
                reason = f"the arguments of {self.name!r} cannot be checked: {broken}"
                raise InvalidArguments(reason, tool=self.name) from None
        # what one call does to a list or the like is nothing that the next one begins with
        own = {name: copy.deepcopy(each) for name, each in self._changeable.items() if name not in given}
        return {**self._nothing, **own, **given}

    def _second_look(self, body: bytes, error: ValidationError) -> dict[str, Any]:
        """To a schema 1.0 is an integer, to pydantic it is none."""
        plain = _integral(read(self.name, body))
        with contextlib.suppress(ValidationError):  # what was wrong at first is what is said
            return self._check(to_json(plain), strict=True)
        raise self._misfit(error) from None

    def _misfit(self, error: ValidationError) -> InvalidArguments:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = [(_path(problem), _reason(problem)) for problem in problems[:_SAID]]
        said = "; ".join(f"{field}: {why}" for field, why in wrong)
        return unfit(self.name, self.spec.input_schema, wrong[0][0], said)

    async def begin(
        self, given: Mapping[str, Any], task: Task | None, wait: float | None = None
    ) -> Coroutine[Any, Any, Any]:
        """Call the function with what `bind` gave. What this gives, to be awaited at once, gives what it returned; the
        pieces of a generator together.

        Args:
            wait: seconds that one that blocks waits for its thread, which it has then; None for no bound.

        Raises:
            ToolBusy: there is none for so long, and it is not called.
        """
        if self._flavour in _STREAMS:
            return _together(await self.begin_pieces(given, task, wait), self.spec)
        call = functools.partial(cast("Callable[..., Any]", self._function), **self._with(given, task))
        if self._flavour is Flavour.COROUTINE:
            return _result(call)
        future = self._threads.submit(call)
        await self._in_thread(self._threads.begun(future, wait))
        return _result(lambda: asyncio.wrap_future(future))

    async def begin_pieces(
        self, given: Mapping[str, Any], task: Task | None, wait: float | None = None
    ) -> AsyncGenerator[Any, None]:
        """The same of a generator, in pieces."""
        call = functools.partial(cast("Callable[..., Any]", self._function), **self._with(given, task))
        if self._flavour is Flavour.STREAM:
            return _items(call)
        pulled = Pulled(self._threads, cast("Callable[[], Generator[Any, Any, Any]]", call))
        try:
            await self._in_thread(pulled.begun(wait))
        except BaseException:
            pulled.close()
            raise
        return _pulled(pulled)

    async def _in_thread(self, begun: Awaitable[None]) -> None:
        try:
            await begun
        except TimeoutError:
            raise ToolBusy(
                f"{self.name!r} has not begun: all threads that it may have are at work", tool=self.name, retryable=True
            ) from None

    def _with(self, given: Mapping[str, Any], task: Task | None) -> Mapping[str, Any]:
        if not self._tasks:
            return given
        if task is None and any(parameter.required for parameter in self._tasks):
            raise ToolRefused(f"{self.name!r} works in a task only", tool=self.name)
        return {**given, **{parameter.name: task for parameter in self._tasks}}


async def _result(call: Callable[[], Awaitable[Any]]) -> Any:
    result = await call()
    if inspect.isawaitable(result):  # a wrapper hid that the function is async
        result = await result
    return result


async def _together(pieces: AsyncGenerator[Any, None], spec: ToolSpec) -> Any:
    async with aclosing(pieces):
        return whole([piece async for piece in pieces], spec)


async def _items(call: Callable[[], AsyncGenerator[Any, None]]) -> AsyncGenerator[Any, None]:
    async with aclosing(call()) as items:
        async for item in items:
            yield item


async def _pulled(pulled: Pulled) -> AsyncGenerator[Any, None]:
    try:
        while not isinstance(item := await pulled.next(), Ended):
            yield item
    finally:
        pulled.close()


def _path(problem: ErrorDetails) -> str:
    return ".".join(str(step) for step in problem["loc"])[:_SHOWN]


def _reason(problem: ErrorDetails) -> str:
    return "there is no such field" if problem["type"] == "extra_forbidden" else problem["msg"]


def _is_method(function: Callable[..., Any], first_is: str) -> bool:
    """Whether the first parameter is the instance, or the class. What a class holds looks like any function when it is
    decorated.
    """
    if not inspect.isfunction(function) or not _place_of(function):
        return False
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and first.name == first_is and first.annotation is inspect.Parameter.empty


def _place_of(function: Callable[..., Any]) -> str:
    """What a function stands in, with a dot: a class, or `<locals>` of another function."""
    return "".join(getattr(function, "__qualname__", "").rpartition(".")[:2])


def _says_more(schema: Any) -> bool:
    """Whether a schema says what pydantic does not keep.

    In a `Literal` 0 and 1 are False and True to it, as to Python; and a set takes an item twice.
    """
    if isinstance(schema, list):
        return any(_says_more(each) for each in cast("list[Any]", schema))
    if not isinstance(schema, dict):
        return False
    parts = cast("dict[str, Any]", schema)
    values = [*cast("list[Any]", parts.get("enum") or ()), parts.get("const")]
    return (
        parts.get("uniqueItems") is True
        or any(isinstance(value, int) and value in (0, 1) for value in values)
        or any(_says_more(part) for part in parts.values())
    )


def _integral(value: Any) -> Any:
    """The value with numbers that are whole as integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _integral(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_integral(each) for each in cast("list[Any]", value)]
    return value

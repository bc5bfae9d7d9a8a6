"""What a runnable takes and gives, read from its types."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.output_parsers.openai_tools import PydanticToolsParser
from langchain_core.output_parsers.transform import BaseCumulativeTransformOutputParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel, RootModel, TypeAdapter

from codin.agent.adapters._questions import object_of
from codin.agent.adapters.langchain._arguments import arguments_schema, arguments_type
from codin.agent.adapters.langchain._types import UNREADABLE, holds_messages
from codin.errors import ConfigError

__all__ = ["MESSAGES", "Given", "Taken", "edge_of"]

MESSAGES = "messages"
_TEXT, _DATA, _UNKNOWN = "text", "data", "unknown"
_STREAMS = (Iterator, AsyncIterator, Generator, AsyncGenerator)
_MESSAGE_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
}


class Taken:
    """What a runnable takes.

    Args:
        text_field: the field of an object that takes plain text; found by itself when only one can, or only one of
            those that can is required.

    Attributes:
        chat: a conversation, as every chat model reads it.
        plain: text alone may be handed over as it is. A model that completes text would read a message with its role.
        fields: of an object; empty for a conversation and for a value.
        message_fields: those that hold messages.
        text_field: None when there is none, or when it is not clear which.
        schema: JSON Schema of the data; None for a conversation, and where nothing is known.
        instance: it wants an instance of its own pydantic model, and not the fields.
    """

    def __init__(self, runnable: Runnable[Any, Any], text_field: str | None = None) -> None:
        declared = _declared(lambda: runnable.InputType)
        step = edge_of(runnable, "first")
        arguments = arguments_schema(step)
        kind = arguments_type(arguments) if arguments else _kind(declared, runnable.get_input_schema, step)
        self.chat: bool = holds_messages(kind)
        self.plain: bool = self.chat and str in _members(kind)
        if _is_open(kind):
            kind = Any
        self.instance: bool = _is_model(kind) and (kind is declared or isinstance(declared, str))
        spoken = {name: field for name, field in _fields(kind).items() if holds_messages(field.annotation)}
        self._either = {name for name, field in spoken.items() if str in _members(field.annotation)}
        self.message_fields: frozenset[str] = frozenset(spoken)
        self.schema: Mapping[str, Any] | None = arguments or (None if self.chat else self._schema(kind))
        properties = object_of((self.schema or {}).get("properties"))
        self.fields: Sequence[str] = list(properties)
        self.text_field: str | None = self._text_field(text_field, properties)
        self._adapter = None if self.chat else _adapter(kind)

    def _schema(self, kind: Any) -> Mapping[str, Any] | None:
        schema = _json_schema(kind)
        if schema is None or not self.message_fields:
            return schema
        properties = {
            name: self._spoken(name) if name in self.message_fields else value
            for name, value in schema["properties"].items()
        }
        described = {**schema, "properties": properties}
        if "$ref" not in str(properties):
            described.pop("$defs", None)  # LangChain's messages, which no caller has to know
        return described

    def _spoken(self, name: str) -> Mapping[str, Any]:
        return {"anyOf": [{"type": "string"}, _MESSAGE_SCHEMA]} if name in self._either else _MESSAGE_SCHEMA

    def _text_field(self, wanted: str | None, properties: Mapping[str, Mapping[str, Any]]) -> str | None:
        if wanted is not None:
            if wanted not in properties and (properties or self.chat):
                raise ConfigError(
                    f"text_field {wanted!r} is no input field of the runnable",
                    hint=f"it has {', '.join(properties)}" if properties else "it takes a conversation",
                )
            return wanted
        texts = [name for name, schema in properties.items() if _says_text(schema)]
        needed = [name for name in texts if name in (self.schema or {}).get("required", ())]
        anything = [name for name, schema in properties.items() if _says_nothing(schema)]
        for found in (needed, texts, anything if len(properties) == 1 else [], self.message_fields):
            if found:
                return next(iter(found)) if len(found) == 1 else None
        return None

    @property
    def speaks(self) -> bool:
        """Whether text becomes a message in one of the fields."""
        return self.text_field in self.message_fields - self._either

    @property
    def takes_text(self) -> bool:
        """Whether a value, or one of the fields, may be any text."""
        if self.schema is None or self.chat or self.text_field is not None:
            return True
        return _says_nothing(self.schema) or _says_text(self.schema)

    def fit(self, value: Any) -> Any:
        """A value as the runnable wants it.

        Raises:
            pydantic.ValidationError: it does not fit.
        """
        if self._adapter is None:
            return value
        validated = self._adapter.validate_python(value)
        return value if self.fields and not self.instance else validated


class Given:
    """What a runnable gives.

    Args:
        text_key: the key of a dict whose text is the answer.

    Attributes:
        streams: its pieces can be added up. Data is asked for as a whole: parsers repeat what they have so far.
        modes: media types.
        schema: JSON Schema of the data, where it is known.
    """

    def __init__(self, runnable: Runnable[Any, Any], text_key: str | None = None) -> None:
        last = edge_of(runnable, "last")
        kind = _kind(_declared(lambda: runnable.OutputType), runnable.get_output_schema, last)
        if isinstance(runnable, RunnableWithMessageHistory):
            kind = Any  # it tells the type of the history
        elif kind is Any and isinstance(last, PydanticToolsParser) and last.first_tool_only and len(last.tools) == 1:
            kind = last.tools[0]
        nature = _nature(kind)
        cumulative = isinstance(last, BaseCumulativeTransformOutputParser) and not last.diff
        self.streams: bool = text_key is not None or (nature != _DATA and not cumulative)
        modes = {_TEXT: ["text/plain"], _DATA: ["application/json"]}
        both = nature == _UNKNOWN or text_key is not None
        self.modes: Sequence[str] = ["text/plain", "application/json"] if both else modes[nature]
        self.schema: Mapping[str, Any] | None = None if nature != _DATA or _is_open(kind) else _json_schema(kind)


def edge_of(runnable: Any, end: str) -> Any:
    """The first or the last step of a chain, without what is wrapped around it."""
    while True:
        if isinstance(runnable, RunnableSequence):
            runnable = getattr(cast("Any", runnable), end)
        elif isinstance(runnable, RunnableBindingBase):
            runnable = cast("Any", runnable).bound
        elif isinstance(runnable, RunnableWithFallbacks):
            runnable = cast("Any", runnable).runnable
        else:
            return runnable


def _kind(declared: Any, read: Callable[[], Any], step: Any) -> Any:
    """A pydantic model for what has fields, else a type; `Any` for what cannot be known."""
    try:
        if isinstance(declared, str):
            return _resolved(declared, step)
        model = read()
    except UNREADABLE:
        return Any
    if not _is_model(model):
        return Any
    kind = model.model_fields["root"].annotation if issubclass(model, RootModel) else model
    return Any if isinstance(kind, TypeVar) else kind


def _declared(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except UNREADABLE:  # LangChain cannot infer it
        return Any


def _resolved(kind: str, step: Any) -> Any:
    """A type named by a string, as `from __future__ import annotations` leaves it in a function."""
    if not isinstance(step, RunnableLambda):
        return Any
    function: Any = getattr(cast("Any", step), "func", None) or cast("Any", step).afunc
    found = get_type_hints(function)
    written: Mapping[str, Any] = function.__annotations__
    resolved = next((found[name] for name, text in written.items() if text == kind), Any)
    return get_args(resolved)[0] if get_origin(resolved) in _STREAMS else resolved


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def _is_open(kind: Any) -> bool:
    """Whether LangChain tells of some keys only: the rest is then a field "root" that is not there."""
    return _is_model(kind) and not issubclass(kind, RootModel) and "root" in _fields(kind)


def _fields(kind: Any) -> Mapping[str, Any]:
    return kind.model_fields if _is_model(kind) else {}


def _members(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else [kind]


def _nature(kind: Any) -> str:
    if holds_messages(kind):
        return _TEXT
    natures = {_nature_of(member) for member in _members(kind) if member is not NoneType}
    return natures.pop() if len(natures) == 1 else _UNKNOWN


def _nature_of(kind: Any) -> str:
    if kind is str:
        return _TEXT
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return _UNKNOWN
    return _UNKNOWN if inspect.isclass(kind) and issubclass(kind, Runnable) else _DATA


def _adapter(kind: Any) -> TypeAdapter[Any] | None:
    try:
        return None if kind is Any else TypeAdapter[Any](kind)
    except UNREADABLE:
        return None


def _json_schema(kind: Any) -> dict[str, Any] | None:
    adapter = _adapter(kind)
    try:
        return None if adapter is None else adapter.json_schema()
    except UNREADABLE:
        return None


def _says_text(schema: Mapping[str, Any]) -> bool:
    options = cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", ()))
    told = schema.get("type", ())
    return "string" in ([told] if isinstance(told, str) else told) or any(_says_text(option) for option in options)


def _says_nothing(schema: Mapping[str, Any]) -> bool:
    return not schema.keys() & {"type", "anyOf", "allOf", "oneOf", "$ref", "enum", "const"}

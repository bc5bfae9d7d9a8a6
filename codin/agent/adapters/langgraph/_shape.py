"""What a graph takes and gives, read from the compiled graph."""

from __future__ import annotations

import contextlib
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import NoneType
from typing import Any, TypeAlias, cast, get_type_hints

from langgraph.channels import LastValue
from langgraph.pregel import Pregel
from pydantic import BaseModel, TypeAdapter

from codin.agent.adapters.langchain._types import UNREADABLE, holds_messages, leaves
from codin.errors import ConfigError

__all__ = ["MESSAGES", "Graph", "Shape", "entrypoint_of"]

Graph: TypeAlias = Pregel[Any, Any, Any, Any]

MESSAGES = "messages"
_ROOT = "__root__"


class Shape:
    """The outside of a graph.

    Args:
        graph: any compiled graph.
        text_field: the field that takes plain text; by default the first field that is a str.

    Attributes:
        fields: the input fields of a graph with a state, by type; empty for a graph that takes one value.
        value: the type of that one value, of a graph made with `@entrypoint` or with a state that is no object.
        chat_in: it reads a list of messages.
        chat_out: it answers in messages.
        open_fields: the fields of a chat graph, beside its messages, that a caller may set.
        text_field: the field that takes plain text; None when there is none.
    """

    def __init__(self, graph: Graph, text_field: str | None = None) -> None:
        self._graph: Any = graph  # its channels have type parameters that say nothing here
        self._builder: Any = getattr(graph, "builder", None)
        self.output: str | Sequence[str] = graph.output_channels
        names = self._input_names()
        self.value: Any = None if names else self._value_type()
        self.fields: Mapping[str, Any] = self._types(names, "input_schema")
        if names:
            self.chat_in = MESSAGES in names and self._holds_messages(MESSAGES, self.fields[MESSAGES])
        else:
            self.chat_in = holds_messages(self.value)
        if isinstance(self.output, str):
            self.chat_out = holds_messages(self._value_out())
        else:
            self.chat_out = MESSAGES in self.output and self._holds_messages(MESSAGES)
        declared = self._builder is not None and self._builder.input_schema is not self._builder.state_schema
        self.open_fields = frozenset(names) - {MESSAGES} if declared else frozenset[str]()
        self.text_field = self._text_field(text_field)

    def _input_names(self) -> Sequence[str]:
        if self._builder is not None:
            names = [name for name in self._builder.schemas[self._builder.input_schema] if self._is_channel(name)]
            return [] if names == [_ROOT] else names
        channels = self._graph.input_channels
        return [] if isinstance(channels, str) else list(channels)

    def _is_channel(self, name: str) -> bool:
        return name in self._graph.channels and hasattr(self._graph.channels[name], "UpdateType")

    def _value_type(self) -> Any:
        name = _ROOT if self._builder is not None else cast("str", self._graph.input_channels)
        return _resolved(self._channel_type(name), entrypoint_of(self._graph))

    def _value_out(self) -> Any:
        kind = getattr(self._graph.channels.get(self.output), "ValueType", Any)
        return _resolved(kind, entrypoint_of(self._graph))

    def _channel_type(self, name: str) -> Any:
        return getattr(self._graph.channels.get(name), "UpdateType", Any)

    def _types(self, names: Sequence[str], schema: str) -> Mapping[str, Any]:
        hints: dict[str, Any] = {}
        if self._builder is not None:
            try:
                hints = get_type_hints(getattr(self._builder, schema))
            except UNREADABLE:
                hints = {}
        return {name: hints.get(name, self._channel_type(name)) for name in names}

    def _holds_messages(self, name: str, hint: Any = None) -> bool:
        """Whether a channel is a conversation; `messages: list[str]` is none."""
        channel = self._graph.channels[name]
        reducer: Any = getattr(channel, "operator", None) or getattr(channel, "reducer", None)
        if getattr(reducer, "__module__", "").startswith("langgraph."):
            return True
        hint = self._channel_type(name) if hint is None else hint
        return hint in {Any, list} or holds_messages(hint)

    def _text_field(self, wanted: str | None) -> str | None:
        if wanted is not None:
            if wanted not in self.fields:
                raise ConfigError(
                    f"text_field {wanted!r} is no input field of the graph", hint=f"it has {', '.join(self.fields)}"
                )
            return wanted
        texts = [name for name, kind in self.fields.items() if _is_str(kind)]
        return texts[0] if texts and not self.chat_in else None

    @property
    def model(self) -> type[BaseModel] | None:
        """The pydantic model that validates the input; None when the graph validates nothing."""
        schema = None if self._builder is None else self._builder.input_schema
        return schema if inspect.isclass(schema) and issubclass(schema, BaseModel) else None

    @cached_property
    def checks(self) -> Mapping[str, TypeAdapter[Any]]:
        """What validates the input fields, where their types can be read. What a reducer takes is known to it alone."""
        found: dict[str, TypeAdapter[Any]] = {}
        for name, kind in self.fields.items():
            with contextlib.suppress(*UNREADABLE):
                if self._is_replaced(name):
                    found[name] = TypeAdapter(kind)
        return found

    def _is_replaced(self, name: str) -> bool:
        """Whether an input is of the channel's own type: it takes the place of the value, or is added to it."""
        channel = self._graph.channels[name]
        reducer: Any = getattr(channel, "operator", None)
        return isinstance(channel, LastValue) or getattr(reducer, "__module__", "") == operator.add.__module__

    @property
    def takes_text(self) -> bool:
        """Whether plain text is an input."""
        return self.chat_in or self.text_field is not None or (not self.fields and self.value in {str, Any})

    @property
    def declares_output(self) -> bool:
        """Whether the graph was compiled with an output schema of its own."""
        return self._builder is not None and self._builder.output_schema is not self._builder.state_schema

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data it takes; None for a conversation."""
        if self.chat_in:
            return None
        if not self.fields:
            return _value_schema(self.value)
        schema = _schema(self._graph.get_input_jsonschema, self.fields)
        if self.model is None and self._builder is not None and not self.open_fields:
            schema.pop("required", None)  # the state is the input: what the nodes fill in need not be sent
        return schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the data it gives; None for a conversation."""
        if isinstance(self.output, str):
            return None if self.chat_out else _value_schema(self._value_out())
        data = self.data_fields
        if self.chat_out and not data:
            return None
        types = self._types(data, "output_schema")
        schema = _schema(self._graph.get_output_jsonschema, types)
        return _without_messages(schema) if self.chat_out else schema

    @property
    def data_fields(self) -> Sequence[str]:
        """The output channels that are answered as data: all of a typed state, what a chat graph declares."""
        if isinstance(self.output, str):
            return ()
        if not self.chat_out:
            return list(self.output)
        if not self.declares_output:
            return [name for name in self.output if name == "structured_response"]
        return [name for name in self.output if name != MESSAGES]

    @property
    def text_output(self) -> str | None:
        """The only output field, when it is a str: it is answered as text too."""
        fields = self.data_fields
        if self.chat_out or len(fields) != 1:
            return None
        return fields[0] if _is_str(self._types(fields, "output_schema")[fields[0]]) else None


def entrypoint_of(graph: Graph) -> Callable[..., Any] | None:
    """The function that `@entrypoint` made this graph of; None for any other graph."""
    if hasattr(graph, "builder") or len(graph.nodes) != 1:
        return None
    (node,) = graph.nodes.values()
    bound: Any = node.bound
    return getattr(bound, "afunc", None) or getattr(bound, "func", None)


def _resolved(kind: Any, function: Callable[..., Any] | None) -> Any:
    """A type that an entrypoint names by a string, as every one does under `from __future__ import annotations`."""
    if not isinstance(kind, str):
        return kind
    try:
        hints = get_type_hints(function) if function is not None else {}
    except UNREADABLE:
        return Any
    written: Mapping[str, Any] = getattr(function, "__annotations__", {})
    return next((hints[name] for name, text in written.items() if text == kind), Any)


def _schema(read: Callable[[], dict[str, Any]], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A graph's JSON Schema.

    pydantic refuses `typing.TypedDict` on Python below 3.12, and a type that it does not know at any version; the
    fields that can be described are described then, one by one.
    """
    try:
        return read()
    except UNREADABLE:
        properties = {name: _value_schema(kind) or {} for name, kind in fields.items()}
        return {"type": "object", "properties": properties}


def _value_schema(kind: Any) -> dict[str, Any] | None:
    if kind is Any:
        return None
    try:
        return TypeAdapter(kind).json_schema()
    except UNREADABLE:
        return None


def _without_messages(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: value for name, value in schema.get("properties", {}).items() if name != MESSAGES}
    kept = {key: value for key, value in schema.items() if key not in {"properties", "required"}}
    if "anyOf" not in str(properties) and "$ref" not in str(properties):
        kept.pop("$defs", None)
    return {**kept, "properties": properties}


def _is_str(kind: Any) -> bool:
    return kind is str or {str, NoneType} == set(leaves(kind))

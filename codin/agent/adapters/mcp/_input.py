"""A message becomes the call of a tool, or is rejected with the list of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mcp import types
from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._questions import object_of, parse_json
from codin.task import Reject
from codin.tool._json_schema import JsonSchema, Misfit, SchemaBroken

__all__ = ["Tools", "mismatch"]


class Tools:
    """The tools of a server, as what callers choose from.

    Args:
        text_tool: the tool that plain text goes to; found by itself when only one takes one text.
    """

    def __init__(self, tools: Sequence[types.Tool], text_tool: str | None = None) -> None:
        self._tools = {tool.name: tool for tool in tools}
        texts = {tool.name: field for tool in tools if (field := _text_field(tool.inputSchema)) is not None}
        if text_tool is not None:
            texts = {text_tool: texts[text_tool]} if text_tool in texts else {}
        self.text_tool: tuple[str, str] | None = next(iter(texts.items())) if len(texts) == 1 else None

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the data part: the arguments of the only tool, or a tool and its arguments."""
        if len(self._tools) == 1:
            return next(iter(self._tools.values())).inputSchema
        definitions: dict[str, Any] = {}
        calls: list[dict[str, Any]] = []
        for name, tool in self._tools.items():
            place = f"#/$defs/{name}."
            arguments = cast("dict[str, Any]", _moved(tool.inputSchema, place))
            definitions |= {f"{name}.{key}": value for key, value in arguments.pop("$defs", {}).items()}
            calls.append({"properties": {"tool": {"const": name}, "arguments": arguments}})
        properties = {"tool": {"enum": list(self._tools)}, "arguments": {"type": "object"}}
        whole = {"type": "object", "properties": properties, "required": ["tool", "arguments"], "oneOf": calls}
        return {**whole, "$defs": definitions} if definitions else whole

    def call_of(self, message: a2a.Message) -> tuple[str, dict[str, Any]]:
        """The tool that a message calls, and its arguments.

        Raises:
            Reject: there is no such tool, or the arguments do not fit.
        """
        text = a2a.text_of(message.parts)
        given: list[Any] = [part.data for part in message.parts if part.kind == "data"]
        if len(given) > 1 or any(part.kind not in {"text", "data"} for part in message.parts):
            raise Reject(f"One call at a time, and no files. {self._listed()}")
        if not given and (parsed := object_of(parse_json(text))) and self._is_call(parsed):
            given, text = [parsed], ""
        name, arguments = self._chosen(given[0] if given else None, text)
        problem = mismatch(arguments, self._tools[name].inputSchema)
        if problem:
            raise Reject(f"{problem}. {self._listed()}")
        return name, arguments

    def misfit(self, name: str, result: types.CallToolResult) -> str:
        """What of a result does not fit the tool's schema of results; "" when all of it does."""
        schema = self._tools[name].outputSchema
        return "" if schema is None or result.isError else mismatch(result.structuredContent, schema)

    def _is_call(self, fields: Mapping[str, Any]) -> bool:
        return isinstance(fields.get("tool"), str) or (len(self._tools) == 1 and self.text_tool is None)

    def _chosen(self, data: Any, text: str) -> tuple[str, dict[str, Any]]:
        fields = object_of(data)
        if isinstance(fields.get("tool"), str) and fields.keys() <= {"tool", "arguments"}:
            if fields["tool"] not in self._tools:
                raise Reject(f"There is no tool {fields['tool']!r}. {self._listed()}")
            return fields["tool"], dict(object_of(fields.get("arguments")))
        if isinstance(data, dict) and len(self._tools) == 1:
            return next(iter(self._tools)), dict(fields)
        if data is None and text and self.text_tool is not None:
            name, field = self.text_tool
            return name, {field: text}
        raise Reject(f"It is not clear which tool to call. {self._listed()}")

    def _listed(self) -> str:
        tools = "; ".join(_signature(tool) for tool in self._tools.values())
        example = '{"tool": name, "arguments": {…}}'
        return f"Send a data part {example}. The tools are: {tools}"


def mismatch(value: Any, schema: Mapping[str, Any]) -> str:
    """What does not fit a JSON Schema; "" when all of it does, or when the schema is none."""
    try:
        JsonSchema(schema).check(value)
    except Misfit as misfit:
        return str(misfit)
    except SchemaBroken:  # the server will say what it thinks
        return ""
    return ""


def _text_field(schema: Mapping[str, Any]) -> str | None:
    """The one argument that has to be given, when it is a text."""
    properties = object_of(schema.get("properties"))
    required: Sequence[str] = schema.get("required", ()) or (list(properties) if len(properties) == 1 else ())
    if len(required) == 1 and object_of(properties.get(required[0])).get("type") == "string":
        return required[0]
    return None


def _moved(schema: Any, place: str) -> Any:
    """A schema whose definitions stand at another place."""
    if isinstance(schema, list):
        return [_moved(item, place) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: place + value.removeprefix("#/$defs/")
        if key == "$ref" and isinstance(value, str) and value.startswith("#/$defs/")
        else _moved(value, place)
        for key, value in cast("dict[str, Any]", schema).items()
    }


def _signature(tool: types.Tool) -> str:
    properties = object_of(tool.inputSchema.get("properties"))
    required = tool.inputSchema.get("required", ())
    arguments = [
        f"{name}{'' if name in required else '?'}: {_kind(object_of(field))}" for name, field in properties.items()
    ]
    return f"{tool.name}({', '.join(arguments)})"


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(to_json(value).decode() for value in schema["enum"])
    return str(schema.get("type", "any"))

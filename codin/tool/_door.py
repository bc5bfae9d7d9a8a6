"""What stands between a call and one tool: its schemas, its secrets, its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from pydantic_core import from_json

from codin.errors import InvalidArguments, InvalidResult, ToolFailed
from codin.tool._function import FunctionTool
from codin.tool._gate import Gate
from codin.tool._json_schema import JsonSchema, Misfit, SchemaBroken
from codin.tool._protocol import Sandboxing
from codin.tool._redaction import Redaction
from codin.tool._registry import Listed
from codin.tool._result import json_of

__all__ = ["Door"]


class Door:
    """One tool as an executor has it.

    A function is checked by pydantic, which made its schema; every other tool by its schema.

    Args:
        wait: seconds a call waits for its turn.
        sandbox: takes the place of what the tool's spec says.
    """

    def __init__(self, listed: Listed, wait: float, sandbox: Sandboxing | None) -> None:
        self.name = listed.name
        self.spec = listed.spec if sandbox is None else replace(listed.spec, sandbox=sandbox)
        self.tool = listed.tool
        is_function = isinstance(listed.tool, FunctionTool)
        self.function = cast("FunctionTool[..., Any]", listed.tool) if is_function else None
        self.gate = Gate(listed.name, listed.spec, wait)

    @cached_property
    def redaction(self) -> Redaction:
        return Redaction(self.spec.input_schema, self.spec.secrets)

    @cached_property
    def _input(self) -> JsonSchema:
        return self._compiled(self.spec.input_schema, "input")

    @cached_property
    def _output(self) -> JsonSchema | None:
        schema = self.spec.output_schema
        return None if schema is None else self._compiled(schema, "output")

    def _compiled(self, schema: Mapping[str, Any], which: str) -> JsonSchema:
        try:
            return JsonSchema(schema)
        except SchemaBroken as broken:
            raise self._broken(which, broken) from None

    def _broken(self, which: str, broken: SchemaBroken) -> ToolFailed:
        return ToolFailed(f"the {which} schema of {self.name!r} is of no use: {broken}", tool=self.name)

    def bind(self, arguments: Mapping[str, Any], body: bytes) -> Mapping[str, Any]:
        """The arguments as the tool takes them.

        Args:
            arguments: as JSON has them; `body` is that JSON.

        Raises:
            InvalidArguments: they do not fit.
        """
        if self.function is not None:
            return self.function.bind(arguments, body)
        try:
            self._input.check(arguments)
        except Misfit as misfit:
            takes = ", ".join(self.spec.input_schema.get("properties", ())) or "no arguments"
            raise InvalidArguments(
                f"the arguments of {self.name!r} do not fit: {misfit}",
                tool=self.name,
                field=misfit.field,
                hint=f"it takes {takes}",
            ) from None
        except SchemaBroken as broken:
            raise self._broken("input", broken) from None
        return arguments

    def encode(self, value: Any) -> bytes:
        """A result as JSON that fits.

        Raises:
            InvalidResult: it does not fit, or is no JSON.
        """
        if self.function is not None:
            return self.function.result.encode(value)
        body = json_of(value, self.name)
        if self._output is not None:
            try:
                self._output.check(from_json(body))
            except Misfit as misfit:
                raise InvalidResult(
                    f"the result of {self.name!r} does not fit its schema: {misfit}", tool=self.name
                ) from None
            except SchemaBroken as broken:
                raise self._broken("output", broken) from None
        return body

    def encode_piece(self, piece: Any) -> bytes:
        """A piece of a result as JSON. Raises InvalidResult."""
        return json_of(piece, self.name) if self.function is None else self.function.result.encode_piece(piece)

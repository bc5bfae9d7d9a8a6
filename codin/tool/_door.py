"""What stands between a call and one tool: its schemas, its secrets, its bounds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn, cast

from codin.errors import InvalidArguments, InvalidResult, StoreError, TaskClosed, ToolError, ToolFailed
from codin.task import LimitReached, NeedAuth, NeedInput, Reject, ResumeMismatch
from codin.tool._function import FunctionTool
from codin.tool._gate import Gate
from codin.tool._given import unfit
from codin.tool._json_schema import JsonSchema, Misfit, SchemaBroken
from codin.tool._protocol import Sandboxing
from codin.tool._redaction import Redaction
from codin.tool._registry import Listed
from codin.tool._result import json_of, value_of
from codin.tool._sandboxed import told_of

__all__ = ["OF_THE_RUN", "Door"]

_logger = logging.getLogger("codin.tool")
_SHOWN = 300  # letters of what a tool raised

# What ends or pauses the run of an agent, and is nothing that a model could act on.
OF_THE_RUN = (NeedInput, NeedAuth, Reject, LimitReached, ResumeMismatch, TaskClosed, StoreError)


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

    @property
    def is_blocking(self) -> bool:
        """It has a thread to itself in this process, which nobody can stop."""
        return self.function is not None and self.function.is_blocking

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
            try:
                return self.function.bind(arguments, body)
            except Exception as error:
                self._misfit(InvalidArguments, f"the arguments of {self.name!r} do not fit", error, arguments)
        try:
            self._input.check(arguments)
        except Misfit as misfit:
            raise unfit(self.name, self.spec.input_schema, misfit.field, str(misfit)) from None
        except SchemaBroken as broken:
            raise self._broken("input", broken) from None
        return arguments

    def encode(self, value: Any, arguments: Mapping[str, Any]) -> bytes:
        """A result for these arguments, as JSON that fits.

        Raises:
            InvalidResult: it does not fit, or is no JSON.
        """
        try:
            return self._encoded(value) if self.function is None else self.function.result.encode(value)
        except Exception as error:
            self._misfit(InvalidResult, f"the result of {self.name!r} does not fit", error, arguments)

    def encode_piece(self, piece: Any, arguments: Mapping[str, Any]) -> bytes:
        """A piece of a result as JSON. Raises InvalidResult."""
        try:
            return json_of(piece, self.name) if self.function is None else self.function.result.encode_piece(piece)
        except Exception as error:
            self._misfit(InvalidResult, f"the result of {self.name!r} does not fit", error, arguments)

    def _encoded(self, value: Any) -> bytes:
        body = json_of(value, self.name)
        if self._output is not None:
            try:
                self._output.check(value_of(body, self.name))
            except Misfit as misfit:
                raise InvalidResult(
                    f"the result of {self.name!r} does not fit its schema: {misfit}", tool=self.name
                ) from None
            except SchemaBroken as broken:
                raise self._broken("output", broken) from None
        return body

    # -- what was raised -----------------------------------------------------------------------------------------------

    def reason(self, error: BaseException, arguments: Mapping[str, Any]) -> str:
        """What a tool raised: its kind and first line, which a model needs, and nothing else; without the secrets."""
        kind, said = told_of(error)
        said = self.redaction.clean(said, arguments).strip().partition("\n")[0][:_SHOWN]
        return ": ".join(filter(None, (kind, said)))

    def cleaned(self, error: ToolError, arguments: Mapping[str, Any]) -> ToolError:
        """What a tool raised in its own words, without the secrets in them."""
        error.message = self.redaction.clean(error.message, arguments)
        error.hint = error.hint and self.redaction.clean(error.hint, arguments)
        error.args = (error.message,)
        return error

    def trace(self, error: BaseException) -> BaseException | None:
        """What may stand in a log of it: a traceback has the exception's text, and so what may be secret in it."""
        return None if self.redaction.needed else error

    def _misfit(
        self,
        kind: type[InvalidArguments | InvalidResult],
        what: str,
        error: Exception,
        arguments: Mapping[str, Any],
    ) -> NoReturn:
        """Raise what stands for what a validator raised."""
        if isinstance(error, ToolError):
            raise self.cleaned(error, arguments)
        if isinstance(error, OF_THE_RUN):
            raise error
        reason, trace = self.reason(error, arguments), self.trace(error)
        _logger.warning("%s: %s", what, reason, exc_info=trace)
        raise kind(f"{what}: {reason}", tool=self.name) from trace

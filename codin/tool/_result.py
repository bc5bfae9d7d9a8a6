"""What a function gives, checked by its return hint and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from codin.errors import InvalidResult
from codin.tool._describe import schema_of
from codin.tool._hints import Hint, Kind
from codin.tool._json_schema import JsonSchema, Misfit, SchemaBroken

__all__ = ["Result", "json_of", "value_of"]


class Result:
    """The return hint of a tool, or the hint of what it yields.

    Attributes:
        schema: JSON Schema of the result; None for text, and where there is no hint.
    """

    def __init__(self, hint: Hint | None, tool: str, *, streams: bool) -> None:
        self._tool = tool
        self._streams = streams
        self._text = hint is not None and hint.kind is Kind.TEXT and not hint.constrained and not hint.nullable
        self._adapter: TypeAdapter[Any] | None = None if hint is None else _adapter_of(hint)
        schema = None if self._adapter is None or _says_nothing(hint) else schema_of(self._adapter, "serialization")
        self._piece: Mapping[str, Any] | None = None if schema is None else dict(schema)
        if schema is not None and streams:
            definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
            schema = {"type": "array", "items": schema, **definitions}
        self.schema: Mapping[str, Any] | None = schema

    def encode(self, value: Any) -> bytes:
        """A result as JSON.

        Raises:
            InvalidResult: it does not fit the hint, or is no JSON.
        """
        if not self._streams:
            return self.encode_piece(value)
        if isinstance(value, list):
            return b"[%s]" % b",".join([self.encode_piece(piece) for piece in cast("list[Any]", value)])
        return json_of(value, self._tool)

    def encode_piece(self, value: Any) -> bytes:
        """The same of one piece of what a generator yields."""
        adapter = self._adapter
        if adapter is None or (self._text and type(value) is str):
            return json_of(value, self._tool)
        try:
            checked = adapter.validate_python(value)
            body = adapter.dump_json(checked, by_alias=True)
            if self._piece is not None and b"null" in body and _has_no_word(adapter, checked):
                JsonSchema(self._piece).check(from_json(body))
            return body
        except (Misfit, SchemaBroken) as error:
            reason = f"{error}; NaN and infinity are null in JSON"
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(step) for step in problem["loc"])
            reason = f"{place}: {problem['msg']}" if place else problem["msg"]
        except (ValueError, TypeError, RecursionError) as error:
            reason = f"it is not JSON ({type(error).__name__})"
        raise InvalidResult(f"the result of {self._tool!r} does not fit its type: {reason}", tool=self._tool)


def json_of(value: Any, tool: str) -> bytes:
    """Any value as JSON. Raises InvalidResult when it is none."""
    try:
        return to_json(value, by_alias=True, inf_nan_mode="null")
    except (ValueError, TypeError, RecursionError):
        kind = type(value).__name__
        raise InvalidResult(f"the result of {tool!r} is not JSON but {kind!r}", tool=tool) from None


def value_of(body: bytes, tool: str) -> Any:
    """A result that is this JSON. Raises InvalidResult for a number that is too long, and what is too deep."""
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidResult(f"the result of {tool!r} cannot be read: {error}", tool=tool) from None


def _has_no_word(adapter: TypeAdapter[Any], value: Any) -> bool:
    """Whether a number in it is NaN or infinite, for which JSON has no word."""
    plain = adapter.dump_python(value, mode="json", by_alias=True)
    try:
        from_json(to_json(plain, inf_nan_mode="constants"), allow_inf_nan=False)
    except ValueError:
        return True
    return False


def _adapter_of(hint: Hint) -> TypeAdapter[Any] | None:
    """None for a type that pydantic does not know: then what the function gives has to be JSON by itself."""
    try:
        return TypeAdapter(hint.full)
    except Exception:
        return None


def _says_nothing(hint: Hint | None) -> bool:
    """Whether the hint is that of text, or of anything."""
    return hint is None or (hint.kind in (Kind.TEXT, Kind.ANY) and not hint.nullable and not hint.constrained)

"""What back-ends keep as JSON."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from codin.errors import NotKept

__all__ = ["json_of"]


def json_of(value: Any) -> bytes:
    """JSON. Raises NotKept for what has none, such as half a character."""
    try:
        return to_json(value)
    except (PydanticSerializationError, ValueError) as error:
        raise NotKept(f"this is no JSON: {str(error)[:200]}") from error

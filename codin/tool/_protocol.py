"""The promise of a tool: a name, a description with schemas, and one coroutine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model and a caller must know to use a tool.

    Args:
        description: what it does and when to use it, for a model or a person to read.
        input_schema: JSON Schema of the arguments, always of type object; the default takes no argument.
        output_schema: JSON Schema of the result, or None when the result is free text.
    """

    description: str
    input_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}}, hash=False)
    output_schema: Mapping[str, Any] | None = field(default=None, hash=False)


@runtime_checkable
class Tool(Protocol):
    """Anything with these three members; a plain class with two attributes and one coroutine fits.

    Example:
        class Shout:
            name = "shout"
            spec = ToolSpec("Say it louder.")

            async def invoke(self, text: str) -> str:
                return text.upper()
    """

    @property
    def name(self) -> str:
        """The name a model calls it by, unique among the tools of one agent."""
        ...

    @property
    def spec(self) -> ToolSpec: ...

    async def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work and return the result: a JSON value, or what `spec.output_schema` says."""
        ...

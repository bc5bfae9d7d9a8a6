"""A message becomes the input of a crew or a flow, or is rejected with a reason a person can read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._expected import expected
from codin.agent.adapters._media import media_type_of
from codin.agent.adapters._questions import object_of, parse_json
from codin.errors import ConfigError
from codin.task import Reject

__all__ = ["Fields", "text_of"]


@dataclass(frozen=True)
class Fields:
    """The inputs of a crew or a flow.

    Args:
        agent: the name of whose they are.
        names: those a caller may give; None for any.
        schema: JSON Schema of them, for the card.
        required: those it must give.
        text: the one that takes plain text; None when none does.
        values: of those it need not give.
        refuses_text: when no field takes it; else any text starts a run.
    """

    agent: str
    names: Collection[str] | None
    schema: Mapping[str, Any] | None = None
    required: Collection[str] = ()
    text: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refuses_text: bool = False

    def read(self, message: a2a.Message) -> dict[str, Any]:
        """The inputs that a message gives.

        Raises:
            Reject: it does not fit; the reason names what is expected.
        """
        text, data = _text_and_data(self.agent, message.parts)
        if text and data is None and isinstance(parsed := parse_json(text), dict):
            text, data = "", cast("Any", parsed)
        if data is not None and not isinstance(data, dict):
            raise Reject(self._expected())
        given: dict[str, Any] = dict(object_of(data))
        if text and self.text is not None:
            given.setdefault(self.text, text)
        elif text and data is None and self.refuses_text:
            raise Reject(self._expected())
        if self.names is not None and (unknown := sorted(given.keys() - set(self.names))):
            raise Reject(f"{self.agent} has no input {', '.join(map(repr, unknown))}. {self._expected()}")
        given = {**self.values, **given}
        if missing := sorted(set(self.required) - given.keys()):
            raise Reject(f"{self.agent} needs {', '.join(map(repr, missing))}. {self._expected()}")
        return given

    def _expected(self) -> str:
        if self.names is None:
            return f"{self.agent} takes a JSON object: send it as a data part, or as JSON text."
        if not self.names:
            return f"{self.agent} takes no input: any text starts it."
        return expected(self.agent, self.schema, self.names)


def text_field(wanted: str | None, candidates: Sequence[str], names: Collection[str]) -> str | None:
    """The input that takes plain text: the wanted one, or the only one that could."""
    if wanted is not None and names and wanted not in names:
        raise ConfigError(f"text_field {wanted!r} is no input", hint=f"the inputs are {', '.join(sorted(names))}")
    return wanted or (candidates[0] if len(candidates) == 1 else None)


def text_of(agent: str, message: a2a.Message) -> str:
    """All of a message as one text; data as its JSON."""
    text, data = _text_and_data(agent, message.parts)
    return "\n\n".join(part for part in (text, "" if data is None else to_json(data).decode()) if part)


def _text_and_data(agent: str, parts: Sequence[a2a.Part]) -> tuple[str, Any]:
    """The text, files with text included, and the data."""
    texts: list[str] = []
    data = [part.data for part in parts if part.kind == "data"]
    for part in parts:
        if part.text is not None:
            texts.append(part.text)
        elif part.raw is not None and media_type_of(part).startswith("text/"):
            texts.append(part.raw.decode(errors="replace"))
        elif part.kind != "data":
            raise Reject(f"{agent} takes no files but text, and got {part.filename or media_type_of(part)!r}.")
    if len(data) > 1:
        raise Reject(f"{agent} takes one data part, and got {len(data)}.")
    return "\n\n".join(texts), data[0] if data else None

"""What was said in a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, cast, get_args

from pydantic_core import PydanticSerializationError, to_json

from codin.errors import ConfigError, NotKept
from codin.memory._limits import MemoryLimits, within
from codin.memory._protocol import MemoryBackend, Role, Scope, Summary, Utterance
from codin.memory._storable import storable
from codin.task._clock import now_ms

__all__ = ["History", "Summarise", "Window", "check_utterances"]

_LONGEST = 1000
_KINDS: Final = {
    "role": str, "text": str, "parts": Sequence, "metadata": Mapping,
    "at": int, "task_id": str, "number": int, "index": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summarise:
    """When and how a conversation's beginning becomes one text.

    Args:
        make: given the summary until now, "" for none, and what was said since; gives the new one.
        longer_than: utterances that are not summarised, before the older ones are.
        keep: of them, the newest stay as they are.

    Raises:
        ConfigError: a number is out of range.
    """

    make: Callable[[str, Sequence[Utterance]], Awaitable[str]]
    longer_than: int = 100
    keep: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.longer_than <= _LONGEST:
            raise ConfigError(f"longer_than={self.longer_than} is no number of utterances", hint=f"1 to {_LONGEST}")
        if not 0 <= self.keep < self.longer_than:
            raise ConfigError(f"keep={self.keep} is not less than longer_than={self.longer_than}, or less than 0")


class Window(NamedTuple):
    """The end of a conversation.

    Args:
        summary: of what came before; "" when there is none.
        utterances: oldest first.
    """

    summary: str
    utterances: Sequence[Utterance]


class History:
    """What was said in one conversation. With `memory=`, a server fills it from its tasks by itself."""

    def __init__(
        self,
        backend: MemoryBackend,
        scope: Scope,
        context_id: str,
        limits: MemoryLimits,
        summarise: Summarise | None,
        ready: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._backend = backend
        self._scope = scope
        self._context_id = context_id
        self._limits = limits
        self._summarise = summarise
        self._ready = ready

    async def append(self, said: str | Utterance, *, role: Role = "user") -> None:
        """Add what was said outside of tasks. Raises NotKept when it is too long, or no utterance."""
        if isinstance(said, str):
            said = Utterance(role=role, text=said)
        if not isinstance(cast(object, said), Utterance):
            raise NotKept(f"{repr(said)[:80]} is no text, and no Utterance")
        said = said if said.at else replace(said, at=now_ms())
        await self._backend.append(self._scope, self._context_id, check_utterances([said], self._limits))

    async def window(self, limit: int = 50) -> Window:
        """The newest utterances, `limit` at most, and the summary of what was before.

        With `summarise`, a conversation that has grown too long is summarised first; when that fails, its error comes
        through, and nothing is lost.
        """
        if self._ready is not None:
            await self._ready()
        limit = within(limit, self._limits)
        summary = await self._backend.summary(self._scope, self._context_id)
        if self._summarise is not None:
            summary = await self._shortened(self._summarise, summary)
        covered = summary.covers if summary is not None else 0
        said = await self._backend.window(self._scope, self._context_id, limit=limit, after=covered)
        return Window(summary.text if summary is not None else "", said)

    async def _shortened(self, how: Summarise, summary: Summary | None) -> Summary | None:
        while True:
            said = await self._backend.window(
                self._scope,
                self._context_id,
                limit=max(self._limits.results, how.longer_than + 1),
                after=summary.covers if summary is not None else 0,
                oldest=True,
            )
            if len(said) <= how.longer_than:
                return summary
            old = said[: len(said) - how.keep]
            text = await how.make(summary.text if summary is not None else "", old)
            if len(text) > self._limits.text:
                raise NotKept(f"a summary of {len(text)} letters is too long", hint=f"{self._limits.text} are kept")
            summary = Summary(storable(text), old[-1].place)
            await self._backend.summarise(self._scope, self._context_id, summary)


def check_utterances(said: Sequence[Utterance], limits: MemoryLimits) -> Sequence[Utterance]:
    """Utterances as they can be kept. Raises NotKept."""
    if len(said) > limits.batch:
        raise NotKept(f"{len(said)} utterances are too many for one call", hint=f"{limits.batch} are kept")
    return [_checked(one, limits) for one in said]


def _checked(one: Utterance, limits: MemoryLimits) -> Utterance:
    for name, kind in _KINDS.items():
        if not isinstance(value := getattr(one, name), kind):
            raise NotKept(f"the field {name!r} of an utterance is no {kind.__name__}, but {type(value).__name__}")
    if not all(isinstance(cast(object, part), Mapping) for part in one.parts):
        raise NotKept("a part of an utterance is no mapping")
    if one.role not in get_args(Role):
        raise NotKept(f"{one.role!r} is no role of an utterance", hint=", ".join(get_args(Role)))
    if len(one.text) > limits.text:
        raise NotKept(f"an utterance of {len(one.text)} letters is too long", hint=f"{limits.text} are kept")
    for what, value, most in (("parts", one.parts, limits.parts), ("metadata", one.metadata, limits.metadata)):
        try:
            size = len(to_json(value)) if value else 0
        except (PydanticSerializationError, ValueError) as error:
            raise NotKept(f"the {what} of an utterance are no JSON: {error}") from error
        if size > most:
            raise NotKept(f"{what} of {size} bytes are too large", hint=f"{most} are kept")
    return one if (text := storable(one.text)) == one.text else replace(one, text=text)

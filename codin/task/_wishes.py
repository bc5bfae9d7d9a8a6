"""What a message wants of the answer beside the work: media types and extensions. Spec 3.2.2, 3.2.6."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import from_json, to_json

from codin import a2a
from codin.task._clock import now_ms
from codin.task._entry import Entry, PrivateEntry

__all__ = ["NO_WISHES", "Wishes", "wishes_entry", "wishes_in", "wishes_of"]


class Wishes(NamedTuple):
    """Those of the newest message that had any.

    Attributes:
        output_modes: media types that the answer may have; empty for any.
        extensions: URIs of the agent's own extensions that the client has activated.
    """

    output_modes: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    def accept(self, media_type: str) -> bool:
        """Whether the answer may have this media type; parameters do not count."""
        name = media_type.partition(";")[0].strip().lower()
        return not self.output_modes or any(fnmatchcase(name, mode) for mode in self.output_modes)

    def fit(self, part: a2a.Part) -> a2a.Part:
        """The part as it is, but data as text for a caller that takes text and no JSON."""
        if part.kind != "data" or self.accept("application/json") or not self.accept("text/plain"):
            return part
        return a2a.Part(text=to_json(part.data).decode(), metadata=part.metadata)


NO_WISHES = Wishes()


def wishes_of(configuration: a2a.SendMessageConfiguration | None, extensions: Sequence[str]) -> Wishes | None:
    """What a request wants; None when it leaves all of it open."""
    modes = configuration.accepted_output_modes if configuration is not None else ()
    return _wishes(tuple(modes), tuple(extensions)) if modes or extensions else None


@lru_cache(maxsize=128)  # a client wants the same of each answer
def _wishes(modes: tuple[str, ...], extensions: tuple[str, ...]) -> Wishes:
    names = [mode.partition(";")[0].strip().lower() for mode in modes]
    # `text` for `text/plain` is what clients of 0.3 send
    return Wishes(tuple([name if "/" in name else f"{name}/*" for name in names]), extensions)


def wishes_entry(wishes: Wishes) -> PrivateEntry:
    """The record of it. It is written when another process may have to know it: most turns end where they began."""
    return PrivateEntry("wishes", now_ms(), to_json(wishes))


def wishes_in(entries: Sequence[Entry]) -> Wishes:
    """What holds by a log."""
    newest = next((entry for entry in reversed(entries) if entry.kind == "wishes"), None)
    return NO_WISHES if newest is None else Wishes(*map(tuple, from_json(newest.body)))

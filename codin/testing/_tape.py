"""The file of a cassette: exchanges, as people read them, and the search for the one that answers a request."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from codin.errors import ConfigError
from codin.testing._redaction import Redaction, object_of

__all__ = ["Asked", "CassetteMiss", "Exchange", "Tape"]

_FORMAT = "codin cassette 1"
_READS = frozenset({"GET", "GetTask", "ListTasks"})  # asked again, the last answer is as good as any


class CassetteMiss(AssertionError):
    """A request that was not recorded. The text shows how the nearest recorded one differs from it."""


@dataclass
class Asked:
    """A request.

    Args:
        method: of the call, or of HTTP where the body is no call.
        params: of the call; the body where it is no call.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    params: Any

    @property
    def gist(self) -> Any:
        """What makes two requests the same: the id that a client makes up for each message is left out."""
        params = self.params
        if message := object_of(object_of(params).get("message")):
            told = {name: value for name, value in message.items() if name != "messageId"}
            params = {**object_of(params), "message": told}
        return [self.method, params, self.headers.get("last-event-id")]

    def __str__(self) -> str:
        method, params, after = self.gist
        behind = "" if after is None else f" behind event {after}"
        return f"{method}{behind} {json.dumps(params, indent=2, ensure_ascii=False)}"


@dataclass
class Exchange:
    """A request and its answer, which is a body or a stream of events.

    Attributes:
        end: how the stream ended: properly, by a lost connection, or not at all before its reader left.
    """

    asked: Asked
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    events: list[dict[str, Any]] | None = None
    end: Literal["closed", "cut", "open"] = "closed"
    played: int = 0

    def to_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"status": self.status, "headers": self.headers}
        if self.events is None:
            answer["body"] = self.body
        else:
            answer |= {"events": self.events, "end": self.end}
        return {"request": asdict(self.asked), "response": answer}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Exchange:
        return cls(Asked(**fields["request"]), **fields["response"])


class Tape:
    """The exchanges of one file, in the order in which they began."""

    def __init__(self, path: Path, redaction: Redaction) -> None:
        self._path = path
        self._redaction = redaction
        self.exchanges: list[Exchange] = []

    def load(self) -> None:
        """Read the file.

        Raises:
            ConfigError: there is none, or it is no cassette.
        """
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise ValueError(f"its format is {document['format']!r}")
            self.exchanges = [Exchange.from_json(each) for each in document["exchanges"]]
        except FileNotFoundError:
            raise ConfigError(f"there is no cassette {str(self._path)!r}", hint="record it first") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{str(self._path)!r} is no cassette that can be read: {error}") from error

    def save(self) -> None:
        """Write what is complete."""
        complete = [exchange.to_json() for exchange in self.exchanges if exchange.status]
        document = {"format": _FORMAT, "exchanges": self._redaction.clean(complete)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n", encoding="utf-8")

    def find(self, asked: Asked) -> Exchange:
        """The exchange that answers a request: the first one like it that was not given yet.

        The host does not count, so that a recorded server need not be where it was; it decides between two.

        Raises:
            CassetteMiss: there is none.
        """
        wanted = self._redaction.clean(asked.gist)
        same = [each for each in self.exchanges if each.asked.gist == wanted and _path(each.asked) == _path(asked)]
        same.sort(key=lambda each: each.asked.url != asked.url)
        found = next((each for each in same if not each.played), None)
        if found is None and same and asked.method in _READS:
            found = same[-1]
        if found is None:
            raise self._miss(asked, len(same))
        found.played += 1
        return found

    def _miss(self, asked: Asked, times: int) -> CassetteMiss:
        if times:
            return CassetteMiss(f"{self._path} has this request {times}×, and it is asked once more:\n{asked}")
        text = str(Asked(asked.method, asked.url, asked.headers, self._redaction.clean(asked.params)))
        others = sorted(self.exchanges, key=lambda each: _likeness(str(each.asked), text), reverse=True)
        if not others:
            return CassetteMiss(f"{self._path} is empty. Asked was:\n{text}")
        recorded = str(others[0].asked)
        if recorded == text:
            return CassetteMiss(f"{self._path} has this only for {others[0].asked.url}, not for {asked.url}:\n{text}")
        lines = difflib.unified_diff(recorded.splitlines(), text.splitlines(), "recorded", "asked", lineterm="", n=9)
        return CassetteMiss(f"{self._path} has no answer to this request. The nearest one in it:\n" + "\n".join(lines))


def _path(asked: Asked) -> str:
    """Where on its host a request goes."""
    return asked.url.partition("://")[2].partition("/")[2]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()

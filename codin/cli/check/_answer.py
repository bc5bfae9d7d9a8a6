"""What a server has answered, as it came, and what it comes to in its binding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codin.cli.check._json import Json, is_object

__all__ = ["Answer", "Refusal", "shortened"]

_SHOWN = 400
_TURNED_AWAY = frozenset({401, 403, "UNAUTHENTICATED", "PERMISSION_DENIED"})


@dataclass(frozen=True)
class Refusal:
    """An error of the binding.

    Attributes:
        code: a number of JSON-RPC or HTTP, the name of a gRPC status.
        details: as they came; None where there is no list of them.
    """

    code: int | str
    message: str
    details: Sequence[Any] | None = None

    def detail(self, kind: str) -> Json:
        """The first detail of a type of google.rpc; empty where there is none."""
        for each in self.details or ():
            if is_object(each) and str(each.get("@type", "")).endswith(f".{kind}"):
                return each
        return {}

    @property
    def reason(self) -> str | None:
        return self.detail("ErrorInfo").get("reason")


@dataclass
class Answer:
    """One exchange.

    Attributes:
        sent: the request in a line, without credentials.
        status: of HTTP; 0 in gRPC.
        headers: by their names in lower case.
        body: of an answer that is no stream.
        result: the object that answers the operation.
        refusal: the error instead of it.
        fault: why it is neither.
        events: the objects of a stream; `raw_events` as they came.
        streamed: the answer is a stream.
        ended: the server has closed the stream.
    """

    sent: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    result: Any = None
    refusal: Refusal | None = None
    fault: str | None = None
    events: list[Json] = field(default_factory=list[Json])
    raw_events: list[Any] = field(default_factory=list[Any])
    streamed: bool = False
    ended: bool = False

    @property
    def received(self) -> str:
        """What came back, in a line."""
        status = [f"HTTP {self.status}"] if self.status else []
        if self.streamed:
            kinds = ", ".join(next(iter(event), "?") for event in self.events)
            end = "closed" if self.ended else "left open"
            words = [f"a stream ({self.headers.get('content-type', 'no media type')}): {kinds or 'nothing'}; {end}"]
            words += [self.body.decode("utf-8", "replace")] if self.refusal is not None else []
        elif self.body:
            words = [self.body.decode("utf-8", "replace")]
        elif self.refusal is not None:
            words = [f"{self.refusal.code}: {self.refusal.message} {json.dumps(self.refusal.details)}"]
        else:
            words = [json.dumps(self.result, ensure_ascii=False)] if self.result is not None else []
        faults = [f"({self.fault})"] if self.fault else []
        return shortened(" ".join([*status, *words, *faults]) or "nothing")

    @property
    def turned_away(self) -> bool:
        """Refused for the credential. In JSON-RPC the code of that is the server's own, and the status says it."""
        if self.status in {401, 403}:
            return True
        refusal = self.refusal
        return refusal is not None and (refusal.code in _TURNED_AWAY or refusal.reason in _TURNED_AWAY)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def shortened(text: str, most: int = _SHOWN) -> str:
    """The text on one line, cut in its middle."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} … {text[-most // 3 :]}"

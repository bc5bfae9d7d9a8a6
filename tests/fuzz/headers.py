"""Headers, paths and queries as a client should not send them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from urllib.parse import quote

from hypothesis import strategies as st

from tests.fuzz.siege import SECRET, TOKEN

__all__ = ["Fields", "headers", "odd_paths", "odd_queries", "segments"]

Fields = Sequence[tuple[bytes, bytes]]

_bytes = st.binary(max_size=12).map(lambda raw: raw.translate(None, b"\r\n\0"))
_values = _bytes | st.sampled_from([b"", b" ", b",", b";", b"*", b"\xff\xfe", b"x" * 9000, b"-1", b"9" * 5000, b"\xb2"])
_LIMITS = [
    urlsafe_b64encode(json.dumps({name: value}).encode()).rstrip(b"=")
    for name in ("path", "deadline", "budget", "prev")
    for value in (
        None,
        -1,
        1e308,
        10**400,
        "x",
        "\ud800",
        [],
        [1],
        ["a"] * 50,
        {},
        {"tokens": "x"},
        {"money": -1},
        True,
    )
]
_ODD = {
    b"content-type": [b"text/plain", b"application/json; charset=latin-1", b"APPLICATION/JSON", b"multipart/form-data"],
    b"content-length": [b"7", b"99999999999", b"0"],
    b"content-encoding": [b"gzip", b"br"],
    b"accept": [b"text/event-stream", b"application/json", b"image/*;q=x"],
    b"a2a-version": [b"1.0.7", b"9.9", b"0.3", b"1", b"1.0, 0.3"],
    b"a2a-extensions": [b"urn:codin:a2a:resume:v1", b"urn:codin:a2a:call:v1, urn:x", b",,,"],
    b"x-a2a-extensions": [b"urn:x"],
    b"last-event-id": [b"0", b"1", b"2", b"999", b"9" * 18, b"+1", b"1_0"],
    b"idempotency-key": [b"k", b"k" * 256, b"k" * 257],
    b"codin-call": [b"e30", b"bm8", b"AA", *_LIMITS],
    b"traceparent": [b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"00-0-0-0"],
    b"x-correlation-id": [b"c", b"c\xe9", b"c" * 5000],
    b"baggage": [b"a=b", b"a=%ff"],
    b"host": [b"x", b"[::1", b"a:99999", b"a/b"],
    b"x-forwarded-host": [b"evil.example"],
    b"if-none-match": [b"*", b'W/"x", "y'],
    b"authorization": [b"Basic " + SECRET.encode(), b"Bearer", SECRET.encode()],
}


@st.composite
def headers(draw: st.DrawFn, *, version: bytes | None = b"1.0") -> Fields:
    """Those of a caller who is known or not, with up to two that are odd. Repeated ones come twice."""
    secret = draw(st.sampled_from([TOKEN, TOKEN, SECRET]))
    made = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {secret}".encode())]
    if version is not None:
        made.append((b"a2a-version", version))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        name = draw(st.sampled_from(sorted(_ODD)))
        made.append((name, draw(st.sampled_from(_ODD[name]) | _values)))
    if not draw(st.integers(0, 9)):
        del made[draw(st.integers(0, len(made) - 1))]
    return made


def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="replace")


segments = st.builds(_quoted, st.text(max_size=8), st.sampled_from(["", "/:%"]))
"""Text as it may stand in a path, quoted well or badly."""

_PIECES = [
    *(
        b"/",
        b"//",
        b"/tasks",
        b"/tasks/x",
        b":cancel",
        b":subscribe",
        b"%3Acancel",
        b"%2F",
        b"%",
        b"%zz",
        b"%00",
        b"%ff",
    ),
    *(b"/message:send", b"/message:stream", b"/v1", b"/acme", b"/..", b"/%2e%2e", b"/pushNotificationConfigs", b"/c"),
    *(b"/extendedAgentCard", b"/card", b"/.well-known/agent-card.json", b"/readyz", b"?", b"*", b"~" * 3000),
]
odd_paths = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map(
    lambda found: b"/" + b"".join(found).lstrip(b"/")
)

_PAIRS = [
    *(
        b"historyLength=1",
        b"historyLength=1&historyLength=2",
        b"pageSize=0",
        b"pageSize=1e3",
        b"pageSize=\xb2",
        b"status=1",
    ),
    *(
        b"status=TASK_STATE_COMPLETED",
        b"status=",
        b"includeArtifacts=TRUE",
        b"includeArtifacts",
        b"statusTimestampAfter=now",
    ),
    *(
        b"statusTimestampAfter=2026-01-01T00:00:00+00:00",
        b"pageToken=%ff%fe",
        b"contextId=%00",
        b"tenant=a%2Fb",
        b"A2A-Version=0.3",
    ),
    *(
        b"a2a-version=%FF",
        b"id=x",
        b"taskId=y",
        b"%",
        b"&&&",
        b"=",
        b"=1",
        b"\xff=\xfe",
        b"x=" + b"y" * 9000,
        b"message.parts=1",
    ),
]
odd_queries = st.lists(st.sampled_from(_PAIRS), max_size=3).map(b"&".join)

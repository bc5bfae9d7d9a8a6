"""HTTP+JSON under attack, and whatever else answers on the same port."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from hypothesis import given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from tests.fuzz.conftest import fuzz
from tests.fuzz.headers import headers, odd_paths, odd_queries, segments
from tests.fuzz.schema import hostile, texts, written
from tests.fuzz.siege import Asked, Siege, besieged
from tests.fuzz.sound import check_events, check_result, check_status, fields_of, no_secrets, read_json

_VERBS = ["GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS", "PATCH", ""]
_PATHS = re.compile(r"\{(\w+)\}")


@st.composite
def aimed(draw: st.DrawFn) -> Asked:
    """A request for the resource of an operation, with what its request object holds where it belongs."""
    method = draw(st.sampled_from([*a2a.ROUTES]))
    verb, path = a2a.ROUTES[method]
    told = draw(hostile(proto.RPCS[method].request))
    fields = dict(fields_of(told) or {"x": told})
    path = _PATHS.sub(lambda found: _segment(draw, fields.pop(found[1], None)), path)
    if not draw(st.integers(0, 5)):
        path = f"/{draw(segments)}{path}"
    body, query = b"", b""
    if verb == "POST":
        body = draw(written(st.just(fields)))
    else:
        query = urlencode([(str(name), str(value)) for name, value in fields.items()], errors="replace").encode()
    if not draw(st.integers(0, 9)):
        query = draw(odd_queries)
    verb = draw(st.sampled_from([verb] * 8 + ["GET", "POST", "HEAD"]))
    cut = not draw(st.integers(0, 19))
    return Asked(verb, path.encode(), query, draw(headers()), body, pieces=draw(st.sampled_from([1, 3])), cut=cut)


def _segment(draw: st.DrawFn, value: Any) -> str:
    if not draw(st.integers(0, 5)):
        return draw(segments)
    return quote(value, safe="", errors="replace") if isinstance(value, str) else draw(segments)


@st.composite
def stray(draw: st.DrawFn) -> Asked:
    """A request for nothing in particular."""
    path, query = draw(odd_paths), draw(odd_queries)
    return Asked(draw(st.sampled_from(_VERBS)), path, query, draw(headers()), draw(texts).encode())


def request_of(asked: Asked, siege: Siege) -> Any:
    """The request object as far as it can be read; what the path tells is in it by any name it may have."""
    told: dict[str, Any] = dict(parse_qsl(siege.real(asked.query).decode("latin-1"), keep_blank_values=True))
    told |= {"id": "in the path", "taskId": "in the path", "tenant": "in the path"}
    try:
        body = read_json(siege.real(asked.body)) if asked.body else None
    except (ValueError, AssertionError, RecursionError):
        return None
    return {**told, **(fields_of(body) or {})}


async def check(siege: Siege, asked: Asked) -> None:
    """Ask, and hold the answer against what HTTP+JSON promises."""
    answer = await siege.ask(asked)
    no_secrets(answer)
    if not answer.status:
        assert asked.cut
    elif asked.verb == "HEAD":  # the server below leaves the body out
        assert answer.status < 500
    elif answer.media_type == "text/event-stream":
        for event in check_events(answer):
            check_result("SendStreamingMessage", event)
    elif answer.media_type in {"application/a2a+json", "application/json"}:
        assert answer.complete
        assert len(answer.body) == int(answer.headers["content-length"])
        if answer.status == 200:
            assert isinstance(read_json(answer.body), dict)
        else:
            check_status(answer, request_of(asked, siege))
    else:  # the card, the catalog, the probes, and a JSON-RPC address that is asked by another verb
        assert answer.status in {200, 304, 405}
        assert answer.media_type in {"text/plain", "application/ai-catalog+json", "application/linkset+json", ""}


@fuzz
@given(asked=st.lists(aimed() | aimed() | aimed() | stray(), min_size=1, max_size=4), guarded=st.booleans())
def test_every_request_has_a_sound_answer(asked: Sequence[Asked], guarded: bool) -> None:
    async def attack(siege: Siege) -> None:
        for each in asked:
            await check(siege, each)

    besieged(attack, guarded=guarded)

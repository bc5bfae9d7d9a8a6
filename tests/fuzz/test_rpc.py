"""JSON-RPC under attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from tests.fuzz.conftest import fuzz
from tests.fuzz.headers import headers, odd_queries
from tests.fuzz.schema import hostile, spoiled, written
from tests.fuzz.siege import Asked, Siege, besieged
from tests.fuzz.sound import check_events, check_result, check_rpc, fields_of, no_secrets, read_json

_METHODS = [*proto.RPCS]


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope, right in most cases."""
    method = draw(st.sampled_from(_METHODS))
    return {
        "jsonrpc": "2.0",
        "id": draw(st.sampled_from([1, "one", None, 2**70, ""])),
        "method": method,
        "params": draw(hostile(proto.RPCS[method].request)),
    }


_bodies = written(calls() | calls() | spoiled(calls()) | st.lists(calls() | spoiled(calls()), max_size=5))


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """A POST of a body in pieces."""
    return Asked(
        "POST",
        b"/",
        draw(st.just(b"") | odd_queries),
        draw(headers()),
        draw(_bodies | st.binary(max_size=30)),
        pieces=draw(st.sampled_from([1, 1, 1, 3])),
        cut=not draw(st.integers(0, 19)),
    )


async def check(siege: Siege, asked: Asked) -> None:
    """Ask, and hold the answer against what JSON-RPC over HTTP promises."""
    answer = await siege.ask(asked)
    no_secrets(answer)
    if not answer.status:
        assert asked.cut
        return
    assert answer.status in {200, 204, 401, 403, 413}
    try:
        said = read_json(siege.real(asked.body))
    except (ValueError, AssertionError, RecursionError):
        said = None
    if answer.media_type == "text/event-stream":
        for event in check_events(answer):
            assert isinstance(said, dict)
            assert check_rpc(event)["id"] == said["id"]
            check_result("SendStreamingMessage", event["result"])
    elif answer.status == 204:
        assert not answer.body
    else:
        assert answer.media_type == "application/json"
        check_answer(read_json(answer.body), said)


def check_answer(document: Any, said: Any) -> None:
    """One response, or as many as calls in a batch are to be answered."""
    if isinstance(document, list):
        responses = cast("list[Any]", document)
        assert 0 < len(responses) <= len(said)
        for each in responses:
            check_rpc(each)
        return
    call = fields_of(said)
    # What is wrong is in the envelope or in the parameters.
    answer = check_rpc(document, {**(fields_of(call.get("params")) or {}), **call} if call is not None else said)
    if "result" in answer:
        assert call is not None
        assert answer["id"] == call["id"]
        check_result(call["method"], answer["result"])


@fuzz
@given(asked=st.lists(requests(), min_size=1, max_size=4), guarded=st.booleans())
def test_every_request_has_a_sound_answer(asked: Sequence[Asked], guarded: bool) -> None:
    async def attack(siege: Siege) -> None:
        for each in asked:
            await check(siege, each)

    besieged(attack, guarded=guarded)

"""What is wrong with a request is the same in every binding. gRPC is compared where it is attacked."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from tests.fuzz.conftest import fuzz
from tests.fuzz.schema import hostile
from tests.fuzz.siege import Asked, Siege, besieged
from tests.fuzz.sound import Verdict, check_rpc, read_json, verdict

_HEADERS = [(b"content-type", b"application/json"), (b"a2a-version", b"1.0")]
_POSTED = [method for method, route in a2a.ROUTES.items() if route.verb == "POST" and not proto.RPCS[method].streams]
# What depends on nothing but the request.
_PLAIN = {"INVALID_PARAMS", "INVALID_REQUEST", "CONTENT_TYPE_NOT_SUPPORTED"}


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An operation that is posted, and a request object that may be wrong; what a path names is a name."""
    method = draw(st.sampled_from([*_POSTED, "SendMessage", "CreateTaskPushNotificationConfig"]))
    made = draw(hostile(proto.RPCS[method].request).filter(lambda made: isinstance(made, dict)))
    named = [name for name in ("id", "taskId") if f"{{{name}}}" in a2a.ROUTES[method].path]
    found = {name: value for name, value in made.items() if str(name).replace("task_id", "taskId") not in named}
    found |= dict.fromkeys(named, "a-task")
    return method, found


async def _over_rpc(siege: Siege, method: str, params: dict[str, Any]) -> Verdict | None:
    body = a2a.call_bytes(b"1", method, json.dumps(params).encode())
    answer = check_rpc(read_json((await siege.ask(Asked("POST", b"/", b"", _HEADERS, body))).body))
    return verdict(answer["error"]["data"]) if "error" in answer else None


async def _over_rest(siege: Siege, method: str, params: dict[str, Any]) -> Verdict | None:
    path = a2a.ROUTES[method].path
    told = dict(params)
    for name in ("id", "taskId"):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(told.pop(name)), safe=""))
    answer = await siege.ask(Asked("POST", path.encode(), b"", _HEADERS, json.dumps(told).encode()))
    return None if answer.status == 200 else verdict(read_json(answer.body)["error"]["details"])


@fuzz
@given(asked=objects())
def test_both_bindings_over_http_say_the_same_of_what_is_wrong(asked: tuple[str, dict[str, Any]]) -> None:
    async def attack(siege: Siege) -> None:
        siege.ids.clear()  # tasks change from one request to the next
        method, params = asked
        one, other = await _over_rpc(siege, method, params), await _over_rest(siege, method, params)
        # In an envelope, a request is nested a little deeper.
        if one is None or one[0] != "PARSE_ERROR":
            reasons = {each[0] for each in (one, other) if each is not None}
            assert one == other or not reasons & _PLAIN

    besieged(attack)

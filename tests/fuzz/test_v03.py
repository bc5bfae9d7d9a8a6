"""Both dialects of 0.3 under attack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

import codin.a2a._proto as proto
from codin import a2a
from codin.a2a import v03
from tests.fuzz.conftest import fuzz
from tests.fuzz.headers import Fields, headers, odd_queries, segments
from tests.fuzz.schema import IDS, hostile, spoiled, valid, written
from tests.fuzz.siege import Asked, Siege, besieged
from tests.fuzz.sound import check_error, check_events, check_rpc, fields_of, no_secrets, read_json

_NEW = {a2a.ExtensionSupportRequired.rpc_code, a2a.VersionNotSupported.rpc_code}
_RICH = ["message/send", "message/send", "tasks/pushNotificationConfig/set", "tasks/pushNotificationConfig/set"]
_METHODS = sorted(set(v03.METHODS.values()))
_versions: st.SearchStrategy[Fields] = headers(version=None) | headers(version=b"0.3") | headers(version=b"")


def _old_params(method: str) -> st.SearchStrategy[Any]:
    """What 1.0 says, as JSON-RPC of 0.3 has it."""
    return valid(proto.RPCS[method].request).map(lambda params: v03.write_request(method, deepcopy(params))[1])


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope with what 0.3 knows, or with what only 1.0 does."""
    old = draw(st.sampled_from([*v03.METHODS, *_RICH, "tasks/list", "a/b"]))
    name = v03.METHODS.get(old, "ListTasks")
    params = hostile(proto.RPCS[name].request)
    if name != "ListTasks":
        params = _old_params(name) | spoiled(_old_params(name)) | spoiled(_old_params(name)) | params
    return {"jsonrpc": "2.0", "id": 1, "method": old, "params": draw(params)}


@st.composite
def rpc(draw: st.DrawFn) -> Asked:
    """A POST of a call, or of a batch."""
    body = draw(written(calls() | calls() | calls() | st.lists(calls(), max_size=3)))
    return Asked("POST", b"/", b"", draw(_versions), body)


async def check_call(siege: Siege, asked: Asked) -> None:
    answer = await siege.ask(asked)
    no_secrets(answer)
    assert answer.status in {200, 204, 401, 403, 413}
    if answer.media_type == "text/event-stream":
        for event in check_events(answer):
            read = v03.RPC.read_value(check_rpc(event)["result"])
            assert a2a.StreamResponse.from_dict(read)
    elif answer.status != 204:
        document = read_json(answer.body)
        responses = cast("list[Any]", document if isinstance(document, list) else [document])
        for each in responses:
            answer = check_rpc(each)
            assert "result" in answer or answer["error"]["code"] not in _NEW or not _is_old(asked)
        if isinstance(document, dict) and "result" in document:
            check_old_result(document["result"], read_json(siege.real(asked.body)))


def _is_old(asked: Asked) -> bool:
    said = dict(asked.headers).get(b"a2a-version", b"")
    return not said or said.startswith(b"0.3")


def check_old_result(answer: Any, said: Any) -> None:
    """What the method answers, as the types of 1.0 see it."""
    if isinstance(said, dict):
        name = v03.METHODS[said["method"]]
        result = v03.read_result(name, answer)
        cls: type[a2a.Model] = getattr(a2a, proto.RPCS[name].response, a2a.Model)
        assert cls.from_dict(result) is not None


def _old_resource(method: str, told: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request of 1.0, as HTTP+JSON of 0.3 has them."""
    if "message" in told:
        configuration = told.get("configuration", {})
        configuration["blocking"] = not configuration.pop("returnImmediately", False)
        configuration["pushNotification"] = configuration.pop("taskPushNotificationConfig", None)
        return {**told, "message": v03.REST.write_message(told["message"]), "configuration": configuration}
    if method == "CreateTaskPushNotificationConfig":
        return {"configId": told.get("id"), "config": v03.write_request(method, told)[1]}
    return told


@st.composite
def rest(draw: st.DrawFn) -> Asked:
    """A request for a resource below `/v1`."""
    method = draw(st.sampled_from([*_METHODS, "ListTasks"]))
    verb, path = a2a.ROUTES[method]
    if method == "GetExtendedAgentCard":
        path = "/card"
    old = valid(proto.RPCS[method].request).map(lambda told: _old_resource(method, deepcopy(told)))
    told = draw(old | spoiled(old) | spoiled(old))
    ids = st.sampled_from([*IDS, *IDS, "nobody"]) | segments
    path = re.sub(r"\{\w+\}", lambda _: draw(ids), path)
    body, query = (draw(written(st.just(told))), b"") if verb == "POST" else (b"", draw(odd_queries))
    if verb != "POST":
        pairs = [(name, str(value)) for name, value in (fields_of(told) or {}).items()]
        query = urlencode(pairs, errors="replace").encode() or query
    verb = draw(st.sampled_from([verb] * 5 + ["GET"]))
    return Asked(verb, b"/v1" + path.encode(), query, draw(_versions), body)


async def check_resource(siege: Siege, asked: Asked) -> None:
    answer = await siege.ask(asked)
    no_secrets(answer)
    if answer.media_type == "text/event-stream":
        for event in check_events(answer):
            assert a2a.StreamResponse.from_dict(v03.REST.read_value(event))
        return
    document = read_json(answer.body)
    assert isinstance(document, dict)
    if answer.status == 200:
        return
    assert 400 <= answer.status < 500 or answer.status == 503
    if "error" in document:  # no resource of 0.3
        assert document["error"]["code"] == answer.status
    else:
        assert document["code"] not in _NEW or not _is_old(asked)
        check_error(document["message"], document["data"])


@fuzz
@given(asked=st.lists(rpc(), min_size=1, max_size=4), guarded=st.booleans())
def test_every_call_has_a_sound_answer(asked: Sequence[Asked], guarded: bool) -> None:
    async def attack(siege: Siege) -> None:
        for each in asked:
            await check_call(siege, each)

    besieged(attack, guarded=guarded)


@fuzz
@given(asked=st.lists(rest(), min_size=1, max_size=4), guarded=st.booleans())
def test_every_request_for_a_resource_has_a_sound_answer(asked: Sequence[Asked], guarded: bool) -> None:
    async def attack(siege: Siege) -> None:
        for each in asked:
            await check_resource(siege, each)

    besieged(attack, guarded=guarded)

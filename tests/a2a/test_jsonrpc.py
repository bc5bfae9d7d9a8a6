"""The JSON-RPC envelope: which bodies are calls, which take the long way, which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.a2a import Call, check_envelope, params_of, parse_call, parse_json

MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}


def body(**envelope: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "t"}} | envelope).encode()


def without(member: str) -> bytes:
    envelope = json.loads(body())
    del envelope[member]
    return json.dumps(envelope).encode()


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call() -> None:
    assert parse_call(body()) == Call(1, b"1", "GetTask", {"id": "t"})


@pytest.mark.parametrize("request_id", [1, 0, -7, 2**80, "", "a", 'q"uote', "ä😀", "\n", None])
def test_an_id_is_echoed_as_it_came(request_id: Any) -> None:
    call = parse_call(body(id=request_id))
    assert call is not None
    assert (call.id, json.loads(call.id_json)) == (request_id, request_id)
    answer = json.loads(a2a.result_bytes(call.id_json, b'{"a":1}'))
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {"a": 1}}


def test_other_keys_are_ignored() -> None:
    assert parse_call(body(traceparent="x", extra=[1])) == parse_call(body())


@pytest.mark.parametrize("text", [without("params"), body(params=None)])
def test_no_parameters_are_empty_parameters(text: bytes) -> None:
    assert parse_call(text) == Call(1, b"1", "GetTask", {})


def test_an_unknown_method_is_a_call() -> None:
    call = parse_call(body(method="tasks/get"))
    assert call is not None
    with pytest.raises(a2a.MethodNotFound, match="'tasks/get'"):
        params_of(call.method, call.params)


def test_a_huge_method_name_is_not_sent_back() -> None:
    with pytest.raises(a2a.MethodNotFound) as caught:
        params_of("x" * 100_000, {})
    assert len(caught.value.message) < 200


# -- the long way, and the same table as a check -----------------------------------------------------------------------

WRONG = [
    (body(jsonrpc="1.0"), "jsonrpc"),
    (body(jsonrpc=2.0), "jsonrpc"),
    (without("jsonrpc"), "jsonrpc"),
    (body(method=1), "method"),
    (body(method=None), "method"),
    (without("method"), "method"),
    (body(id=1.0), "id"),
    (body(id=1.5), "id"),
    (body(id=True), "id"),
    (body(id=[1]), "id"),
    (body(id={}), "id"),
    (body(params="x"), "params"),
    (body(params=0), "params"),
    (body(params=False), "params"),
]


@pytest.mark.parametrize(("text", "member"), WRONG)
def test_a_malformed_envelope_takes_the_long_way_and_is_refused(text: bytes, member: str) -> None:
    assert parse_call(text) is None
    with pytest.raises(a2a.InvalidRequest) as caught:
        check_envelope(json.loads(text))
    assert [violation.field for violation in caught.value.violations] == [member]


@pytest.mark.parametrize("text", [b"1", b'"x"', b"null", b"true", b"[]"])
def test_no_object_is_no_envelope(text: bytes) -> None:
    assert parse_call(text) is None
    with pytest.raises(a2a.InvalidRequest, match="not an object"):
        check_envelope(json.loads(text))


def test_parameters_by_position_are_wrong_parameters() -> None:
    assert parse_call(body(params=["t"])) is None
    with pytest.raises(a2a.InvalidParams, match="params"):
        check_envelope(json.loads(body(params=["t"])))


def test_a_notification_takes_the_long_way_and_is_right() -> None:
    assert parse_call(without("id")) is None
    check_envelope(json.loads(without("id")))


def test_a_batch_takes_the_long_way() -> None:
    assert parse_call(b"[" + body() + b"]") is None


VALUES: list[Any] = [None, True, False, 0, 1, -1, 1.0, 1.5, "2.0", "x", "", [], {}, ["a"], {"a": 1}]
members = st.sampled_from(VALUES)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("jsonrpc", "method", "id", "params", "more"), members)))
def test_both_ways_have_one_table(envelope: dict[str, Any]) -> None:
    call = parse_call(json.dumps(envelope).encode())
    try:
        check_envelope(envelope)
    except (a2a.InvalidRequest, a2a.InvalidParams):
        assert call is None
    else:
        assert (call is None) == ("id" not in envelope)


# -- what is not JSON --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b'{"jsonrpc":', b"\xff\xfe", b"{'a':1}", b"[1,]", b"{}{}", b"NaN", b"Infinity", b"-Infinity",
        b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', b"\xef\xbb\xbf{}", b'{"a":"\n"}',
        b'{"id":' + b"9" * 5000 + b"}", "{}".encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_not_json_is_a_parse_error(text: bytes) -> None:
    with pytest.raises(a2a.ParseError) as caught:
        parse_call(text)
    assert caught.value.hint


# -- nesting -----------------------------------------------------------------------------------------------------------


def nested(levels: int) -> bytes:
    """A call whose text has so many levels."""
    return body(params={"x": json.loads("[" * (levels - 2) + "]" * (levels - 2))})


@pytest.mark.parametrize("max_depth", [3, 50, 100, 150])
def test_the_bound_is_exact(max_depth: int) -> None:
    assert parse_call(nested(max_depth), max_depth) is not None
    with pytest.raises(a2a.ParseError, match="too deeply"):
        parse_call(nested(max_depth + 1), max_depth)


@pytest.mark.parametrize("levels", [101, 199, 201, 10_000, 1_000_000])
def test_beyond_the_bound_is_one_error_whoever_finds_it(levels: int) -> None:
    # The parser has a recursion limit of its own, about 200; both say the same.
    with pytest.raises(a2a.ParseError) as caught:
        parse_call(b"[" * levels + b"]" * levels)
    assert caught.value.message == "Invalid JSON: nested too deeply"
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["[" * 500, '"' + "{" * 500, "\\" + "[" * 500, '\\"' + "{" * 500 + "\\", "\n[\u2028{" * 300]
)
def test_brackets_in_texts_are_no_levels(text: str) -> None:
    assert parse_call(body(params={"x": text, text: [text]})) is not None


def test_wide_is_not_deep() -> None:
    assert parse_call(body(params={"x": [[{}, []]] * 50_000})) is not None


def levels_of(value: Any) -> int:
    if isinstance(value, dict):
        items: list[Any] = list(value.values())  # pyright: ignore[reportUnknownArgumentType]
        return 1 + max(map(levels_of, items), default=0)
    if isinstance(value, list):
        return 1 + max(map(levels_of, value), default=0)  # pyright: ignore[reportUnknownArgumentType]
    return 0


bracket_texts = st.text(alphabet='[]{}"\\a\n', max_size=6)
nested_values = st.recursive(
    bracket_texts | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(bracket_texts, inner, max_size=3),
    max_leaves=20,
)


@given(nested_values, st.integers(1, 8))
def test_levels_are_counted_as_a_reader_would(value: Any, max_depth: int) -> None:
    text = body(params={"x": value})
    if levels_of(json.loads(text)) <= max_depth:
        assert parse_call(text, max_depth) is not None
    else:
        with pytest.raises(a2a.ParseError):
            parse_call(text, max_depth)


def values_of(value: Any) -> int:
    items: list[Any] = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
    return 1 + sum(map(values_of, items))


@given(nested_values, st.sampled_from([None, 1]), st.integers(1, 30))
def test_values_are_counted_as_a_reader_would(value: Any, indent: int | None, most: int) -> None:
    text = json.dumps(value, indent=indent).encode() + b" " * most  # one that is shorter than the bound is not counted
    if values_of(value) <= most:
        assert parse_json(text, max_values=most) == value
    else:
        with pytest.raises(a2a.InvalidParams, match=f"too many values; {most} are allowed"):
            parse_json(text, max_values=most)


WIDE: list[tuple[dict[str, Any], str]] = [
    ({"message": {"metadata": {"k": [{}] * 50}}}, "message.metadata"),
    ({"message": {"parts": [{"text": "a"}, {"data": [0] * 50}]}}, "message.parts[1].data"),
    ({"message": {"parts": [{"text": ""}] * 50}}, "message.parts[16]"),
    ({"x" * 1000: [0] * 50}, "x" * 100),
]


@pytest.mark.parametrize(("params", "field"), WIDE)
def test_where_there_are_too_many_values_is_named(params: dict[str, Any], field: str) -> None:
    with pytest.raises(a2a.InvalidParams) as caught:
        parse_call(body(params=params), max_values=40)
    assert [each.field for each in caught.value.violations] == [field]
    assert caught.value.hint


@given(st.lists(st.sampled_from([b'"', b"\\", b",", b"[", b"{", b"]", b" ", b"a"]), min_size=50, max_size=200))
def test_what_is_no_json_is_counted_too(pieces: list[bytes]) -> None:
    with pytest.raises((a2a.ParseError, a2a.InvalidParams)):
        parse_json(b"]" + b"".join(pieces), max_values=20)


# -- parameters --------------------------------------------------------------------------------------------------------

PARAMS: dict[str, dict[str, Any]] = {
    "SendMessage": {"message": MESSAGE},
    "SendStreamingMessage": {"message": MESSAGE},
    "GetTask": {"id": "t"},
    "ListTasks": {},
    "CancelTask": {"id": "t"},
    "SubscribeToTask": {"id": "t"},
    "CreateTaskPushNotificationConfig": {"taskId": "t", "url": "https://example.com"},
    "GetTaskPushNotificationConfig": {"taskId": "t", "id": "c"},
    "ListTaskPushNotificationConfigs": {"taskId": "t"},
    "DeleteTaskPushNotificationConfig": {"taskId": "t", "id": "c"},
    "GetExtendedAgentCard": {},
}


@pytest.mark.requirement("RPC-METHODS")
def test_the_methods_are_the_specifications() -> None:
    assert list(a2a.METHODS) == list(PARAMS)


@pytest.mark.parametrize("method", PARAMS)
def test_every_method_takes_its_parameters_there_and_back(method: str) -> None:
    params = params_of(method, PARAMS[method])
    assert type(params) is a2a.METHODS[method]
    call = parse_call(a2a.call_bytes(b'"id-1"', method, params.to_json()))
    assert call == Call("id-1", b'"id-1"', method, PARAMS[method])


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("SendMessage", {}, "message"),
        ("SendMessage", {"message": 1}, "message"),
        ("SendMessage", {"message": MESSAGE | {"parts": []}}, "message.parts"),
        ("SendMessage", {"message": MESSAGE | {"parts": [{"text": 1}]}}, "message.parts[0].text"),
        ("SendMessage", {"message": MESSAGE | {"parts": [{"text": "a", "url": "b"}]}}, "message.parts[0]"),
        ("SendMessage", {"message": MESSAGE | {"parts": [{"raw": "%"}]}}, "message.parts[0].raw"),
        ("SendMessage", {"message": MESSAGE | {"message_id": 1, "messageId": 1}}, "message.messageId"),
        ("SendMessage", {"message": MESSAGE, "configuration": {"historyLength": -1}}, "configuration.historyLength"),
        ("SendMessage", {"message": MESSAGE, "configuration": {"history_length": -1}}, "configuration.historyLength"),
        ("SendMessage", {"message": MESSAGE, "configuration": {"returnImmediately": "yes"}},
         "configuration.returnImmediately"),
        ("SendMessage", {"message": MESSAGE, "configuration": {"returnImmediately": 1}},
         "configuration.returnImmediately"),
        ("SendMessage", {"message": MESSAGE, "configuration": {"taskPushNotificationConfig": {}}},
         "configuration.taskPushNotificationConfig.url"),
        ("GetTask", {}, "id"),
        ("GetTask", {"id": ""}, "id"),
        ("GetTask", {"id": 5}, "id"),
        ("GetTask", {"id": "t", "historyLength": -1}, "historyLength"),
        ("GetTask", {"id": "t", "historyLength": 1.5}, "historyLength"),
        ("GetTask", {"id": "t", "historyLength": True}, "historyLength"),
        ("GetTask", {"id": "t", "historyLength": 2**31}, "historyLength"),
        ("GetTask", {"id": "t", "historyLength": "many"}, "historyLength"),
        ("ListTasks", {"pageSize": 0}, "pageSize"),
        ("ListTasks", {"pageSize": 101}, "pageSize"),
        ("ListTasks", {"historyLength": -1}, "historyLength"),
        ("ListTasks", {"status": "working"}, "status"),
        ("ListTasks", {"statusTimestampAfter": "2026-01-01T00:00:00"}, "statusTimestampAfter"),
        ("ListTasks", {"includeArtifacts": "true"}, "includeArtifacts"),
        ("ListTasks", {"pageToken": 1}, "pageToken"),
        ("DeleteTaskPushNotificationConfig", {"taskId": "t"}, "id"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(method: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(a2a.InvalidParams) as caught:
        params_of(method, params)
    assert [violation.field for violation in caught.value.violations] == [field]
    error = json.loads(a2a.error_bytes(b"1", caught.value))["error"]
    assert error["data"][1]["fieldViolations"][0]["field"] == field


def test_integers_may_come_as_protojson_writes_them() -> None:
    assert params_of("ListTasks", {"pageSize": "7"}) == params_of("ListTasks", {"pageSize": 7.0})


@pytest.mark.requirement("RPC-ENVELOPE")
def test_an_error_answer() -> None:
    answer = json.loads(a2a.error_bytes(b"null", a2a.ParseError("bad")))
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32700, "bad")
    assert "result" not in answer

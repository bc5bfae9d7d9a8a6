"""ProtoJSON in and out: what is accepted, what is refused and how it is named, what is written."""

from __future__ import annotations

import copy
import json
import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from codin import a2a
from codin.a2a import Message, Part, Role, StreamResponse, Task, TaskState, TaskStatus

HELLO = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}


def message(**fields: Any) -> str:
    return json.dumps(HELLO | fields)


def violated(model: type[a2a.Model], text: str | bytes) -> str:
    with pytest.raises(a2a.InvalidParams) as caught:
        model.from_json(text)
    return caught.value.violations[0].field


# -- in and out --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("DATA-CAMEL-CASE")
def test_camel_case_out_defaults_omitted() -> None:
    made = Message(message_id="m-1", role=Role.USER, parts=[Part(text="hello")])
    assert made.to_json() == b'{"messageId":"m-1","role":"ROLE_USER","parts":[{"text":"hello"}]}'
    assert made.to_dict() == HELLO


@pytest.mark.requirement("DATA-REQUIRED")
def test_required_fields_are_written_when_empty() -> None:
    page = a2a.ListTasksResponse(tasks=[], next_page_token="", page_size=50, total_size=0)
    assert page.to_dict() == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}


@pytest.mark.requirement("DATA-PRESENCE")
def test_presence_is_kept_where_the_proto_tracks_it() -> None:
    assert a2a.AgentCapabilities(streaming=False).to_dict() == {"streaming": False}
    assert a2a.GetTaskRequest(id="t", history_length=0).to_dict() == {"id": "t", "historyLength": 0}
    assert a2a.ListTasksRequest(include_artifacts=False).to_dict() == {"includeArtifacts": False}


@pytest.mark.requirement("DATA-LENIENT")
def test_snake_case_in() -> None:
    text = '{"message_id":"m","role":"ROLE_AGENT","parts":[{"text":"x","media_type":"text/plain"}],"context_id":"c"}'
    read = Message.from_json(text)
    assert (read.message_id, read.context_id, read.parts[0].media_type) == ("m", "c", "text/plain")


@pytest.mark.requirement("DATA-UNKNOWN")
def test_unknown_fields_are_ignored() -> None:
    assert Message.from_json(message(kind="message", generation=7)).to_dict() == HELLO


@pytest.mark.requirement("DATA-LENIENT")
def test_null_is_absent() -> None:
    nulls: dict[str, Any] = {"contextId": None, "extensions": None, "referenceTaskIds": None, "metadata": None}
    assert Message.from_json(message(**nulls)).to_dict() == HELLO
    configuration = a2a.SendMessageConfiguration.from_json('{"returnImmediately":null,"historyLength":null}')
    assert configuration == a2a.SendMessageConfiguration()


def test_integers_stay_integers_and_decimals_decimals() -> None:
    text = b'{"data":{"n":1,"f":1.0,"big":123456789012345678901234567890,"e":0.1}}'
    assert Part.from_json(text).to_json() == text
    assert type(Part.from_json(text).data["n"]) is int


def test_a_number_that_json_cannot_hold_is_written_as_null() -> None:
    assert Part(data={"n": float("nan"), "i": float("-inf")}).to_dict() == {"data": {"n": None, "i": None}}
    assert Part(data=float("nan")).to_json() == b'{"data":null}'


def test_what_is_read_is_what_the_constructor_makes() -> None:
    made = Message(message_id="m-1", role=Role.USER, parts=[Part(text="hello")])
    assert Message.from_json(message()) == made == Message.from_dict(HELLO)


@pytest.mark.parametrize("text", [b"", b"{", b"nope", b'{"a":1}x', b"\xff"])
def test_what_is_not_json_is_a_parse_error(text: bytes) -> None:
    with pytest.raises(a2a.ParseError):
        Message.from_json(text)


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "1"])
def test_what_is_no_object_is_said_in_words_of_json(text: str) -> None:
    with pytest.raises(a2a.InvalidParams, match="Input should be an object"):
        Message.from_json(text)


def test_deep_json_is_refused_with_a_hint() -> None:
    with pytest.raises(a2a.ParseError, match=r"nested too deeply\. Hint:"):
        Part.from_json(b'{"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}")


# -- what is refused, by name ------------------------------------------------------------------------------------------


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("messageId", {"messageId": None}),
    ("messageId", {"messageId": ""}),
    ("messageId", {"messageId": 7}),
    ("role", {"role": "user"}),
    ("role", {"role": "ROLE_UNSPECIFIED"}),
    ("role", {"role": 3}),
    ("role", {"role": True}),
    ("parts", {"parts": []}),
    ("parts", {"parts": None}),
    ("parts", {"parts": {"text": "x"}}),
    ("parts[0]", {"parts": [{}]}),
    ("parts[0]", {"parts": ["text"]}),
    ("parts[0]", {"parts": [{"text": "a", "url": "b"}]}),
    ("parts[0]", {"parts": [{"text": "a", "data": None}]}),
    ("parts[0]", {"parts": [{"text": None}]}),
    ("parts[1].text", {"parts": [{"text": "a"}, {"text": 1}]}),
    ("parts[0].raw", {"parts": [{"raw": "no base64!"}]}),
    ("parts[0].raw", {"parts": [{"raw": "eA==eA=="}]}),
    ("parts[0].raw", {"parts": [{"raw": "ä"}]}),
    ("parts[0].raw", {"parts": [{"raw": [1]}]}),
    ("parts[0].mediaType", {"parts": [{"text": "a", "media_type": 1}]}),
    ("metadata", {"metadata": []}),
    ("extensions[1]", {"extensions": ["a", 1]}),
]


@pytest.mark.requirement("DATA-NOT-EMPTY", "DATA-ONE-CONTENT")
@pytest.mark.parametrize(("field", "change"), WRONG)
def test_a_wrong_field_is_named(field: str, change: dict[str, Any]) -> None:
    assert violated(Message, message(**change)) == field


@pytest.mark.requirement("DATA-REQUIRED-CHECKED")
def test_a_missing_field_is_named() -> None:
    assert violated(Task, '{"id":"t"}') == "status"
    assert violated(Task, '{"id":"t","status":{}}') == "status.state"


def test_all_wrong_fields_are_named_up_to_a_bound() -> None:
    with pytest.raises(a2a.InvalidParams) as caught:
        Message.from_json('{"messageId":1,"role":2.5,"parts":3}')
    assert [violation.field for violation in caught.value.violations] == ["messageId", "role", "parts"]
    artifacts = [{"artifactId": 1, "parts": [1]} for _ in range(100_000)]
    with pytest.raises(a2a.InvalidParams) as caught:
        Task.from_dict({"id": "t", "status": {"state": "TASK_STATE_WORKING"}, "artifacts": artifacts})
    assert len(caught.value.violations) <= 20


# -- parts -------------------------------------------------------------------------------------------------------------


EMPTY: list[tuple[bytes, str, Any]] = [
    (b'{"text":""}', "text", ""),
    (b'{"url":""}', "url", ""),
    (b'{"raw":""}', "raw", b""),
    (b'{"data":null}', "data", None),
    (b'{"data":false}', "data", False),
    (b'{"data":[]}', "data", []),
    (b'{"data":{"a":[null,{}]}}', "data", {"a": [None, {}]}),
]


@pytest.mark.requirement("DATA-ONE-CONTENT")
@pytest.mark.parametrize(("text", "kind", "value"), EMPTY)
def test_an_empty_content_is_a_content(text: bytes, kind: str, value: object) -> None:
    part = Part.from_json(text)
    assert (part.kind, getattr(part, kind)) == (kind, value)
    assert part.to_json() == text
    assert StreamResponse.from_json(b'{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[' + text + b"]}}")


def test_a_part_without_data_has_none() -> None:
    assert Part(text="x").data is None
    assert Part(data=None).data is None
    assert Part(data=None).kind == "data"


def test_a_part_prints_what_it_has() -> None:
    assert repr(Part(text="x", filename="f")) == "Part(text='x', filename='f')"
    assert repr(Part(data=None)) == "Part(data=None)"


def test_a_part_is_the_same_after_copying() -> None:
    for part in (Part(text="x"), Part(data=None), Part(raw=b"\x00")):
        assert copy.deepcopy(part).to_json() == pickle.loads(pickle.dumps(part)).to_json() == part.to_json()


def test_two_contents_are_refused_in_python_too() -> None:
    with pytest.raises(ValidationError, match="exactly one of text, raw, url and data"):
        Part(text="x", url="y")


@pytest.mark.requirement("DATA-BASE64")
@pytest.mark.parametrize("text", ["-_8", "+/8=", "-_8=", "+/8"])
def test_both_alphabets_of_base64_are_read_one_is_written(text: str) -> None:
    part = Part.from_json(json.dumps({"raw": text}))
    assert (part.raw, part.to_dict()) == (b"\xfb\xff", {"raw": "+/8="})


@given(st.binary())
def test_bytes_come_back(content: bytes) -> None:
    assert Part.from_json(Part(raw=content).to_json()).raw == content


def test_text_is_joined_as_it_streamed() -> None:
    assert a2a.text_of([Part(text="a "), Part(url="x"), Part(text=""), Part(text="b"), Part(data="c")]) == "a b"
    assert a2a.text_of([]) == ""


# -- enums -------------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("DATA-ENUMS", "DATA-LENIENT")
def test_states_have_the_numbers_of_the_proto() -> None:
    names = "UNSPECIFIED SUBMITTED WORKING COMPLETED FAILED CANCELED INPUT_REQUIRED REJECTED AUTH_REQUIRED"
    for number, name in enumerate(names.split(" ")):
        read = TaskStatus.from_json(f'{{"state":{number}}}')
        assert read.state is TaskState[name]
        assert read.to_dict() == {"state": f"TASK_STATE_{name}"}
    assert TaskState.WORKING == "TASK_STATE_WORKING"


@pytest.mark.parametrize("state", ["9", "-1", "2.5", "true", '"working"', '"TASK_STATE_CANCELLED"', "null", "[]"])
def test_no_other_state_is_read(state: str) -> None:
    assert violated(TaskStatus, f'{{"state":{state}}}') == "state"


def test_which_states_end_and_which_wait() -> None:
    ended = {state for state in TaskState if state.terminal}
    waiting = {state for state in TaskState if state.interrupted}
    assert ended == {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED}
    assert waiting == {TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED}


# -- timestamps --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("DATA-UTC", "DATA-MILLISECONDS", "DATA-TIMES-READ")
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-12T10:00:00Z", "2026-03-12T10:00:00.000Z"),
        ("2026-03-12T10:00:00.5Z", "2026-03-12T10:00:00.500Z"),
        ("2026-03-12T10:00:00.123456789Z", "2026-03-12T10:00:00.123Z"),
        ("2026-03-12T12:00:00.001+02:00", "2026-03-12T10:00:00.001Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_timestamps_are_written_in_utc_with_milliseconds(text: str, written: str) -> None:
    status = TaskStatus.from_dict({"state": "TASK_STATE_WORKING", "timestamp": text})
    assert status.timestamp is not None
    assert status.timestamp.tzinfo is UTC
    assert status.to_dict()["timestamp"] == written
    assert TaskStatus.from_json(status.to_json()) == status


@pytest.mark.requirement("DATA-TIMES-READ")
@pytest.mark.parametrize(
    "timestamp",
    ["2026-03-12T10:00:00", "2026-03-12", "now", 1773309600, 1.5, True, {}, "0001-01-01T00:00:00+14:00", ""],
)
def test_other_timestamps_are_refused(timestamp: object) -> None:
    assert violated(TaskStatus, json.dumps({"state": 2, "timestamp": timestamp})) == "timestamp"


def test_a_naive_datetime_is_refused() -> None:
    naive = datetime(2026, 3, 12, 10)  # noqa: DTZ001
    with pytest.raises(ValidationError, match="timezone"):
        TaskStatus(state=TaskState.WORKING, timestamp=naive)


@given(st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(timezone(timedelta(hours=-3)))))  # noqa: DTZ001
def test_a_timestamp_is_the_same_on_both_ends(when: datetime) -> None:
    if when.year == 9999:  # west of UTC it would pass the end of the calendar
        when = when.replace(year=9998)
    status = TaskStatus(state=TaskState.WORKING, timestamp=when)
    assert TaskStatus.from_json(status.to_json()).timestamp == status.timestamp


def test_a_bound_keeps_its_microseconds() -> None:
    request = a2a.ListTasksRequest.from_json('{"statusTimestampAfter":"2026-03-12T10:00:00.123456Z"}')
    assert request.to_dict() == {"statusTimestampAfter": "2026-03-12T10:00:00.123456Z"}


# -- one-ofs -----------------------------------------------------------------------------------------------------------

STATUS: dict[str, Any] = {"taskId": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}
ARTIFACT: dict[str, Any] = {"taskId": "t", "contextId": "c", "artifact": {"artifactId": "a", "parts": [{"text": "x"}]}}
TASK: dict[str, Any] = {"id": "t", "status": {"state": "TASK_STATE_WORKING"}}


@pytest.mark.requirement("DATA-ONE-EVENT")
@pytest.mark.parametrize(
    ("name", "value", "cls"),
    [
        ("task", TASK, Task),
        ("message", HELLO, Message),
        ("statusUpdate", STATUS, a2a.TaskStatusUpdateEvent),
        ("artifactUpdate", ARTIFACT, a2a.TaskArtifactUpdateEvent),
    ],
)
def test_a_stream_response_holds_one(name: str, value: dict[str, Any], cls: type) -> None:
    read = StreamResponse.from_json(json.dumps({name: value}))
    assert type(read.value) is cls
    assert read.to_dict() == {name: value}


@pytest.mark.requirement("DATA-ONE-EVENT")
@pytest.mark.parametrize("text", ["{}", '{"task":null}', json.dumps({"task": TASK, "message": HELLO}), '{"new":{}}'])
def test_a_stream_response_with_none_or_two_is_refused(text: str) -> None:
    assert violated(StreamResponse, text) == ""


@pytest.mark.requirement("SEND-ONE-ANSWER")
def test_a_send_response_holds_one() -> None:
    assert type(a2a.SendMessageResponse.from_dict({"task": TASK}).value) is Task
    assert type(a2a.SendMessageResponse.from_dict({"message": HELLO}).value) is Message
    assert violated(a2a.SendMessageResponse, "{}") == ""


def test_an_event_without_a_context_is_read() -> None:
    # A ProtoJSON writer leaves the empty string out, required or not.
    event = a2a.TaskStatusUpdateEvent.from_dict({"taskId": "t", "status": {"state": 2}})
    assert event.context_id == ""


# -- text that UTF-8 cannot hold ---------------------------------------------------------------------------------------


def test_a_lone_surrogate_is_refused_in_json() -> None:
    with pytest.raises(a2a.ParseError):
        Part.from_json(b'{"text":"\\ud800"}')
    assert Part.from_json(b'{"text":"\\ud83d\\ude00"}').text == "😀"


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ude00\ud83d", "😀\ud83d"])
def test_a_lone_surrogate_from_python_is_replaced(text: str) -> None:
    part = Part(text=text, metadata={"deep": [text], text: 1})
    read = Part.from_json(part.to_json())
    expected = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert read.text == expected
    assert (read.metadata or {})["deep"] == [expected]


def test_an_error_with_a_lone_surrogate_is_sent() -> None:
    body = json.loads(a2a.error_bytes(b"1", a2a.TaskNotFound("no task '\udcff'")))
    assert body["error"]["message"] == "no task '\ufffd'"


# -- round trips -------------------------------------------------------------------------------------------------------

texts = st.text(max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
ids = st.text(min_size=1, max_size=6)


def some(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return one | other


contents: st.SearchStrategy[dict[str, Any]] = st.one_of(
    texts.map(lambda text: {"text": text}),
    texts.map(lambda url: {"url": url}),
    json_values.map(lambda data: {"data": data}),
    st.sampled_from(["", "eA==", "AAEC"]).map(lambda raw: {"raw": raw}),
)
parts = st.lists(
    st.builds(merged, contents, some({}, metadata=objects, filename=texts, mediaType=texts)),
    min_size=1,
    max_size=3,
)
lists_of_text = st.lists(texts, min_size=1, max_size=2)
messages = some(
    {"messageId": ids, "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT"]), "parts": parts},
    contextId=texts, taskId=texts, metadata=objects, extensions=lists_of_text, referenceTaskIds=lists_of_text,
)  # fmt: skip
statuses = some(
    {"state": st.sampled_from(list(map(str, TaskState)))},
    message=messages,
    timestamp=st.just("2026-03-12T10:00:00.123Z"),
)
artifacts = some({"artifactId": ids, "parts": parts}, name=texts, description=texts, metadata=objects)
tasks = some(
    {"id": ids, "status": statuses},
    contextId=texts,
    artifacts=st.lists(artifacts, min_size=1, max_size=2),
    history=st.lists(messages, min_size=1, max_size=2),
    metadata=objects,
)
responses = st.one_of(
    tasks.map(lambda task: {"task": task}),
    messages.map(lambda sent: {"message": sent}),
    some({"taskId": ids, "contextId": ids, "status": statuses}, metadata=objects).map(lambda u: {"statusUpdate": u}),
    some(
        {"taskId": ids, "contextId": ids, "artifact": artifacts}, append=st.just(True), lastChunk=st.just(True)
    ).map(lambda u: {"artifactUpdate": u}),
)  # fmt: skip


@given(responses)
def test_canonical_json_comes_back_unchanged(response: dict[str, Any]) -> None:
    read = StreamResponse.from_json(json.dumps(response))
    assert read.to_dict() == response
    assert json.loads(read.to_json()) == response
    assert StreamResponse.from_json(read.to_json()) == read == StreamResponse.from_dict(response)


def snake(value: Any) -> Any:
    """The same document in snake_case, below metadata and data untouched."""
    if isinstance(value, list):
        return [snake(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return value
    items: list[tuple[str, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType]
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in key): item
        if key in ("metadata", "data")
        else snake(item)
        for key, item in items
    }


@given(responses)
def test_snake_case_means_the_same(response: dict[str, Any]) -> None:
    assert StreamResponse.from_dict(snake(response)) == StreamResponse.from_dict(response)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    # No other exception comes out.
    for model in (StreamResponse, Message, Task, a2a.AgentCard, a2a.SendMessageRequest):
        with suppress(a2a.InvalidParams):
            model.from_json(json.dumps(value))

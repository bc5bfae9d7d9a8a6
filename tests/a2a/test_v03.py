"""A2A 0.3 in the terms of 1.0, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.a2a import v03

Fields = dict[str, Any]

# -- what both can say survives the way there and back -----------------------------------------------------------------

texts = st.text(max_size=12)
names = st.text("abc", min_size=1, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(names, values, min_size=1, max_size=2)


def some(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Fields]:
    return st.fixed_dictionaries(required, optional=optional)


# A text or data of 0.3 has neither a name nor a media type, and a file has either bytes or an address.
files = {"filename": names, "mediaType": st.sampled_from(["text/plain", "image/png"]), "metadata": metadata}
parts = st.one_of(
    some({"text": texts}, metadata=metadata),
    some({"data": values}, metadata=metadata),
    some({"raw": st.binary(max_size=8).map(lambda raw: a2a.Part(raw=raw).to_dict()["raw"])}, **files),
    some({"url": names}, **files),
)
messages = some(
    {"messageId": names, "role": st.sampled_from(["ROLE_USER", "ROLE_AGENT"]), "parts": st.lists(parts, min_size=1)},
    contextId=names,
    taskId=names,
    metadata=metadata,
    extensions=st.lists(names, min_size=1, max_size=2),
)
statuses = some(
    {"state": st.sampled_from([state.value for state in a2a.TaskState])},
    message=messages,
    timestamp=st.just("2026-01-02T03:04:05.678Z"),
)
artifacts = some(
    {"artifactId": names, "parts": st.lists(parts, min_size=1, max_size=2)},
    name=names,
    description=names,
    metadata=metadata,
    extensions=st.lists(names, min_size=1, max_size=2),
)
tasks = some(
    {"id": names, "contextId": names, "status": statuses},
    artifacts=st.lists(artifacts, min_size=1, max_size=2),
    history=st.lists(messages, min_size=1, max_size=2),
    metadata=metadata,
)
ids = {"taskId": names, "contextId": names}
events = st.one_of(
    some({"task": tasks}),
    some({"message": messages}),
    some({"statusUpdate": some({**ids, "status": statuses}, metadata=metadata)}),
    some({"artifactUpdate": some({**ids, "artifact": artifacts}, append=st.booleans(), lastChunk=st.just(True))}),
)
DIALECTS = pytest.mark.parametrize("dialect", [v03.RPC, v03.REST], ids=["rpc", "rest"])


@DIALECTS
@given(event=events, final=st.booleans())
def test_an_event_comes_back_as_it_went(dialect: v03.Dialect, event: Fields, final: bool) -> None:
    written = json.loads(json.dumps(dialect.write_value(event, final=final)))
    assert dialect.read_value(written) == event


@given(message=messages, length=st.none() | st.integers(1, 9), now=st.booleans(), modes=st.lists(names, max_size=2))
def test_a_request_comes_back_as_it_went(message: Fields, length: int | None, now: bool, modes: list[str]) -> None:
    configuration: Fields = {"returnImmediately": True} if now else {}
    if length is not None:
        configuration["historyLength"] = length
    if modes:
        configuration["acceptedOutputModes"] = modes
    params = {"message": message, "configuration": configuration}
    method, old = v03.write_request("SendMessage", params)
    assert method == "message/send"
    assert v03.read_request(method, old) == ("SendMessage", params)


pushes = some(
    {"taskId": names, "url": names},
    id=names,
    token=names,
    authentication=some({"scheme": names}, credentials=names),
)


@given(push=pushes)
def test_a_push_configuration_comes_back_as_it_went(push: Fields) -> None:
    method, old = v03.write_request("CreateTaskPushNotificationConfig", push)
    assert v03.read_request(method, old) == ("CreateTaskPushNotificationConfig", push)
    answer = v03.write_result(method, push)
    assert v03.read_result("CreateTaskPushNotificationConfig", answer) == push


# -- what one of them says otherwise -----------------------------------------------------------------------------------

MESSAGE = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}


def sent(configuration: Fields) -> Fields:
    return v03.read_request("message/send", {"message": MESSAGE, "configuration": configuration})[1]["configuration"]


def test_blocking_is_the_opposite_of_returning_at_once() -> None:
    assert sent({}) == {}
    assert sent({"blocking": True}) == {}
    assert sent({"blocking": False}) == {"returnImmediately": True}
    # In a proto, what is not said is no.
    rest = v03.read_rest_request("SendMessage", {"message": MESSAGE | {"role": "ROLE_USER"}, "configuration": {}})
    assert rest["configuration"] == {"returnImmediately": True}


def test_a_history_of_nothing_was_all_of_it() -> None:
    assert sent({"historyLength": 0}) == {}
    assert v03.read_request("tasks/get", {"id": "t", "historyLength": 0}) == ("GetTask", {"id": "t"})
    assert v03.read_rest_request("GetTask", {"id": "t", "historyLength": "0"}) == {"id": "t"}


def test_a_push_configuration_without_an_id_is_the_first() -> None:
    name, params = v03.read_request("tasks/pushNotificationConfig/get", {"id": "t"})
    assert (name, params) == ("ListTaskPushNotificationConfigs", {"taskId": "t"})
    listed = {"configs": [{"taskId": "t", "id": "a", "url": "u"}, {"taskId": "t", "id": "b", "url": "u"}]}
    assert v03.write_result("tasks/pushNotificationConfig/get", listed)["pushNotificationConfig"]["id"] == "a"
    with pytest.raises(a2a.TaskNotFound):
        v03.write_result("tasks/pushNotificationConfig/get", {})


def test_of_several_schemes_the_first_counts() -> None:
    config = {"url": "u", "authentication": {"schemes": ["Bearer", "Basic"], "credentials": "c"}}
    _, params = v03.read_request("tasks/pushNotificationConfig/set", {"taskId": "t", "pushNotificationConfig": config})
    assert params["authentication"] == {"scheme": "Bearer", "credentials": "c"}


def test_canceled_is_spelled_three_ways() -> None:
    task: Fields = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_CANCELED"}}
    assert v03.RPC.write_task(task)["status"]["state"] == "canceled"
    assert v03.REST.write_task(task)["status"]["state"] == "TASK_STATE_CANCELLED"


def test_a_status_without_a_message_is_not_one_with_an_empty_message() -> None:
    """Which is what a proto writer may make of it."""
    empty: Fields = {"messageId": "", "role": "ROLE_UNSPECIFIED", "content": []}
    status = {"state": "TASK_STATE_WORKING", "message": empty}
    read = v03.REST.read_task({"id": "t", "contextId": "c", "status": status})
    assert read["status"] == {"state": "TASK_STATE_WORKING"}


@pytest.mark.parametrize(
    "params",
    [
        {"message": "hi"},
        {"message": {**MESSAGE, "parts": "hi"}},
        {"message": {**MESSAGE, "parts": ["hi"]}},
        {"message": {**MESSAGE, "parts": [{"kind": "file", "file": "hi"}]}},
        {"message": {**MESSAGE, "parts": [{"kind": "data"}]}},
        {"message": MESSAGE, "configuration": "fast"},
        {},
    ],
)
def test_nonsense_is_left_to_the_types_of_1_0(params: Fields) -> None:
    name, given = v03.read_request("message/send", params)
    with pytest.raises(a2a.InvalidParams):
        a2a.params_of(name, given)


@pytest.mark.parametrize("role", ["assistant", 1, ["user"]])
def test_a_role_is_named_in_the_words_of_0_3(role: Any) -> None:
    with pytest.raises(a2a.InvalidParams, match="'user' or 'agent'"):
        v03.read_request("message/send", {"message": {**MESSAGE, "role": role}})


def test_an_unknown_method() -> None:
    with pytest.raises(a2a.MethodNotFound, match="tasks/list"):
        v03.read_request("tasks/list", {})
    with pytest.raises(a2a.UnsupportedOperation, match="has no ListTasks"):
        v03.write_request("ListTasks", {})


def test_errors_that_came_with_1_0_have_a_code_that_0_3_knows() -> None:
    for row in a2a.error_table():
        known = v03.known_error(row.error("why", hint="how"))
        assert known.rpc_code not in {-32008, -32009}
        assert (known.reason, known.message, known.hint) == (row.reason, "why", "how")


# -- cards -------------------------------------------------------------------------------------------------------------

OLD: Fields = {
    "name": "old",
    "description": "Is old.",
    "version": "1",
    "protocolVersion": "0.3.0",
    "url": "https://a.example/rpc",
    "preferredTransport": "JSONRPC",
    "additionalInterfaces": [
        {"url": "https://a.example/rpc", "transport": "JSONRPC"},
        {"url": "https://a.example", "transport": "HTTP+JSON"},
    ],
    "capabilities": {"streaming": True, "stateTransitionHistory": True},
    "supportsAuthenticatedExtendedCard": True,
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [{"id": "s", "name": "s", "description": "", "tags": [], "security": [{"sso": ["s"]}]}],
    "security": [{"key": []}, {"sso": ["a", "b"]}],
    "securitySchemes": {
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "mtls": {"type": "mutualTLS"},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://i.example"},
        "sso": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {"tokenUrl": "https://t.example", "scopes": {"a": "A"}},
                "implicit": {"authorizationUrl": "https://i.example", "scopes": {}},
            },
        },
    },
    "signatures": [{"protected": "e30", "signature": "AA"}],
}


def test_a_card_of_0_3_is_read() -> None:
    card = v03.card_of(json.dumps(OLD).encode())
    interfaces = [(each.protocol_binding, each.url, each.protocol_version) for each in card.supported_interfaces]
    assert interfaces == [
        ("JSONRPC", "https://a.example/rpc", "0.3.0"),
        ("HTTP+JSON", "https://a.example", "0.3.0"),
    ]
    assert card.capabilities.extended_agent_card
    assert [[*each.schemes] for each in card.security_requirements] == [["key"], ["sso"]]
    assert card.skills[0].security_requirements[0].schemes["sso"].list == ["s"]
    schemes = card.security_schemes
    assert schemes["key"].api_key_security_scheme == a2a.APIKeySecurityScheme(location="header", name="X-Key")
    assert schemes["bearer"].http_auth_security_scheme is not None
    assert schemes["mtls"].mtls_security_scheme is not None
    assert schemes["oidc"].open_id_connect_security_scheme is not None
    oauth = schemes["sso"].oauth2_security_scheme
    assert oauth is not None
    assert oauth.flows.client_credentials is not None


def test_what_is_read_of_a_card_of_0_3_is_not_signed() -> None:
    """Nothing that codin verifies covers the fields of 0.3, so they must not come with a signature."""
    assert v03.card_of(json.dumps(OLD).encode()).signatures == []


@pytest.mark.parametrize("interfaces", [[], [{"url": "https://b.example", "protocolBinding": "GRPC"}]])
def test_the_fields_of_0_3_are_not_looked_at_in_a_card_of_1_0(interfaces: list[Fields]) -> None:
    document = json.dumps({**OLD, "supportedInterfaces": interfaces}).encode()
    assert v03.card_of(document) == a2a.AgentCard.from_json(document)


def test_a_card_for_both_can_be_read_by_both() -> None:
    card = v03.card_of(json.dumps(OLD).encode())
    hybrid = v03.with_old_fields(card)
    assert a2a.AgentCard.from_dict(hybrid) == card
    for name in OLD.keys() - {"signatures", "capabilities", "securitySchemes", "skills"}:
        assert hybrid[name] == OLD[name], name
    assert hybrid["skills"][0]["security"] == OLD["skills"][0]["security"]
    for name, scheme in OLD["securitySchemes"].items():
        shown = {key: value for key, value in hybrid["securitySchemes"][name].items() if key in scheme}
        assert shown == (scheme if name != "sso" else {**scheme, "flows": shown["flows"]})
    assert [*hybrid["securitySchemes"]["sso"]["flows"]] == ["clientCredentials"]  # 1.0 has one in a scheme


def test_a_card_without_an_interface_of_0_3_is_left_as_it_is() -> None:
    interface = a2a.AgentInterface(url="https://a.example", protocol_binding="JSONRPC", protocol_version="1.0")
    card = v03.card_of(json.dumps(OLD).encode()).model_copy(update={"supported_interfaces": [interface]})
    assert v03.with_old_fields(card) == card.to_dict()

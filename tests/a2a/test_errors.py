"""The mapping table of errors, and errors there and back through JSON-RPC."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a

# A2A v1.0.1 section 5.4, JSON-RPC 2.0 section 5.1; the last five are codin's own.
TABLE = """
TaskNotFound                    -32001 404 NOT_FOUND           TASK_NOT_FOUND
TaskNotCancelable               -32002 400 FAILED_PRECONDITION TASK_NOT_CANCELABLE
PushNotificationNotSupported    -32003 400 FAILED_PRECONDITION PUSH_NOTIFICATION_NOT_SUPPORTED
UnsupportedOperation            -32004 400 FAILED_PRECONDITION UNSUPPORTED_OPERATION
ContentTypeNotSupported         -32005 400 INVALID_ARGUMENT    CONTENT_TYPE_NOT_SUPPORTED
InvalidAgentResponse            -32006 500 INTERNAL            INVALID_AGENT_RESPONSE
ExtendedAgentCardNotConfigured  -32007 400 FAILED_PRECONDITION EXTENDED_AGENT_CARD_NOT_CONFIGURED
ExtensionSupportRequired        -32008 400 FAILED_PRECONDITION EXTENSION_SUPPORT_REQUIRED
VersionNotSupported             -32009 400 FAILED_PRECONDITION VERSION_NOT_SUPPORTED
ParseError                      -32700 400 INVALID_ARGUMENT    PARSE_ERROR
InvalidRequest                  -32600 400 INVALID_ARGUMENT    INVALID_REQUEST
MethodNotFound                  -32601 404 UNIMPLEMENTED       METHOD_NOT_FOUND
InvalidParams                   -32602 400 INVALID_ARGUMENT    INVALID_PARAMS
InternalError                   -32603 500 INTERNAL            INTERNAL_ERROR
Overloaded                      -32050 503 UNAVAILABLE         OVERLOADED
Unauthenticated                 -32051 401 UNAUTHENTICATED     UNAUTHENTICATED
PermissionDenied                -32052 403 PERMISSION_DENIED   PERMISSION_DENIED
IdempotencyConflict             -32053 409 ALREADY_EXISTS      IDEMPOTENCY_CONFLICT
PayloadTooLarge                 -32054 413 RESOURCE_EXHAUSTED  PAYLOAD_TOO_LARGE
"""

ROWS = a2a.error_table()


@pytest.mark.requirement("ERROR-MAPPING")
def test_the_table_is_the_specifications() -> None:
    ours = [
        f"{row.error.__name__} {row.rpc_code} {row.http_status} {row.grpc_status} {row.reason}" for row in ROWS
    ]  # fmt: skip
    assert ours == [" ".join(line.split()) for line in TABLE.strip().splitlines()]


def test_codes_are_unique() -> None:
    assert len({row.code for row in ROWS}) == len({row.rpc_code for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.reason)
def test_every_error_comes_back_as_itself(row: a2a.ErrorRow) -> None:
    sent = row.error(
        "what happened",
        hint="what to do",
        violations=[a2a.FieldViolation("message.parts[0]", "empty")],
        metadata={"taskId": "t-1"},
        retry_after=1.5,
    )
    got = a2a.from_rpc_error(json.loads(json.dumps(a2a.to_rpc_error(sent))))
    assert type(got) is row.error
    assert (str(got), vars(got)) == (str(sent), vars(sent))


@pytest.mark.requirement("RPC-ERROR-DATA", "RPC-ERROR-INFO")
def test_the_json_form() -> None:
    error = a2a.InvalidParams.of("pageSize", "too large", hint="ask for less")
    assert a2a.to_rpc_error(error) == {
        "code": -32602,
        "message": "Invalid params: pageSize: too large",
        "data": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "INVALID_PARAMS",
                "domain": "a2a-protocol.org",
                "metadata": {"hint": "ask for less"},
            },
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "pageSize", "description": "too large"}],
            },
        ],
    }


def test_without_a_message_the_name_speaks() -> None:
    assert str(a2a.TaskNotFound()) == "Task not found"


def test_a_narrower_reason_keeps_its_class() -> None:
    sent = a2a.UnsupportedOperation("the task is at work", reason="TASK_BUSY")
    got = a2a.from_rpc_error(a2a.to_rpc_error(sent))
    assert (type(got), got.reason) == (a2a.UnsupportedOperation, "TASK_BUSY")
    assert a2a.UnsupportedOperation().reason == "UNSUPPORTED_OPERATION"


@pytest.mark.requirement("ERROR-CLIENT-KINDS")
def test_the_reason_goes_before_the_code() -> None:
    error = a2a.to_rpc_error(a2a.TaskNotCancelable()) | {"code": -32603}
    assert type(a2a.from_rpc_error(error)) is a2a.TaskNotCancelable


def test_a_reason_of_another_domain_does_not_choose_the_class() -> None:
    error: dict[str, Any] = a2a.to_rpc_error(a2a.TaskNotCancelable()) | {"code": -32001}
    error["data"][0]["domain"] = "example.com"
    assert type(a2a.from_rpc_error(error)) is a2a.TaskNotFound


def test_a_code_alone_is_enough() -> None:
    # Peers of v0.3 send no details.
    assert type(a2a.from_rpc_error({"code": -32001, "message": "gone"})) is a2a.TaskNotFound


def test_an_unknown_code_is_kept() -> None:
    got = a2a.from_rpc_error({"code": -32099, "message": "something new"})
    assert (type(got), got.rpc_code, got.message) == (a2a.A2AError, -32099, "something new")


def test_an_error_of_ones_own_takes_its_parents_row() -> None:
    class QuotaUsedUp(a2a.Overloaded):
        pass

    sent = QuotaUsedUp("no more today", reason="QUOTA")
    assert a2a.to_rpc_error(sent)["code"] == -32050
    assert type(a2a.from_rpc_error(a2a.to_rpc_error(sent))) is a2a.Overloaded


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
details = st.fixed_dictionaries(
    {},
    optional={
        "@type": st.sampled_from(
            [f"type.googleapis.com/google.rpc.{n}" for n in ("ErrorInfo", "BadRequest", "RetryInfo")]
        ),
        "reason": json_values,
        "domain": st.just("a2a-protocol.org") | json_values,
        "metadata": json_values,
        "fieldViolations": json_values,
        "retryDelay": json_values | st.just("1.5s"),
    },
)


@given(
    st.fixed_dictionaries(
        {}, optional={"code": json_values, "message": json_values, "data": json_values | st.lists(details)}
    )
)
def test_no_answer_of_a_peer_breaks_the_reading(error: dict[str, Any]) -> None:
    got = a2a.from_rpc_error(error)
    assert isinstance(got, a2a.A2AError)
    assert isinstance(a2a.from_rpc_error(a2a.to_rpc_error(got)), type(got))

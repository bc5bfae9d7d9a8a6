"""What of a request's headers is believed, and what goes on."""

from __future__ import annotations

import pytest

from codin.telemetry import TRAIL, Trail, correlation_id, onward

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_correlation_id_is_taken() -> None:
    trail = Trail({b"x-correlation-id": b"order-4711"})
    assert trail.correlation_id == "order-4711"
    assert trail.given == b"order-4711"


@pytest.mark.parametrize("said", [b"", b"two words", b"line\r\nbreak", b"\x1b[31mred", b"x" * 129, "ä".encode()])
def test_what_would_spoil_a_log_is_no_correlation_id(said: bytes) -> None:
    trail = Trail({b"x-correlation-id": said})
    assert trail.given is None
    assert len(trail.correlation_id) == 32


def test_a_missing_correlation_id_is_made_once() -> None:
    trail = Trail({})
    assert trail.correlation_id == trail.correlation_id != Trail({}).correlation_id


def test_the_trace_goes_through_unchanged() -> None:
    headers = {b"traceparent": PARENT, b"tracestate": b"a=1", b"baggage": b"user=7", b"x-correlation-id": b"c"}
    trail = Trail(headers)
    assert trail.trace == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert trail.headers() == {
        "X-Correlation-ID": "c",
        "traceparent": PARENT.decode(),
        "tracestate": "a=1",
        "baggage": "user=7",
    }


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        PARENT.upper(),
        PARENT + b"\r\nx: y",
    ],
)
def test_a_malformed_trace_goes_nowhere(parent: bytes) -> None:
    trail = Trail({b"traceparent": parent, b"tracestate": b"a=1"})
    assert trail.trace is None
    assert set(trail.headers()) == {"X-Correlation-ID"}


def test_state_and_baggage_are_bounded() -> None:
    trail = Trail({b"traceparent": PARENT, b"tracestate": b"a" * 513, b"baggage": b"b" * 8193})
    assert set(trail.headers()) == {"X-Correlation-ID", "traceparent"}


def test_outside_of_a_request_there_is_nothing() -> None:
    assert correlation_id() is None
    assert onward() == {}


def test_inside_of_a_request_it_goes_on() -> None:
    token = TRAIL.set(Trail({b"x-correlation-id": b"c"}))
    try:
        assert correlation_id() == "c"
        assert onward() == {"X-Correlation-ID": "c"}
    finally:
        TRAIL.reset(token)

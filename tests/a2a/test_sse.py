"""Server-sent events: any stream a server may write, cut at any place."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codin import a2a
from codin.a2a import SSEDecoder, SSEEvent, sse_event
from codin.errors import ResponseTooLarge


def test_an_event_on_the_wire() -> None:
    assert sse_event(b'{"a":1}', 7) == b'id: 7\ndata: {"a":1}\n\n'
    assert sse_event(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert sse_event(b"{}", 0) == b"id: 0\ndata: {}\n\n"


@pytest.mark.parametrize("text", [b"a\nb", b"a\r\nb", b"a\rb"])
def test_data_of_several_lines_is_one_event(text: bytes) -> None:
    assert SSEDecoder().feed(sse_event(text, 1)) == [SSEEvent("1", "message", b"a\nb")]


STREAMS: list[tuple[bytes, list[SSEEvent]]] = [
    (b"data: x\n\n", [SSEEvent(None, "message", b"x")]),
    (b"data: x\r\n\r\n", [SSEEvent(None, "message", b"x")]),
    (b"data: x\r\r", [SSEEvent(None, "message", b"x")]),
    (b"data: x\r\n\rdata: y\n\r\n", [SSEEvent(None, "message", b"x"), SSEEvent(None, "message", b"y")]),
    (b"data:x\ndata: y\ndata:  z\n\n", [SSEEvent(None, "message", b"x\ny\n z")]),
    (b": keep-alive\n\ndata: x\n\n", [SSEEvent(None, "message", b"x")]),
    (b"data: a\n: between\ndata: b\n\n", [SSEEvent(None, "message", b"a\nb")]),
    (b":\n\n:\r\n\r\n", []),
    (b"\xef\xbb\xbfdata: x\n\n", [SSEEvent(None, "message", b"x")]),
    (b"event: error\ndata: x\n\ndata: y\n\n", [SSEEvent(None, "error", b"x"), SSEEvent(None, "message", b"y")]),
    (b"id: 4\ndata: x\n\ndata: y\n\n", [SSEEvent("4", "message", b"x"), SSEEvent(None, "message", b"y")]),
    (b"id: 4\0\ndata: x\n\n", [SSEEvent(None, "message", b"x")]),
    (b"id\ndata: x\n\n", [SSEEvent("", "message", b"x")]),
    (b"retry: 10\nunknown: 1\ndata: x\n\n", [SSEEvent(None, "message", b"x")]),
    (b"data\n\n", [SSEEvent(None, "message", b"")]),
    (b"data: a:b: c\n\n", [SSEEvent(None, "message", b"a:b: c")]),
    (b"event: nothing\n\n", []),
    (b"data: cut off\n", []),
    (b"data: \xe2\x80\xa8 and \x0b\x0c\x1c\x85 end no line\n\n",
     [SSEEvent(None, "message", b"\xe2\x80\xa8 and \x0b\x0c\x1c\x85 end no line")]),
]  # fmt: skip


@pytest.mark.requirement("SSE-CLIENT")
@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_the_standards_grammar(stream: bytes, events: list[SSEEvent]) -> None:
    assert SSEDecoder().feed(stream) == events


@pytest.mark.requirement("SSE-CLIENT")
@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_byte_by_byte(stream: bytes, events: list[SSEEvent]) -> None:
    decoder = SSEDecoder()
    assert [event for byte in stream for event in decoder.feed(bytes([byte]))] == events


@given(
    st.lists(
        st.sampled_from([b"data: x", b"id: 3", b"data", b": c", b"\n", b"\r", b"\r\n", b"event: e", b"\xef\xbb\xbf"])
    ),
    st.data(),
)
def test_where_a_stream_is_cut_changes_nothing(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    cut = SSEDecoder()
    borders = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert [event for start, end in borders for event in cut.feed(stream[start:end])] == SSEDecoder().feed(stream)


@given(st.lists(st.tuples(st.none() | st.integers(0), st.text().map(lambda text: a2a.Part(text=text).to_json()))))
def test_what_is_encoded_is_decoded(events: list[tuple[int | None, bytes]]) -> None:
    stream = b"".join(sse_event(data, number) for number, data in events)
    decoded = [(event.id and int(event.id), event.data) for event in SSEDecoder().feed(stream)]
    assert decoded == events


def test_the_last_id_stays() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 4\ndata: x\n\ndata: y\n\n: bye\n\n")
    assert decoder.last_id == "4"


def test_an_endless_line_is_refused() -> None:
    decoder = SSEDecoder(max_event=100)
    decoder.feed(b"data: " + b"x" * 90)
    with pytest.raises(ResponseTooLarge, match="100 bytes"):
        decoder.feed(b"x" * 10)


def test_endless_lines_are_refused() -> None:
    decoder = SSEDecoder(max_event=100)
    decoder.feed(b"data: x\n" * 50)
    with pytest.raises(ResponseTooLarge):
        decoder.feed(b"data: x\n")


@pytest.mark.parametrize("piece", [b"data:xy\n", b"xy", b"data\n"])
def test_what_comes_in_tiny_pieces_takes_little_more_than_its_size(piece: bytes) -> None:
    decoder = SSEDecoder()
    tracemalloc.start()
    try:
        for _ in range(50_000):
            decoder.feed(bytes(bytearray(piece)))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1.5 * 50_000 * len(piece) + 1000


def test_the_bound_is_for_one_event() -> None:
    decoder = SSEDecoder(max_event=100)
    stream = sse_event(b"x" * 80, 1) * 50
    events = [event for byte in range(0, len(stream), 7) for event in decoder.feed(stream[byte : byte + 7])]
    assert len(events) == 50

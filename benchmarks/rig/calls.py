"""The requests every side gets, byte for byte alike."""

from __future__ import annotations

import itertools
import json
import uuid

TEXT = "hello from the benchmark, please echo me"
DONE = b"TASK_STATE_COMPLETED"
HEADERS = {
    "content-type": "application/json",
    "a2a-version": "1.0",
    "accept": "application/json, text/event-stream",
}

REST_PATH = "/message:send"
REST_HEADERS = {
    "content-type": "application/a2a+json",
    "a2a-version": "1.0",
    "accept": "application/a2a+json, application/json",
}

_numbers = itertools.count()
# Ids never repeat, also not between two processes that load the same server: no side may take a call for a repetition.
_run = uuid.uuid4().hex[:8]


def send_message(text: str = TEXT) -> bytes:
    """A `SendMessage` call that waits for the outcome."""
    return _call("SendMessage", _message(text))


def rest_message(text: str = TEXT) -> bytes:
    """The same over HTTP+JSON, for `REST_PATH`."""
    return json.dumps(_message(text)).encode()


def send_streaming_message(text: str) -> bytes:
    """A `SendStreamingMessage` call; the stream agents take the number of chunks as their text."""
    return _call("SendStreamingMessage", _message(text))


def subscribe(task_id: str) -> bytes:
    """A `SubscribeToTask` call."""
    return _call("SubscribeToTask", {"id": task_id})


def get_task(task_id: str) -> bytes:
    """A `GetTask` call."""
    return _call("GetTask", {"id": task_id})


def fresh_id() -> str:
    """A message id that no call had before."""
    return f"{_run}-{next(_numbers)}"


def _message(text: str) -> dict[str, object]:
    message = {"messageId": fresh_id(), "role": "ROLE_USER", "parts": [{"text": text}]}
    return {"message": message, "configuration": {"acceptedOutputModes": ["text/plain"]}}


def _call(method: str, params: dict[str, object]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": "r1", "method": method, "params": params}).encode()

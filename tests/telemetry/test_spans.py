"""The spans of a call that leads to another call, as an exporter gets them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

Span = dict[str, Any]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.telemetry.traced"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _tree(spans: list[Span], parent: int | None = None) -> list[Any]:
    """Names and kinds, children behind their parents, in the order in which they ended."""
    return [(f"{span['kind']} {span['name']}", *_tree(spans, span["id"])) for span in spans if span["parent"] == parent]


def test_a_request_and_a_run_are_a_span_each_through_the_mesh(told: dict[str, Any]) -> None:
    call = (
        "CLIENT SendMessage",
        (
            "SERVER SendMessage",
            (
                "INTERNAL invoke_agent root",
                ("CLIENT SendMessage", ("SERVER SendMessage", ("INTERNAL invoke_agent leaf",))),
            ),
        ),
    )
    first, streamed, failing, missing, resource = _tree(told["spans"])
    assert first == failing == call
    assert streamed[0] == "CLIENT SendStreamingMessage"
    assert streamed[1][1] == call[1][1]
    assert missing == resource == ("CLIENT GetTask", ("SERVER GetTask",))


def test_one_call_is_one_trace(told: dict[str, Any]) -> None:
    assert len({span["trace"] for span in told["spans"]}) == 5


def test_spans_have_the_names_of_the_conventions(told: dict[str, Any]) -> None:
    run = next(span for span in told["spans"] if span["name"] == "invoke_agent leaf")
    assert run["attributes"]["gen_ai.operation.name"] == "invoke_agent"
    assert run["attributes"]["gen_ai.agent.name"] == "leaf"
    assert run["attributes"]["gen_ai.usage.input_tokens"] == 3
    assert run["attributes"]["gen_ai.usage.output_tokens"] == 4
    assert run["attributes"]["codin.outcome"] == "completed"
    request = next(span for span in told["spans"] if span["kind"] == "SERVER")
    assert request["attributes"]["rpc.system.name"] == "jsonrpc"
    assert request["attributes"]["rpc.method"] == "SendMessage"
    assert request["attributes"]["codin.correlation_id"] == "order-1"


def test_a_span_says_which_binding_was_spoken(told: dict[str, Any]) -> None:
    asked = [(span["kind"], span["attributes"]) for span in told["spans"] if span["name"] == "GetTask"]
    systems = [attributes["rpc.system.name"] for _, attributes in asked]
    assert systems == ["jsonrpc", "jsonrpc", "http_json", "http_json"]
    codes = [attributes["rpc.response.status_code"] for kind, attributes in asked if kind == "SERVER"]
    assert codes == ["-32001", "404"]


def test_the_bill_of_the_tree_is_on_the_root(told: dict[str, Any]) -> None:
    run = next(span for span in told["spans"] if span["name"] == "invoke_agent root")
    assert run["attributes"]["gen_ai.usage.input_tokens"] == 3


def test_failures_are_marked_and_tell_nothing_of_the_handler(told: dict[str, Any]) -> None:
    failed = [span for span in told["spans"] if span["status"] == "ERROR"]
    assert {(span["kind"], span["name"], span["attributes"]["error.type"]) for span in failed} == {
        ("INTERNAL", "invoke_agent leaf", "ValueError"),
        ("CLIENT", "GetTask", "TASK_NOT_FOUND"),
        ("SERVER", "GetTask", "TASK_NOT_FOUND"),
    }
    assert "a secret of the handler" not in json.dumps(told["spans"])


def test_baggage_and_the_correlation_id_reach_the_leaf(told: dict[str, Any]) -> None:
    assert told["seen"]["baggage"] == {"customer": "seven"}
    assert told["seen"]["correlation_id"] == "order-1"

"""What the checks find in servers of the official SDK: exactly what `docs/check.md` lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codin.cli.check._bench import Wishes
from codin.cli.check._catalog import chosen
from codin.cli.check._examine import examine
from codin.cli.check._report import Report
from codin.cli.check._verdict import Outcome
from codin.net import open_transport
from tests.interop.conftest import HERE, running, sdk_environment

pytestmark = pytest.mark.anyio

SERVER = Path(__file__).with_name("official.py")


@pytest.fixture(scope="module")
def over_http() -> Iterator[str]:
    with running(sdk_environment(), SERVER, HERE / "peers" / "a2a_sdk_server.py") as url:
        yield url


@pytest.fixture(scope="module")
def over_grpc() -> Iterator[str]:
    with running(sdk_environment(), SERVER, HERE / "peers" / "a2a_sdk_server.py", "grpc") as url:
        yield url


async def report_of(url: str) -> Report:
    # Its agent for `--lasts` works until it is canceled, so whether work goes on to its end is not asked.
    checks = chosen((), ["answers-at-once"])
    wishes = Wishes(asks="ask colour", lasts="slow", timeout=20.0)
    transport = open_transport()
    try:
        return await examine(url, checks, wishes, transport)
    finally:
        await transport.aclose()


def found(report: Report, outcome: Outcome) -> set[tuple[str, str, str]]:
    return {
        (result.check.name, result.binding, result.findings[0].rule)
        for result in report.results
        if result.outcome is outcome
    }


async def test_over_http_the_defects_are_found_and_nothing_else(over_http: str) -> None:
    report = await report_of(over_http)
    both = ("JSONRPC", "HTTP+JSON")
    assert found(report, Outcome.FAILED) == {
        *(("context-is-inferred", binding, "CONTEXT-INFERRED") for binding in both),
        *(("extended-for-nobody", binding, "EXTENDED-KNOWN") for binding in both),
        ("notification", "JSONRPC", "RPC-BATCH"),
    }
    assert found(report, Outcome.WARNED) == {
        ("card-cache-control", "", "CARD-CACHE-CONTROL"),
        *(("media-type-of-a-part", binding, "SEND-MEDIA-TYPE") for binding in both),
        *(("part-with-two-contents", binding, "DATA-REQUIRED-CHECKED") for binding in both),
        *(("history-zero", binding, "HISTORY-OMITTED") for binding in both),
        *(("error-names-the-field", binding, "ERROR-FIELD") for binding in both),
        ("wrong-content-type", "JSONRPC", "AUTH-MEDIA-TYPES"),
        ("wrong-media-type", "HTTP+JSON", "AUTH-MEDIA-TYPES"),
        ("batch", "JSONRPC", "RPC-BATCH"),
        ("query", "HTTP+JSON", "REST-QUERY-VALUES"),
    }


async def test_over_grpc_the_version_is_not_looked_at(over_grpc: str) -> None:
    report = await report_of(over_grpc)
    assert list(report.agent.wires) == ["GRPC"]
    assert found(report, Outcome.FAILED) == {
        ("context-is-inferred", "GRPC", "CONTEXT-INFERRED"),
        ("extended-for-nobody", "GRPC", "EXTENDED-KNOWN"),
        ("version-unknown", "GRPC", "VERSION-EVERYWHERE"),
        ("version-of-a-message", "GRPC", "VERSION-REFUSED"),
        ("version-missing", "GRPC", "VERSION-EMPTY"),
        ("version-old", "GRPC", "VERSION-EMPTY"),
    }
    assert found(report, Outcome.WARNED) == {
        ("card-cache-control", "", "CARD-CACHE-CONTROL"),
        ("media-type-of-a-part", "GRPC", "SEND-MEDIA-TYPE"),
        ("error-names-the-field", "GRPC", "ERROR-FIELD"),
    }

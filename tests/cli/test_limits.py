"""`codin call` within a time and a budget."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from codin.trust import CALL_HEADER
from tests.cli.command import Terminal
from tests.cli.conftest import Done

Codin = Callable[..., Done]


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
@pytest.mark.parametrize(
    ("options", "seconds", "told"),
    [
        ([], None, "None tokens, None money"),
        (["--deadline", "30s"], 30, "None tokens, None money"),
        (["--deadline", "90"], 90, "None tokens, None money"),
        (["--deadline", "1.5m", "--budget", "money=0.5"], 90, "None tokens, 0.5 money"),
        (["--budget", "tokens=2000", "--budget", "money=1"], None, "2000 tokens, 1.0 money"),
        (["--budget", "tokens=2000", "--budget", "tokens=1000"], None, "1000 tokens, None money"),
    ],
)
def test_the_agent_is_told_the_limits(
    server: str, codin: Codin, options: list[str], seconds: int | None, told: str, mode: str
) -> None:
    begun = _now()
    done = codin("call", server, "limits", *options, mode)
    until, _, rest = done.out.partition(" ms, ")
    assert (done.code, rest, done.err) == (0, f"{told}\n", "")
    if seconds is None:
        assert until == "None"
    else:
        assert begun <= int(until) - seconds * 1000 <= _now()


def test_the_limits_hold_for_the_answer_to_a_question(server: str) -> None:
    with Terminal("call", server, "limits ask", "--deadline", "40s", "--budget", "tokens=7") as terminal:
        terminal.expect("Now?")
        begun = _now()
        terminal.type("yes\n")
        terminal.expect(" ms, 7 tokens, None money")
        (until,) = re.findall(r"(\d+) ms, 7 tokens", terminal.screen)
        assert begun <= int(until) - 40_000 <= _now()
        assert terminal.wait() == 0


def _now() -> int:
    """In milliseconds, as limits count."""
    return int(time.time() * 1000)


def test_a_call_without_a_budget_left_is_refused(server: str, codin: Codin) -> None:
    done = codin("call", server, "limits", "--budget", "tokens=0")
    assert (done.code, done.out) == (5, "")
    assert done.err == "error: the budget for this call is spent: no tokens left. Hint: --budget gives it more\n"


def test_a_call_that_comes_too_late_is_refused(server: str, codin: Codin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codin.cli._limits.time.time", lambda: 0.0)  # the clock of the caller is wrong
    done = codin("call", server, "limits", "--deadline", "30s")
    assert done.code == 5
    assert done.err == "error: the time for this call is over. Hint: --deadline gives it longer\n"


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_the_task_ends_by_itself_when_the_time_is_over(server: str, codin: Codin, mode: str) -> None:
    done = codin("call", server, "hang", "--deadline", "3s", mode)  # time enough to begin
    assert (done.code, done.out) == (1, "waiting\n")
    assert done.err == "failed: The run took longer than it may and was stopped.\n"
    (newest,) = codin("tasks", server, "--limit", "1").out.splitlines()
    assert "failed" in newest


def test_an_agent_that_goes_on_when_the_time_is_over_is_canceled(
    server: str, codin: Codin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = time.time() + 60.0  # the clock of the caller: on that of the agent, the time is not over
    monkeypatch.setattr("codin.cli._limits.time.time", lambda: ahead)
    monkeypatch.setattr("codin.cli._turn._OWN_END", 0.0)
    done = codin("call", server, "hang", "--deadline", "3s")
    assert (done.code, done.out) == (1, "waiting\n")
    assert done.err == "the time is over; canceling the task\nthe task is canceled\n"
    (newest,) = codin("tasks", server, "--limit", "1").out.splitlines()
    assert "canceled" in newest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--deadline", "soon"], "Invalid value for '--deadline': 'soon' is no time; write 30s, 5m or 1h"),
        (["--deadline", "0"], "'0' is no time"),
        (["--deadline", "-1"], "'-1' is no time"),
        (["--budget", "2000"], "Invalid value for '--budget': '2000' is no budget; write tokens=2000 or money=0.5"),
        (["--budget", "tokens=1.5"], "'tokens=1.5' is no budget"),
        (["--budget", "tokens=-1"], "'tokens=-1' is no budget"),
        (["--budget", "money=nan"], "'money=nan' is no budget"),
        (["--budget", "eur=1"], "'eur=1' is no budget"),
    ],
)
def test_limits_that_are_none(server: str, codin: Codin, options: list[str], words: str) -> None:
    done = codin("call", server, "limits", *options)
    assert done.code == 2
    assert words in done.err


@pytest.fixture
def plain() -> Iterator[str]:
    """An agent of somebody else's: without streams and limits. It answers once the text is not `wait`."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            interface = {"url": address, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            self._answer({"name": "plain", "version": "1", "supportedInterfaces": [interface]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if request["params"]["message"]["parts"][0]["text"] == "wait":
                over.wait()
            parts = [{"text": f"limits: {self.headers[CALL_HEADER]}"}]
            message = {"messageId": "1", "role": "ROLE_AGENT", "parts": parts}
            self._answer({"jsonrpc": "2.0", "id": request["id"], "result": {"message": message}})

        def _answer(self, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the caller has not waited
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield address
        over.set()
        server.shutdown()
        thread.join()


def test_an_agent_that_keeps_to_no_budget_is_named(plain: str, codin: Codin) -> None:
    done = codin("call", plain, "hi", "--budget", "tokens=5")
    assert (done.code, done.out) == (0, "limits: None\n")
    assert done.err == "'plain' does not say that it keeps to budgets, and is told of none\n"


def test_nobody_waits_longer_for_an_agent_that_knows_no_deadline(
    plain: str, codin: Codin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codin.cli._turn._UNWIND", 0.1)
    done = codin("call", plain, "wait", "--deadline", "0.2s")
    assert (done.code, done.out) == (5, "")
    assert done.err == "error: the time is over, and the agent goes on. Hint: --deadline gives it longer\n"

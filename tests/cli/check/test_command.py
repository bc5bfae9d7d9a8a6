"""`codin check`, as it is typed: what it prints, writes and ends with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree

import pytest

from tests.cli.command import Running, run
from tests.cli.conftest import Done

SERVED = Path(__file__).parents[1] / "served.py"
TOKEN = "open-sesame-4711"

Codin = Callable[..., Done]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an agent that wants a token."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    tokens.write_text(f"ada {TOKEN}\n")
    with Running("serve", str(SERVED), "--port", "0", "--token-file", str(tokens)) as running:
        yield running.serving()


class _Broken(BaseHTTPRequestHandler):
    """A server of A2A by its card, which has one answer to everything."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        interface = {"url": f"http://{host}/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        self._answer({"name": "broken", "supportedInterfaces": [interface]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"jsonrpc": "2.0", "id": "check-1", "result": {"tasks": []}})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def broken() -> Iterator[str]:
    """The URL of a server that keeps hardly a rule."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as served:
        thread = Thread(target=served.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()
            thread.join()


def test_an_agent_that_keeps_the_rules_ends_with_0(server: str) -> None:
    done = run("check", server, "--only", "LIST", "--only", "get-unknown", "--asks", "ask")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A2A v1.0 over JSONRPC, HTTP+JSON" in done.stdout
    assert "List tasks: " in done.stdout
    assert "checks keep every MUST" in done.stdout.splitlines()[-1]


def test_what_is_broken_is_said_at_length_and_ends_with_1(codin: Codin, broken: str) -> None:
    done = codin("check", broken, "--only", "one-answer")
    assert done.code == 1, done.out
    assert "FAILED    one-answer (JSONRPC): A message is answered with a task or with a message." in done.out
    assert "SEND-ONE-ANSWER, MUST, section 3.1.1" in done.out
    for word in ("expected", "sent", "got"):
        assert f"    {word}" in done.out


def test_what_could_not_be_checked_is_said_with_why(codin: Codin, server: str) -> None:
    done = codin("check", server, "--only", "SUBSCRIBE", "--only", "AUTH")
    assert "Could not be checked" in done.out
    assert "--lasts TEXT or --asks TEXT is a message that makes one" in done.out
    assert "needs another caller: --second-token" in done.out


def test_json_holds_every_result(codin: Codin, server: str) -> None:
    done = codin("check", server, "--only", "VERSION", "--json")
    report = json.loads(done.out)
    assert (report["version"], report["bindings"]) == ("1.0", ["JSONRPC", "HTTP+JSON"])
    assert report["held"] == report["of"] == report["counts"]["passed"] > 0
    first = report["results"][0]
    assert (first["check"], first["outcome"]) == ("version-unknown", "passed")
    assert first["rules"][:2] == ["VERSION-REFUSED", "VERSION-EVERYWHERE"]


def test_a_finding_in_json_says_the_rule_and_the_exchange(codin: Codin, broken: str) -> None:
    done = codin("check", broken, "--only", "one-answer", "--message", "x" * 100_000, "--json")
    finding = json.loads(done.out)["results"][0]["findings"][0]
    assert (finding["rule"], finding["level"], finding["section"]) == ("SEND-ONE-ANSWER", "MUST", "3.1.1")
    assert finding["sent"].startswith("POST http://")
    assert len(finding["sent"]) < 1000
    assert finding["received"] == 'HTTP 200 {"jsonrpc": "2.0", "id": "check-1", "result": {"tasks": []}}'


def test_junit_and_badge_are_written(codin: Codin, server: str, tmp_path: Path) -> None:
    tests, badge = tmp_path / "a2a.xml", tmp_path / "a2a.svg"
    done = codin("check", server, "--only", "GET", "--only", "SIGN", "--junit", tests, "--badge", badge)
    assert done.code == 0
    suites = ElementTree.parse(tests).getroot()
    assert [suite.get("name") for suite in suites] == ["the card", "JSONRPC", "HTTP+JSON"]
    assert sum(int(suite.get("tests", "")) for suite in suites) == 6
    assert [case.get("name") for case in suites.iter("testcase") if case.find("skipped") is not None] == [
        "signature-header",
        "signature-fits",
    ]
    picture = ElementTree.parse(badge).getroot()
    assert "".join(picture.itertext()).split() == ["A2A", "v1.0:", "4/4", "A2A", "v1.0", "4/4"]


@pytest.mark.parametrize(
    ("place", "options", "words"),
    [
        ("http://127.0.0.1:9", [], "http://127.0.0.1:9/.well-known/agent-card.json could not be reached"),
        ("{server}nothing.json", [], "There is no agent card at "),
        ("{server}", ["--binding", "GRPC", "--only", "GET"], "GRPC: the card declares no such interface"),
    ],
)
def test_that_nothing_could_be_checked_stands_in_the_junit_file(
    codin: Codin, server: str, tmp_path: Path, place: str, options: list[str], words: str
) -> None:
    tests = tmp_path / "a2a.xml"
    assert codin("check", place.format(server=server), *options, "--junit", tests).code == 5
    root = ElementTree.parse(tests).getroot()
    (error,) = root.iter("error")
    assert words in (error.get("message") or "")
    assert [suite.get("errors") for suite in root if suite.find("testcase/error") is not None] == ["1"]


def test_a_failure_stands_in_the_junit_file_and_on_the_badge(codin: Codin, broken: str, tmp_path: Path) -> None:
    tests, badge = tmp_path / "a2a.xml", tmp_path / "a2a.svg"
    codin("check", broken, "--only", "one-answer", "--junit", tests, "--badge", badge)
    (failure,) = ElementTree.parse(tests).getroot().iter("failure")
    assert "expected: exactly one of task and message" in (failure.text or "")
    assert "0/1" in badge.read_text()


def test_a_token_is_shown_nowhere(codin: Codin, guarded: str, tmp_path: Path) -> None:
    tests, held = tmp_path / "a2a.xml", tmp_path / "token.txt"
    held.write_text(TOKEN)
    for how in (["--token-file", held], ["--header", f"Authorization: Bearer {TOKEN}"]):
        done = codin("check", guarded, *how, "--only", "AUTH", "--only", "SEND", "--junit", tests, "--json")
        assert done.code == 0, done.out
        outcomes = {each["check"]: each["outcome"] for each in json.loads(done.out)["results"]}
        assert outcomes["with-a-wrong-credential"] == outcomes["one-answer"] == "passed"
        assert TOKEN not in done.out + done.err + tests.read_text()


def test_a_token_is_not_quoted_where_a_check_fails(codin: Codin, broken: str) -> None:
    done = codin("check", broken, "--only", "SEND", "--token", TOKEN, "--header", f"X-Secret: {TOKEN}")
    assert done.code == 1
    assert TOKEN not in done.out + done.err


@pytest.mark.parametrize(
    ("given", "words"), [([], "the server asks for a credential: --token"), (["--token", "no"], "is not taken")]
)
def test_without_a_credential_nothing_is_blamed_on_the_server(
    codin: Codin, guarded: str, given: list[str], words: str
) -> None:
    done = codin("check", guarded, *given)
    assert (done.code, "FAILED" in done.out) == (4, False), done.out
    assert words in done.out
    assert re.search(r"Who calls, and what they may see: \d passed", done.out)


def test_the_list_needs_no_server(codin: Codin) -> None:
    done = codin("check", "--list")
    assert done.code == 0
    assert "List tasks (LIST)" in done.out
    assert "get-unknown" in done.out
    assert "GET-UNKNOWN" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:9"], 5, "error: "),
        (["http://127.0.0.1:9", "--only", "nothing"], 2, "no check is called 'nothing'"),
        (["http://127.0.0.1:9", "--header", "nothing"], 2, "NAME:VALUE"),
        (["ftp://127.0.0.1"], 2, "no address"),
        (["http://127.0.0.1:9", "--token", "a", "--token-file", __file__], 2, "exclude each other"),
        ([], 2, "URL"),
    ],
)
def test_what_cannot_be_done_is_one_line(codin: Codin, arguments: list[str], code: int, words: str) -> None:
    done = codin("check", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_said(codin: Codin, server: str, tmp_path: Path) -> None:
    done = codin("check", server, "--only", "GET", "--badge", tmp_path / "nowhere" / "a.svg")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_a_server_without_a_card_cannot_be_checked(codin: Codin, server: str) -> None:
    done = codin("check", f"{server.rstrip('/')}/nothing.json")
    assert done.code == 5
    assert "There is no agent card" in done.err


def test_a_binding_that_is_not_there_is_said(codin: Codin, server: str) -> None:
    done = codin("check", server, "--only", "GET", "--binding", "GRPC")
    assert done.code == 5
    assert "the card declares no such interface" in done.out

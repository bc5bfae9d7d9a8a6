"""`codin card`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from tests.cli.command import Running
from tests.cli.conftest import Done

Codin = Callable[..., Done]

FOREIGN: dict[str, Any] = {
    "name": "old",
    "description": "Speaks something else.",
    "version": "2",
    "supportedInterfaces": [{"url": "https://a.example/x", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
    "capabilities": {"pushNotifications": True},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": [],
    "skills": [{"id": "s", "name": "\x1b[31mred", "description": "", "tags": []}],
    "securitySchemes": {
        "key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}},
        "web": {"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://a.example"}},
    },
    "securityRequirements": [{"schemes": {"key": {}}}, {"schemes": {"web": {"list": ["read"]}}}],
    "somethingNew": {"kept": True},
}


@pytest.fixture
def foreign() -> Iterator[str]:
    """A server that publishes a card codin cannot call, with a field it does not know."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(FOREIGN).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_card_for_eyes(server: str, codin: Codin) -> None:
    done = codin("card", server)
    lines = [line.rstrip() for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert lines[:2] == ["kit  1.0.0", "Does what the first word of the message says."]
    facts = dict(line.split(None, 1) for line in lines[3:9])
    assert facts["address"] == f"{server}  (JSONRPC 1.0)"
    assert facts["can"] == "stream"
    assert facts["callers"] == "anyone"
    assert lines[-1] == "  try: count 3"


def test_json_is_the_document(server: str, codin: Codin) -> None:
    card = a2a.AgentCard.from_json(codin("card", server, "--json").out)
    assert card.supported_interfaces[0].url == server


def test_a_card_that_codin_cannot_call_is_shown_as_it_was_published(foreign: str, codin: Codin) -> None:
    assert json.loads(codin("card", foreign, "--json").out) == FOREIGN
    done = codin("card", foreign)
    assert done.code == 0
    assert "codin cannot call this agent" in done.err
    assert "API key in header 'X-Key'; or OpenID Connect with read" in done.out
    assert "\x1b" not in done.out
    assert "␛[31mred" in done.out


def test_a_target_shows_what_would_be_published(codin: Codin) -> None:
    served = Path(__file__).parent / "served.py"
    done = codin("card", served, "--json", "--public-url", "https://agents.example/kit/")
    card = a2a.AgentCard.from_json(done.out)
    assert (card.name, card.supported_interfaces[0].url) == ("kit", "https://agents.example/kit/")


def test_tokens_are_asked_for_taken_and_never_shown(codin: Codin, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# callers\nme s3cr3t\n")
    tokens.chmod(0o600)
    served = str(Path(__file__).parent / "served.py")
    with Running("serve", served, "--port", "0", "--token-file", str(tokens)) as running:
        url = running.serving()
        assert "HTTP Bearer" in codin("card", url).out
        refused = codin("call", url, "hello")
        assert refused.code == 4
        assert "--token" in refused.err
        wrong = codin("call", url, "hello", "--token", "wr0ng")
        assert (wrong.code, wrong.out) == (4, "")
        assert "wr0ng" not in wrong.err
        assert codin("call", url, "hello", "--token", "s3cr3t").out == "HELLO\n"
        assert codin("call", url, "hello", "--token-file", tokens).out == "HELLO\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.environ", {"CODIN_TOKEN": "s3cr3t"})
            assert codin("tasks", url, "--limit", "1").code == 0

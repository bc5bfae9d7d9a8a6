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
from tests.cli.command import ROOT, Running, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

FOREIGN: dict[str, Any] = {
    "name": "old",
    "description": "Speaks something else.",
    "version": "2",
    "supportedInterfaces": [{"url": "https://a.example/x", "protocolBinding": "urn:pigeon", "protocolVersion": "1.0"}],
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


SHOP = """
from datetime import date
from typing import Literal
from pydantic import BaseModel
from codin.agent import agent

class Address(BaseModel):
    street: str

class Bill(BaseModel):
    total: float

@agent
def buy(
    item: str, size: Literal["small", "large"], to: list[Address], count: int = 1, when: date | None = None
) -> Bill:
    '''Buys.

    Args:
        item: what to buy
        count: how many
    '''
    return Bill(total=1.5)
"""


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
    lines = done.out.splitlines()
    assert not [line for line in lines if line != line.rstrip()]
    assert (done.code, done.err) == (0, "")
    assert lines[:2] == ["kit  1.0.0", "Does what the first word of the message says."]
    facts = {name: value.strip() for line in lines[3:] for name, _, value in [line.partition("  ")]}
    assert facts["address"] == f"{server}  (JSONRPC 1.0)"
    assert facts["features"] == "streaming, push notifications"
    assert facts["callers"] == "anyone; no credential is asked for"
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


def test_the_data_that_an_agent_reads_and_answers_with(codin: Codin, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    lines = codin("card", tmp_path / "shop.py").out.splitlines()
    data = lines[lines.index("reads data") : lines.index("skill buy") - 1]
    assert data == [
        "reads data",
        "  item   string; required; what to buy",
        "  size   one of: small, large; required",
        "  to     list of object (street); required",
        "  count  integer; optional; how many (default 1)",
        "  when   string (date) or null; optional",
        "",
        "answers with data",
        "  total  number; required",
    ]


def test_the_card_in_the_documentation_is_printed(codin: Codin) -> None:
    pytest.importorskip("langgraph", reason="pip install 'codin[langgraph]'")
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert f"```text\n{codin('card', ROOT / 'agents' / 'ranker' / 'agent.py').out}```" in page


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "reads data: integer"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "reads data: anything"),
        ({"type": "array", "items": {"anyOf": [{"const": 1}, 7]}}, "reads data: list of 1 or anything"),
        (["nonsense"], "reads data: anything"),
        ({"properties": {"\x1b[31m": {"type": ["string", "null"]}, "b": []}, "required": 3}, "  ␛[31m  string or null"),
    ],
)
def test_a_schema_may_be_anything(codin: Codin, foreign: str, schema: Any, words: str) -> None:
    extension = {"uri": a2a.SCHEMA_EXTENSION, "params": {"inputSchema": schema}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FOREIGN, "capabilities", {"extensions": [extension]})
        done = codin("card", foreign)
    assert done.code == 0
    assert words in done.out


def test_a_server_with_several_agents_has_no_card_at_its_root(codin: Codin, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(SHOP + "\n\n@agent\ndef sell(text: str) -> str: ...\n")
    with Running("serve", "two.py", "--port", "0", cwd=tmp_path) as running:
        root = running.serving().removesuffix("/sell/").removesuffix("/buy/")
        done = codin("card", root)
        nobody = codin("call", f"{root}/nosuch", "hi")
    words = f"There are 2 agents at {root}. Hint: take one: {root}/buy, {root}/sell"
    assert (done.code, done.err) == (5, f"error: {words}\n")
    assert (nobody.code, nobody.err) == (5, f"error: There is no agent at {root}/nosuch. {words}\n")


def test_a_card_in_a_file_is_shown(codin: Codin, tmp_path: Path) -> None:
    place = tmp_path / "old.json"
    place.write_text(json.dumps({**FOREIGN, "signatures": [{"protected": "e30", "signature": "AA"}]}))
    done = codin("card", place)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("old  2\n")
    assert f"signed    not verified here: codin card verify {place}\n" in done.out
    assert json.loads(codin("card", place, "--json").out)["name"] == "old"
    assert codin("card", place, "--public-url", "https://a.example").code == 2
    place.write_text('{"detail": "Not Found"}')
    done = codin("card", place)
    assert (done.code, done.out) == (2, "")
    assert f"'{place}' is no agent card of A2A: name: Field required" in done.err


def test_a_public_url_is_one(codin: Codin) -> None:
    done = codin("card", Path(__file__).parent / "served.py", "--public-url", "foo")
    assert (done.code, done.out) == (2, "")
    assert "the public URL 'foo' is none" in done.err


EXTENDED = """
import codin
from codin import a2a
from codin.agent import agent
from codin.trust import BearerTokens

@agent
def clerk(text: str) -> str: ...

def extend(card, caller):
    audit = a2a.AgentSkill(id="audit", name=f"for {caller.id}", description="Look into the books.", tags=["books"])
    return card.model_copy(update={"skills": [*card.skills, audit]})

if __name__ == "__main__":
    codin.serve(clerk, port=0, authenticator=BearerTokens({"s3cr3t": "ada"}), extended_card=extend)
"""


def test_the_extended_card_is_shown_to_who_has_a_credential(codin: Codin, tmp_path: Path) -> None:
    (tmp_path / "clerk.py").write_text(EXTENDED)
    with Running(program=tmp_path / "clerk.py") as running:
        url = running.serving()
        assert "for ada" not in codin("card", url, "--token", "s3cr3t").out
        shown = codin("card", url, "--extended", "--token", "s3cr3t")
        assert (shown.code, "skill for ada  audit\n" in shown.out) == (0, True), shown
        document = json.loads(codin("card", url, "--extended", "--json", "--token", "s3cr3t").out)
        assert [skill["id"] for skill in document["skills"]] == ["clerk", "audit"]
        nobody = codin("card", url, "--extended", "--no-keys")
        assert (nobody.code, nobody.out) == (4, "")
        assert "--token-file" in nobody.err


def test_codin_serve_takes_the_function_that_makes_it(codin: Codin, tmp_path: Path) -> None:
    (tmp_path / "clerk.py").write_text(EXTENDED)
    tokens = tmp_path / "tokens"
    tokens.write_text("bob s3cr3t\n")
    tokens.chmod(0o600)
    served = ["serve", "clerk.py", "--port", "0", "--token-file", "tokens", "--extended-card", "clerk.py:extend"]
    with Running(*served, cwd=tmp_path) as running:
        url = running.serving()
        assert "extended card" in codin("card", url).out
        assert "skill for bob  audit\n" in codin("card", url, "--extended", "--token", "s3cr3t").out


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("clerk.py", "'clerk.py' names no function. Hint: write path.py:name"),
        ("clerk.py:nothing", "'clerk.py' has no 'nothing'"),
        ("clerk.py:a2a", "'clerk.py:a2a' is no function"),
        ("clerk.py:extend", "the extended card is for callers who say who they are, and here nobody can"),
    ],
)
def test_what_cannot_make_an_extended_card_is_said(tmp_path: Path, function: str, words: str) -> None:
    (tmp_path / "clerk.py").write_text(EXTENDED)
    done = run("serve", "clerk.py", "--port", "0", "--no-keys", "--extended-card", function, cwd=tmp_path)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_peer_without_an_extended_card_says_so(codin: Codin, server: str) -> None:
    done = codin("card", server, "--extended")
    assert (done.code, done.out) == (5, "")
    assert "this agent has no extended card. Hint: its public card says everything" in done.err
    assert codin("card", Path(__file__).parent / "served.py", "--extended").code == 2


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
        how = codin("call", url, "ask", "--token-file", tokens).err.splitlines()[-1].split()
        assert codin(*how[1:-1], "red").out == "You chose red.\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.environ", {"CODIN_TOKEN": "s3cr3t"})
            assert codin("tasks", url, "--limit", "1").code == 0

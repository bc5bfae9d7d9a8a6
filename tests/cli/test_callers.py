"""`codin serve`: who may call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from codin.trust import KeyRing
from tests.cli.command import Running, run
from tests.server.rpc import HEADERS, message

PROGRAM = """
from codin.agent import Task, agent

@agent
async def who(task: Task) -> str:
    return task.caller.id
"""
ACCESS = """
[agents.who]
scopes = ["read"]

[grants]
bob = ["read"]
"""


def _call(url: str, **headers: str) -> httpx.Response:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}
    with httpx.Client(trust_env=False) as http:
        return http.post(url, json=body, headers={**HEADERS, **headers})


def _file(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    _file(tmp_path / "who.py", PROGRAM)
    return tmp_path


def test_tokens_keys_and_scopes(program: Path) -> None:
    tokens = _file(program / "tokens", "ada t0ken scopes=read\neve other\n")
    keys = _file(program / "keys", "bob k3y\n")
    access = _file(program / "access.toml", ACCESS)
    options = ["--token-file", tokens, "--api-key-file", keys, "--access", access]
    with Running("serve", "who.py", "--port", "0", *options, cwd=program) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        assert '"ada"' in _call(url, Authorization="Bearer t0ken").text
        assert '"bob"' in _call(url, **{"X-API-Key": "k3y"}).text
        assert _call(url, Authorization="Bearer other").status_code == 403
        refused = _call(url, Authorization="Bearer wr0ng")
        assert (refused.status_code, "invalid_token" in refused.headers["www-authenticate"]) == (401, True)
        serving.interrupt()
        assert serving.wait() == 0
        said = serving.out + serving.err
        assert not any(secret in said for secret in ("t0ken", "k3y", "wr0ng"))


def test_known_callers_only(program: Path) -> None:
    KeyRing.create(program / "ring")
    options = ["--keys", str(program / "ring"), "--callers", "known"]
    with Running("serve", "who.py", "--port", "0", *options, cwd=program) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        assert _call(url).status_code == 401
    done = run("serve", "who.py", "--port", "0", "--no-keys", "--callers", "known", cwd=program)
    assert (done.returncode, "nobody would come in" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--oidc-issuer", "https://login.example.com"], "go together"),
        (["--oidc-audience", "x"], "go together"),
        (["--oidc-issuer", "http://login.example.com", "--oidc-audience", "x"], "no https URL"),
        (["--access", "who.py"], "cannot be used"),
    ],
)
def test_options_that_make_no_sense(program: Path, options: list[str], says: str) -> None:
    done = run("serve", "who.py", "--port", "0", *options, cwd=program)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_issuer_stands_in_the_card(program: Path) -> None:
    options = ["--oidc-issuer", "http://127.0.0.1:9/", "--oidc-audience", "agents"]
    with Running("serve", "who.py", "--port", "0", *options, cwd=program) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        with httpx.Client(trust_env=False) as http:
            card = http.get(f"{url}.well-known/agent-card.json").json()
    assert card["securityRequirements"] == [{"schemes": {"oidc": {}}}]

"""`codin serve`: who may call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from codin.trust import KeyRing
from tests.cli.command import PATIENCE, Running, environment, free_port, run
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


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which there are no keys but those that the test makes."""
    return {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


def test_a_person_with_a_key_calls_agents_that_want_known_callers(program: Path, home: dict[str, str]) -> None:
    kid = KeyRing.create(program / ".codin" / "keys").active.kid
    with Running("serve", "who.py", "--port", "0", "--callers", "known", cwd=program, env=home) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        called = run("call", url, "hi", env=home)
        assert (called.returncode, called.stdout, called.stderr) == (0, f"cli@{kid}\n", "")
        (task,) = run("tasks", url, "--json", env=home).stdout.splitlines()
        assert run("tasks", url, "get", json.loads(task)["id"], env=home).returncode == 0
        assert "verified (known key)" in run("card", url, env=home).stdout
        nobody = run("call", url, "hi", "--no-keys", env=home)
        assert nobody.returncode == 4
        assert "codin keys new makes a key; the agent's operator approves it" in nobody.stderr
        elsewhere = {**home, "HOME": str(program / "elsewhere")}
        ours = str(program / ".codin" / "keys")
        assert run("call", url, "hi", "--keys", ours, env=elsewhere).stdout == f"cli@{kid}\n"
        both = run("call", url, "hi", "--keys", ours, "--token", "t0ken", env=elsewhere)
        assert (both.returncode, "exclude each other" in both.stderr) == (2, True)


def test_the_card_tells_tokens_and_keys_of_agents_apart(program: Path, home: dict[str, str]) -> None:
    KeyRing.create(program / ".codin" / "keys")
    given = ["--token-file", _file(program / "tokens", "ada t0ken scopes=read\n")]
    given += ["--access", _file(program / "access.toml", ACCESS)]
    (program / "agent.toml").write_text('target = "who.py"\ntoken_file = "tokens"\naccess = "access.toml"\n')
    with Running("serve", "who.py", "--port", "0", *given, cwd=program, env=home) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        for place in (url, "."):
            card = " ".join(run("card", place, cwd=program, env=home).stdout.split())
            assert "callers the key of an agent with read; or HTTP Bearer with read" in card


def test_a_key_is_shown_to_verified_agents_only_and_has_to_be_approved(program: Path, home: dict[str, str]) -> None:
    KeyRing.create(program / ".codin" / "keys")
    mine = {**home, "HOME": str(program / "mine")}
    ring = KeyRing.create(program / "mine" / ".codin" / "keys")
    with Running("serve", "who.py", "--port", "0", "--callers", "known", cwd=program, env=home) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        unverified = run("call", url, "hi", env=mine)
        assert unverified.returncode == 5
        assert f"codin trust approve {url} lets your key be shown there" in unverified.stderr
        assert run("trust", "approve", url, "--yes", env=mine).returncode == 0
        unknown = run("call", url, "hi", env=mine)
        assert unknown.returncode == 4
        assert "let the other side approve the key" in unknown.stderr
        key = program / "mine.jwks"
        key.write_text(json.dumps(ring.export()))
        named = run("trust", "approve", "--key", str(key), "--name", "ada", "--anywhere", env=home, cwd=program)
        assert named.returncode == 0, named.stderr
        assert run("call", url, "hi", env=mine).stdout == "ada\n"


def test_a_key_keeps_nobody_from_an_agent_that_is_elsewhere(program: Path, home: dict[str, str]) -> None:
    KeyRing.create(program / ".codin" / "keys")
    port = free_port()
    options = ["--no-keys", "--port", str(port), "--public-url", "http://agents.example.com"]
    with Running("serve", "who.py", *options, cwd=program, env=home) as serving:
        serving.expect("who serves A2A at http://agents.example.com/")
        url = f"http://127.0.0.1:{port}"
        shown = run("card", url, env=home)
        assert (shown.returncode, "cannot call" in shown.stderr) == (0, False)
        # Who says which keys are to be shown is told that they are not.
        assert "credentials" in run("card", url, "--keys", str(program / ".codin" / "keys"), env=home).stderr


def test_api_keys_on_the_command_line(program: Path, home: dict[str, str]) -> None:
    keys = _file(program / "keys", "bob k3y\neve other\n")
    access = _file(program / "access.toml", ACCESS)
    options = ["--no-keys", "--api-key-file", keys, "--access", access]
    with Running("serve", "who.py", "--port", "0", *options, cwd=program, env=home) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        mine = _file(program / "mine", "k3y\n")
        assert run("call", url, "hi", "--api-key-file", mine, env=home).stdout == "bob\n"
        assert run("tasks", url, "--api-key-file", mine, env=home).returncode == 0
        assert run("call", url, "hi", env={**home, "CODIN_API_KEY": "k3y"}).stdout == "bob\n"
        nobody = run("call", url, "hi", env=home)
        assert nobody.returncode == 4
        assert "Hint: --api-key-file, or CODIN_API_KEY, gives an API key\n" in nobody.stderr
        eve = run("call", url, "hi", env={**home, "CODIN_API_KEY": "other"})
        assert eve.returncode == 4
        assert "Hint: it lacks the scopes read\n" in eve.stderr
        both = run("call", url, "hi", "--api-key-file", mine, "--token", "t0ken", env=home)
        assert (both.returncode, "exclude each other" in both.stderr) == (2, True)


def test_the_hint_names_each_way_in(program: Path, home: dict[str, str]) -> None:
    KeyRing.create(program / ".codin" / "keys")
    tokens = _file(program / "tokens", "ada t0ken\n")
    with Running("serve", "who.py", "--port", "0", "--token-file", tokens, cwd=program, env=home) as serving:
        url = serving.serving(r"who serves A2A at (http://\S+)\n")
        nobody = run("tasks", url, "--no-keys", env=home)
        assert nobody.returncode == 4
        assert "--token-file, or CODIN_TOKEN, gives a bearer token" in nobody.stderr
        assert "codin keys new makes a key" in nobody.stderr
        assert "Authorization" not in nobody.stderr


def test_without_keys_nothing_of_cryptography_is_loaded(server: str, home: dict[str, str]) -> None:
    program = (
        "import sys; from codin.cli import main; code = main(sys.argv[1:])\n"
        "sys.exit(code or any(name.startswith('cryptography') for name in sys.modules))"
    )
    call = [sys.executable, "-c", program, "call", server, "hello"]
    done = subprocess.run(call, env=environment(home), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (0, "HELLO\n"), done.stderr


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

"""`codin keys`, and the keys of `codin serve`."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from codin.trust import KeyRing, PublicKey, read_jwks, verify_card
from tests.cli.command import Running, Terminal
from tests.cli.conftest import Done

Codin = Callable[..., Done]

CARD = "/.well-known/agent-card.json"
JWKS = "/.well-known/jwks.json"
SHOUT = """
from codin.agent import agent

@agent
async def shout(text: str) -> str:
    '''Say it louder.'''
    return text.upper()
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with an agent and a home, both without keys."""
    for name in ("CODIN_KEY", "CODIN_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.py").write_text(SHOUT)
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def test_the_life_of_a_key(codin: Codin, here: Path) -> None:
    made = codin("keys", "new", "--algorithm", "eddsa")
    ring = KeyRing.open(here / "home" / ".codin" / "keys")
    assert made.out == f"{ring.active.kid} EdDSA active\n"
    assert str(ring.path) in made.err
    listed = codin("keys", "list").out
    assert ring.active.kid in listed
    assert "active" in listed
    first = ring.active.kid
    assert codin("keys", "rotate", "--overlap", "2").out == f"{ring.active.kid} EdDSA active\n"
    assert "signs until" in codin("keys", "list").out
    revoked = codin("keys", "revoke", first, "--yes")
    assert (revoked.code, revoked.out) == (0, f"{first} EdDSA revoked\n")
    second = ring.active.kid
    replaced = codin("keys", "revoke", second[:10], "--yes")
    assert replaced.out == f"{second} EdDSA revoked\n"
    assert ring.active.kid in replaced.err
    assert codin("keys", "export").out == json.dumps(ring.export(), indent=2) + "\n"
    assert PublicKey.from_pem(codin("keys", "export", "--pem").out) == ring.active.public


def test_a_key_is_not_destroyed_unasked(codin: Codin) -> None:
    codin("keys", "new")
    ring = KeyRing.find()
    assert ring is not None
    kid = ring.active.kid
    nobody = codin("keys", "revoke", kid)
    assert (nobody.code, nobody.out) == (2, "")
    assert "there is nobody to ask: --yes destroys the key" in nobody.err
    for answer, is_active in (("n", True), ("y", False)):
        with Terminal("keys", "revoke", kid[:4]) as terminal:
            terminal.expect(kid)
            terminal.expect("it is the active one")
            terminal.expect("Destroy it?")
            terminal.type(f"{answer}\n")
            assert terminal.wait() == (1 if is_active else 0)
        assert (ring.active.kid == kid) is is_active
    again = codin("keys", "revoke", kid[:8])
    assert (again.code, again.out) == (2, "")
    assert f"the key '{kid}' is revoked already" in again.err


def test_json_is_for_programs(codin: Codin, here: Path) -> None:
    def lines(*arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in codin("keys", *arguments, "--keys", "k", "--json").out.splitlines()]

    (made,) = lines("new")
    assert (made["algorithm"], made["state"], made["path"]) == ("ES256", "active", "k")
    (rotated,) = lines("rotate", "--algorithm", "EdDSA")
    assert [(each["kid"], each["state"]) for each in lines("list")] == [
        (rotated["kid"], "active"),
        (made["kid"], "overlapping"),
    ]
    (revoked,) = lines("revoke", made["kid"], "--yes")
    assert (revoked["kid"], revoked["state"]) == (made["kid"], "revoked")


def test_no_command_shows_a_private_key(codin: Codin, here: Path) -> None:
    said = [codin("keys", "new")]
    ring = KeyRing.find()
    assert ring is not None
    secrets = [ring.active.to_pem().decode().splitlines()[1]]
    said += [codin("keys", "rotate"), codin("keys", "list"), codin("keys", "list", "--json"), codin("keys", "export")]
    said += [codin("keys", "export", "--pem"), codin("card", "sign", "hello.py"), codin("keys", "revoke", "no such")]
    secrets.append(ring.active.to_pem().decode().splitlines()[1])
    for secret in secrets:
        assert secret not in "".join(f"{each.out}{each.err}" for each in said)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (here / "home/.codin/keys").iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "there are no keys. Hint: codin keys new"),
        (["export"], "there are no keys. Hint: codin keys new"),
        (["rotate", "--keys", "nowhere"], "there are no keys in 'nowhere'. Hint: codin keys new --keys nowhere"),
        (["new", "--keys", "."], "is not empty. Hint: keys live in a folder of their own"),
        (["new", "--algorithm", "HS256"], "HS256"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(codin: Codin, arguments: list[str], words: str) -> None:
    done = codin("keys", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_a_server_signs_with_the_keys_that_are_there(here: Path) -> None:
    ring = KeyRing.create(here / ".codin" / "keys")
    with Running("serve", "hello.py", "--port", "0", cwd=here) as running:
        url = running.serving().rstrip("/")
        assert verify_card(httpx.get(url + CARD).content, ring.published) == ring.active.public
        assert read_jwks(httpx.get(url + JWKS).content) == [ring.active.public]


def test_other_keys_are_named_and_none_is_typed(here: Path) -> None:
    KeyRing.create(here / ".codin" / "keys")
    other = KeyRing.create(here / "other")
    with Running("serve", "hello.py", "--port", "0", "--keys", "other", cwd=here) as running:
        assert (
            verify_card(httpx.get(running.serving().rstrip("/") + CARD).content, other.published) == other.active.public
        )
    with Running("serve", "hello.py", "--port", "0", "--no-keys", cwd=here) as running:
        url = running.serving().rstrip("/")
        assert httpx.get(url + CARD).json().get("signatures") is None
        assert httpx.get(url + JWKS).status_code == 404


def test_a_server_does_not_start_with_keys_that_it_cannot_use(codin: Codin, here: Path) -> None:
    done = codin("serve", "hello.py", "--port", "0", "--keys", "nowhere")
    assert done.code == 2
    assert "there are no keys in 'nowhere'" in done.err
    ring = KeyRing.create(here / "keys")
    (here / "keys" / f"{ring.active.kid}.pem").chmod(0o644)
    done = codin("serve", "hello.py", "--port", "0", "--keys", "keys")
    assert done.code == 2
    assert "can be read by others. Hint: chmod 600" in done.err

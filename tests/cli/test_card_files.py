"""`codin card sign` and `codin card verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.server import App
from codin.testing import serving
from codin.trust import KeyRing, SigningKey, TrustStore, jwks, sign_card, verify_card
from tests.cli.command import run
from tests.cli.conftest import Done

Codin = Callable[..., Done]

AGENTS = """
from codin.agent import agent

@agent
async def shout(text: str) -> str:
    '''Say it louder.'''
    return text.upper()
"""

BARE: dict[str, Any] = {
    "name": "plain",
    "description": "A card in a file.",
    "version": "1",
    "supportedInterfaces": [{"url": "https://a.example/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
    "capabilities": {},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CODIN_KEY", "CODIN_KEYS", "CODIN_TRUST_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.py").write_text(AGENTS)
    (tmp_path / "card.json").write_text(json.dumps(BARE))
    return tmp_path


@pytest.fixture
def ring(here: Path) -> KeyRing:
    return KeyRing.create(here / ".codin" / "keys")


def test_a_file_is_signed_and_verified(codin: Codin, ring: KeyRing) -> None:
    done = codin("card", "sign", "card.json", "-o", "signed.json")
    assert (done.code, done.out) == (0, "")
    assert verify_card(Path("signed.json").read_bytes(), ring.published) == ring.active.public
    done = codin("card", "verify", "signed.json")
    assert (done.code, done.out) == (0, f"signed by {ring.active.kid} (ES256)\n")
    assert json.loads(codin("card", "verify", "signed.json", "--json").out) == ring.active.public.to_jwk()


def test_an_edited_file_is_refused(codin: Codin, ring: KeyRing) -> None:
    signed = codin("card", "sign", "card.json").out
    Path("edited.json").write_text(signed.replace("https://a.example/", "https://b.example/"))
    done = codin("card", "verify", "edited.json")
    assert (done.code, done.out) == (5, "")
    assert "does not fit this card. Hint: the card was changed after it was signed" in done.err
    assert "no signature" in codin("card", "verify", "card.json").err


def test_a_target_is_signed_as_it_would_be_served(codin: Codin, ring: KeyRing) -> None:
    done = codin("card", "sign", "hello.py", "--public-url", "https://agents.example/x/")
    assert verify_card(done.out.encode(), ring.published) == ring.active.public
    card = a2a.AgentCard.from_json(done.out)
    assert (card.name, card.supported_interfaces[0].url) == ("shout", "https://agents.example/x/")


def test_both_keys_sign_while_they_overlap(codin: Codin, ring: KeyRing) -> None:
    old = ring.active.public
    ring.rotate()
    signed = codin("card", "sign", "card.json").out.encode()
    assert verify_card(signed, [old]) == old
    assert verify_card(signed, [ring.active.public]) == ring.active.public


@pytest.mark.parametrize("form", ["pem", "jwk", "jwks"])
def test_the_verifier_chooses_the_key(codin: Codin, here: Path, ring: KeyRing, form: str) -> None:
    codin("card", "sign", "card.json", "-o", "signed.json")
    for name, key in {"right": ring.active.public, "wrong": SigningKey.generate().public}.items():
        text = {"pem": key.to_pem().decode(), "jwk": json.dumps(key.to_jwk()), "jwks": json.dumps(jwks([key]))}[form]
        (here / name).write_text(text)
    assert codin("card", "verify", "signed.json", "--key", "right").code == 0
    assert codin("card", "verify", "signed.json", "--key", "wrong", "--key", "right").code == 0
    refused = codin("card", "verify", "signed.json", "--key", "wrong")
    assert refused.code == 5
    assert "not known here" in refused.err


def test_a_named_key_may_have_signed_under_any_name(codin: Codin, here: Path) -> None:
    key = SigningKey.generate()
    signed = sign_card(a2a.AgentCard.from_dict(BARE), key).to_dict()
    named = {**key.public.to_jwk(), "kid": "key-1"}  # whoever signs with its thumbprint may publish it otherwise
    (here / "signed.json").write_text(json.dumps(signed))
    (here / "key.pem").write_bytes(key.public.to_pem())
    (here / "jwks.json").write_text(json.dumps({"keys": [named]}))
    for place in ("key.pem", "jwks.json"):
        assert codin("card", "verify", "signed.json", "--key", place).code == 0


@pytest.mark.anyio
async def test_a_card_and_keys_at_addresses(here: Path, ring: KeyRing) -> None:
    from anyio.to_thread import run_sync

    from codin.cli._target import load_agents

    async with serving(App(*load_agents(["hello.py"]), keys=ring)) as url:
        own = await run_sync(lambda: run("card", "verify", url, cwd=here))
        assert own.stdout == f"signed by {ring.active.kid} (ES256)\n"
        elsewhere = here / "elsewhere"
        elsewhere.mkdir()
        env = {"CODIN_KEYS": str(KeyRing.create(elsewhere / "keys").path)}
        unknown = await run_sync(lambda: run("card", "verify", url, cwd=elsewhere, env=env))
        assert unknown.returncode == 5
        assert "not known here" in unknown.stderr
        keys = f"{url}/.well-known/jwks.json"
        typed = await run_sync(lambda: run("card", "verify", url, "--key", keys, cwd=elsewhere, env=env))
        assert typed.stdout == own.stdout


def test_keys_that_were_approved_count(codin: Codin, here: Path, ring: KeyRing) -> None:
    codin("card", "sign", "card.json", "-o", "signed.json")
    public = ring.active.public
    (here / ".codin" / "keys").rename(here / "away")
    assert "there is no key to verify with" in codin("card", "verify", "signed.json").err
    TrustStore.default().name("ours", public, anywhere=True)
    assert codin("card", "verify", "signed.json").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sign", "nowhere.json"], 2, "cannot be read"),
        (["sign", "hello.json"], 2, "is no agent card"),
        (["sign", "card.json", "--keys", "nowhere"], 2, "there are no keys in 'nowhere'"),
        (["sign", "card.json", "--public-url", "https://x"], 2, "belong to a TARGET"),
        (["sign", "hello.py", "--public-url", "x"], 2, "is none"),
        (["sign", "card.json", "-o", "no/such/folder"], 2, "cannot be written"),
        (["verify", "nowhere.json"], 2, "cannot be read"),
        (["verify", "hello.json"], 2, "'hello.json' is no agent card of A2A: name: Field required"),
        (["verify", "nobody"], 2, "nobody is called 'nobody' here. Hint: codin find lists who is"),
        (["verify", "card.json", "--key", "hello.py"], 5, "no key set"),
        (["verify", "card.json", "--key", "hello.json"], 2, "no key that codin uses"),
        (["verify"], 2, "URL_OR_FILE"),
    ],
)
def test_what_is_wrong_is_said(
    codin: Codin, here: Path, ring: KeyRing, arguments: list[str], code: int, words: str
) -> None:
    (here / "hello.json").write_text("{}")
    done = codin("card", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err

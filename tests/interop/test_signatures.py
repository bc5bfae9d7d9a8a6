"""Signed cards between codin and the official SDKs: each verifies what the other has signed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codin import a2a
from codin.agent import agent, as_agent
from codin.errors import CardNotTrusted
from codin.server import agent_card
from codin.testing import serving
from codin.trust import Algorithm, BearerTokens, SigningKey, sign_card, verify_card
from tests.interop.conftest import HERE, js_environment, sdk_environment

Job = dict[str, Any]
Sdk = Callable[..., list[Any]]

KEYS: dict[Algorithm, SigningKey] = {
    "ES256": SigningKey.generate("ES256"),
    "EdDSA": SigningKey.generate("EdDSA"),
    "RS256": SigningKey.generate("RS256"),
}


def python(*jobs: Job) -> list[Any]:
    """What comes of each job in the Python SDK."""
    return _run([sdk_environment(), HERE / "peers" / "a2a_sdk_signing.py", json.dumps(jobs)])


def javascript(*jobs: Job) -> list[Any]:
    """What comes of each job in the JavaScript SDK."""
    script = (HERE / "peers" / "js" / "signing.mjs").read_text()
    # From standard input, node looks for packages in the working directory; else it would look beside the script.
    return _run(["node", "--input-type=module", "-", json.dumps(jobs)], input=script, cwd=js_environment())


def _run(command: list[str | Path], **options: Any) -> list[Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=[python, javascript], ids=["python", "javascript"])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """An official SDK: does what it is told, and gives what came of each."""
    return request.param


@agent
async def shout(text: str) -> str:
    """Say it louder: «ÀÉÎ», 大声, 😀."""
    return text.upper()


def cards() -> list[a2a.AgentCard]:
    """Cards on which canonical forms differ: what codin serves, and one with something empty everywhere."""
    served = agent_card(as_agent(shout), "https://a.example/", BearerTokens({"t": "ada"}), identity="shout@1")
    empty = served.model_copy(
        update={
            "description": "",
            "default_output_modes": [],
            "documentation_url": "",
            "provider": a2a.AgentProvider(url="", organization=""),
            "skills": [a2a.AgentSkill(id="s", name="", description="", tags=["", "t"], examples=[""])],
            "capabilities": a2a.AgentCapabilities(streaming=False, extensions=[
                a2a.AgentExtension(uri="urn:x", params={
                    "😀": 1, "\ufb33": 2, "n": 1e21, "small": 1e-7, "one": 1.0, "half": 0.5, "no": False,
                    "nothing": None, "empty": {"": [], "b": {}}, "list": [None, "", 0],
                }),
                a2a.AgentExtension(description="only this"),
            ]),
        }
    )  # fmt: skip
    return [served, empty]


def signing(card: a2a.AgentCard, algorithm: Algorithm) -> Job:
    key = KEYS[algorithm]
    return {"do": "sign", "card": card.to_dict(), "kid": "key-1", "alg": algorithm, "pem": key.to_pem().decode()}


def verifying(fields: dict[str, Any]) -> Job:
    return {"do": "verify", "card": fields, "keys": [key.public.to_jwk() for key in KEYS.values()]}


def test_codin_verifies_what_the_sdk_signs(sdk: Sdk) -> None:
    jobs: list[tuple[a2a.AgentCard, Algorithm]] = [(card, algorithm) for card in cards() for algorithm in KEYS]
    signed = sdk(*(signing(card, algorithm) for card, algorithm in jobs))
    for fields, (_, algorithm) in zip(signed, jobs, strict=True):
        key = KEYS[algorithm].public
        document = json.dumps(fields).encode()
        assert verify_card(document, lambda kid, key=key: key if kid == "key-1" else None) == key
        with pytest.raises(CardNotTrusted, match="does not fit"):
            verify_card(document.replace(b"https://a.example/", b"https://b.example/"), lambda _, key=key: key)


def test_the_sdk_verifies_what_codin_signs(sdk: Sdk) -> None:
    signed = [sign_card(card, key).to_dict() for card in cards() for key in KEYS.values()]
    edited = [{**fields, "version": "6.6.6"} for fields in signed]
    assert sdk(*map(verifying, signed + edited)) == [True] * len(signed) + [False] * len(edited)


def test_the_javascript_sdk_has_another_form_for_its_own_objects() -> None:
    """Of them it signs and verifies no security scheme, which is a known error of it.

    A signature that does not cover where tokens are fetched is none for codin, and codin makes none.
    """
    card, key = cards()[0], KEYS["ES256"]
    bare = card.model_copy(update={"security_schemes": {}})
    signed = javascript(*({**signing(each, "ES256"), "as": "object"} for each in (bare, card)))
    assert verify_card(json.dumps(signed[0]).encode(), lambda _: key.public) == key.public
    with pytest.raises(CardNotTrusted):
        verify_card(json.dumps(signed[1]).encode(), lambda _: key.public)
    ours = [sign_card(each, key).to_dict() for each in (bare, card)]
    assert javascript(*({**verifying(fields), "as": "object"} for fields in ours)) == [True, False]


def test_a_card_that_an_sdk_has_written_anew_verifies(sdk: Sdk) -> None:
    """The SDK adds a signature of its own, and leaves out what it takes for nothing; ours still holds."""
    card = cards()[0]
    (both,) = sdk(signing(sign_card(card, KEYS["EdDSA"]), "ES256"))
    public = KEYS["EdDSA"].public
    assert verify_card(json.dumps(both).encode(), [public]) == public
    assert len(both["signatures"]) > 1


@pytest.mark.anyio
async def test_the_sdk_verifies_what_a_server_publishes(sdk: Sdk) -> None:
    import httpx

    key = KEYS["ES256"]
    async with serving(shout, keys=key, authenticator=BearerTokens({"t": "ada"})) as url, httpx.AsyncClient() as http:
        card = (await http.get(f"{url}/.well-known/agent-card.json")).json()
        keys = (await http.get(f"{url}/.well-known/jwks.json")).json()["keys"]
    assert sdk({"do": "verify", "card": card, "keys": keys}) == [True]

"""Call tokens: what a right one is, and every way to a wrong one."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from codin import a2a
from codin.errors import ConfigError, TokenRefused
from codin.trust import CALL_TOKEN, Algorithm, KeyRing, KnownKeys, MeshTokens, SigningKey, TrustStore, mint, verify
from codin.trust._calls import token as call_token
from tests.trust.forging import claims_of, encoded, hmac_signed, with_claims, written

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
CALLEE = f"translator@{OTHER.kid}"
KEYS = [KEY.public]


def token(**claims: Any) -> str:
    """A token with other claims than it should have, rightly signed; a claim that is None is left out."""
    return _signed({**claims_of(mint(KEY, "router", CALLEE)), **claims}, {})


def with_header(**header: Any) -> str:
    return _signed(claims_of(mint(KEY, "router", CALLEE)), header)


def _signed(claims: Mapping[str, Any], header: Mapping[str, Any], key: SigningKey = KEY) -> str:
    return written({"alg": key.algorithm, "kid": key.kid, "typ": CALL_TOKEN, **header}, claims, key.sign)


def now(offset: int = 0) -> int:
    return int(time.time()) + offset


def bearer(text: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + text.encode()}


# -- a right one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_token_says_who_calls_whom(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    claims = verify(mint(key, "router", CALLEE, call={"path": ["a@b"]}), [key.public], {CALLEE})
    assert claims["iss"] == claims["sub"] == f"router@{key.kid}"
    assert claims["cnf"] == {"jkt": key.kid}
    assert claims["call"] == {"path": ["a@b"]}
    assert claims["exp"] - claims["iat"] == 60


def test_two_tokens_differ() -> None:
    assert mint(KEY, "router", CALLEE) != mint(KEY, "router", CALLEE)


def test_an_independent_reader_takes_it_and_an_independent_writer_is_taken() -> None:
    pem = KEY.to_pem()
    claims = jwt.decode(mint(KEY, "router", CALLEE), KEY.public.to_pem(), algorithms=["ES256"], audience=CALLEE)
    assert claims["sub"] == f"router@{KEY.kid}"
    theirs = jwt.encode(claims, pem, algorithm="ES256", headers={"kid": KEY.kid, "typ": CALL_TOKEN})
    assert verify(theirs, KEYS, {CALLEE}) == claims


async def test_the_caller_is_the_agent_or_what_its_key_is_called_here() -> None:
    plain = await MeshTokens(KEYS, CALLEE).authenticate(bearer(mint(KEY, "router", CALLEE)))
    assert plain is not None
    assert plain.id == f"router@{KEY.kid}"
    named = MeshTokens(KEYS, CALLEE, names={KEY.kid: "front desk"}.get)
    caller = await named.authenticate(bearer(mint(KEY, "router", CALLEE)))
    assert caller is not None
    assert (caller.id, caller.claims["sub"]) == ("front desk", plain.id)


@pytest.mark.parametrize("ttl", [0, -5, 301, float("nan")])
def test_a_token_is_not_good_for_long(ttl: float) -> None:
    with pytest.raises(ConfigError, match="1 to 300"):
        mint(KEY, "router", CALLEE, ttl=ttl)


# -- wrong ones --------------------------------------------------------------------------------------------------------

HEADER = {"kid": KEY.kid, "typ": CALL_TOKEN}


def _hmac(secret: bytes) -> str:
    return hmac_signed(HEADER, claims_of(mint(KEY, "router", CALLEE)), secret)


def _unsigned() -> str:
    return written({**HEADER, "alg": "none"}, claims_of(mint(KEY, "router", CALLEE)), lambda data: b"")


def _of_claims(body: bytes) -> str:
    signed = f"{mint(KEY, 'router', CALLEE).split('.')[0]}.{encoded(body)}"
    return f"{signed}.{encoded(KEY.sign(signed.encode()))}"


WRONG = {
    "expired": (lambda: token(iat=now(-120), exp=now(-60)), "expired"),
    "from the future": (lambda: token(iat=now(60), exp=now(120)), "future"),
    "good for ever": (lambda: token(exp=now(10**6)), "longer than"),
    "without an end": (lambda: token(exp=None), "`exp`"),
    "with an end that is no number": (lambda: token(exp=True), "`exp`"),
    "for somebody else": (lambda: token(aud="another@x"), "another agent"),
    "for several": (lambda: token(aud=[CALLEE, "another@x"]), "another agent"),
    "for nobody": (lambda: token(aud=None), "another agent"),
    "by another agent's name": (lambda: token(sub=f"router@{OTHER.kid}", iss=f"router@{OTHER.kid}"), "name the agent"),
    "by two names": (lambda: token(iss="somebody"), "name the agent"),
    "by nobody": (lambda: token(sub=f"@{KEY.kid}", iss=f"@{KEY.kid}"), "name the agent"),
    "with a name of two lines": (lambda: token(sub=f"a\nb@{KEY.kid}", iss=f"a\nb@{KEY.kid}"), "name the agent"),
    "bound to another key": (lambda: token(cnf={"jkt": OTHER.kid}), "bound to another key"),
    "bound to nothing": (lambda: token(cnf=None), "bound to another key"),
    "bound oddly": (lambda: token(cnf=KEY.kid), "bound to another key"),
    "without an id": (lambda: token(jti=None), "`jti`"),
    "with a long id": (lambda: token(jti="x" * 129), "`jti`"),
    "with odd limits": (lambda: token(call=["a"]), "`call`"),
    "unsigned": (_unsigned, "algorithm"),
    "signed with the public PEM": (lambda: _hmac(KEY.public.to_pem()), "algorithm"),
    "signed with the thumbprint": (lambda: _hmac(KEY.kid.encode()), "algorithm"),
    "said to be RS256": (lambda: with_header(alg="RS256"), "algorithm"),
    "edited": (lambda: with_claims(mint(KEY, "router", CALLEE), sub=f"chief@{KEY.kid}"), "signature is wrong"),
    "by a key nobody knows": (lambda: mint(OTHER, "router", CALLEE), "not known here"),
    "in the name of a known key": (
        lambda: _signed(claims_of(mint(KEY, "r", CALLEE)), {"kid": KEY.kid}, OTHER),
        "wrong",
    ),
    "wanting an extension": (lambda: with_header(crit=["b64"], b64=False), "not known here"),
    "without a key": (lambda: with_header(kid=None), "`kid`"),
    "with a list of claims": (lambda: _of_claims(b"[]"), "no JSON object"),
    "with claims that are no JSON": (lambda: _of_claims(b"{"), "no JSON object"),
    "with claims nested without end": (lambda: _of_claims(b'{"a":' * 4000), "no JSON object"),
    "with padding": (lambda: mint(KEY, "router", CALLEE) + "=", "signature is wrong"),
    "of another kind": (lambda: with_header(typ="JWT"), "no call token"),
    "in two parts": (lambda: mint(KEY, "router", CALLEE).rpartition(".")[0], "no call token|signature is wrong"),
    "too long": (lambda: token(call={"x": "y" * 40_000}), "no call token"),
    "empty": (lambda: "", "no call token"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_token_is_refused_and_not_quoted(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    make, why = WRONG[kind]
    wrong = make()
    caplog.set_level(logging.DEBUG)
    with pytest.raises(TokenRefused, match=why) as caught:
        verify(wrong, KEYS, {CALLEE})
    said = repr(caught.value) + str(caught.value) + caplog.text
    assert not any(part in said for part in wrong.split(".") if part)


async def test_a_token_of_another_kind_is_left_to_others() -> None:
    tokens = MeshTokens(KEYS, CALLEE)
    for text in ("opaque", jwt.encode({"sub": "ada"}, "x" * 32), with_header(typ="JWT"), "", "a.b.c"):
        assert await tokens.authenticate(bearer(text)) is None
    assert await tokens.authenticate({}) is None
    assert await tokens.authenticate({b"authorization": b"Basic " + mint(KEY, "router", CALLEE).encode()}) is None


async def test_a_token_counts_once() -> None:
    tokens, once = MeshTokens(KEYS, CALLEE), mint(KEY, "router", CALLEE)
    assert await tokens.authenticate(bearer(once)) is not None
    for text in (once, f"{once}"):
        with pytest.raises(TokenRefused, match="used before"):
            await tokens.authenticate(bearer(text))
    assert await tokens.authenticate(bearer(mint(KEY, "router", CALLEE))) is not None


async def test_a_refused_token_is_not_used_up() -> None:
    """Otherwise who guesses the id of a token could use it up for its owner."""
    tokens, right = MeshTokens(KEYS, CALLEE), mint(KEY, "router", CALLEE)
    forged = _signed(claims_of(right), {"kid": KEY.kid}, OTHER)
    with pytest.raises(TokenRefused):
        await tokens.authenticate(bearer(forged))
    assert await tokens.authenticate(bearer(right)) is not None


async def test_two_agents_may_use_one_id() -> None:
    tokens = MeshTokens([KEY.public, OTHER.public], CALLEE)
    claims = claims_of(mint(KEY, "router", CALLEE))
    theirs = {**claims, "sub": f"x@{OTHER.kid}", "iss": f"x@{OTHER.kid}", "cnf": {"jkt": OTHER.kid}}
    for text in (_signed(claims, {}), _signed(theirs, {}, OTHER)):
        assert await tokens.authenticate(bearer(text)) is not None


async def test_what_is_remembered_is_bounded_and_never_forgotten_early(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = MeshTokens(KEYS, CALLEE, max_used=3)
    first = mint(KEY, "router", CALLEE, ttl=1)
    for text in (first, mint(KEY, "router", CALLEE), mint(KEY, "router", CALLEE)):
        assert await tokens.authenticate(bearer(text)) is not None
    with pytest.raises(a2a.Overloaded) as caught:
        await tokens.authenticate(bearer(mint(KEY, "router", CALLEE)))
    assert caught.value.retry_after is not None
    with pytest.raises(TokenRefused, match="used before"):
        await tokens.authenticate(bearer(first))
    later = time.time() + 10  # the first one has expired, and makes room
    monkeypatch.setattr("codin.trust._callers.mesh_tokens.time", lambda: later)
    assert await tokens.authenticate(bearer(mint(KEY, "router", CALLEE))) is not None


def test_the_clocks_may_differ_a_little() -> None:
    verify(token(iat=now(call_token.LEEWAY - 1)), KEYS, {CALLEE})
    verify(token(iat=now(-60), exp=now(-1)), KEYS, {CALLEE})


# -- whose keys are known ----------------------------------------------------------------------------------------------


def test_the_keys_that_are_known() -> None:
    store, pinned, approved = TrustStore(None), SigningKey.generate(), SigningKey.generate()
    known = KnownKeys(KeyRing.of(KEY), store)
    assert (known.find(KEY.kid), known.find(OTHER.kid), known.name(OTHER.kid)) == (KEY.public, None, None)
    store.name("partner", OTHER.public)
    assert (known.find(OTHER.kid), known.name(OTHER.kid)) == (OTHER.public, "partner")
    store.pin("https://agents.example.com", [pinned.public])
    assert known.find(pinned.kid) is None  # seen, and approved by nobody
    card = a2a.AgentCard.model_validate({"name": "x"})
    store.approve("https://other.example.com", card, [approved.public])
    assert known.find(approved.kid) == approved.public


def test_a_revoked_key_is_not_known() -> None:
    store = TrustStore(None)
    store.name("partner", OTHER.public)
    known = KnownKeys(KeyRing.of(KEY), store)
    store.revoke(OTHER.kid)
    store.revoke(KEY.kid)
    assert (known.find(OTHER.kid), known.find(KEY.kid)) == (None, None)
    with pytest.raises(TokenRefused, match="not known"):
        verify(mint(KEY, "router", CALLEE), known.find, {CALLEE})


def test_a_key_whose_time_is_over_is_refused() -> None:
    over = KEY.public.until(int(time.time()) - 1)
    with pytest.raises(TokenRefused, match="not any more"):
        verify(mint(KEY, "router", CALLEE), [over], {CALLEE})

"""Bearer tokens of an issuer that does what it likes; a real one is in tests/interop/test_oidc.py."""

from __future__ import annotations

import logging
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from codin.errors import BadResponse, ConfigError, TokenRefused, TransportError
from codin.net import HttpxTransport
from codin.trust import Caller, OidcTokens
from tests.trust.forging import claims_of, hmac_signed, with_claims

pytestmark = pytest.mark.anyio

URL = "https://login.example.com/realms/x"
AUDIENCE = "api://agents"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(65537, 2048)


def _jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    name = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    members: Any = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return {**members, "kid": kid, "use": "sig", **more}


class Issuer:
    """An issuer, as a transport; it counts what it is asked."""

    def __init__(self) -> None:
        self.keys: Any = [_jwk(RSA_KEY, "r"), _jwk(EC_KEY, "e")]
        self.document: dict[str, Any] = {"issuer": URL, "jwks_uri": "https://keys.example.com/jwks"}
        self.asked: list[str] = []
        self.broken = False
        self.transport = HttpxTransport(httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if self.broken:
            return httpx.Response(503)
        if request.url.path.endswith("/openid-configuration"):
            return httpx.Response(200, json=self.document)
        return httpx.Response(200, json={"keys": self.keys})

    def tokens(self, **options: Any) -> OidcTokens:
        return OidcTokens(URL, AUDIENCE, transport=self.transport, **options)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def now(offset: int = 0) -> int:
    return int(time.time()) + offset


def token(key: Any = RSA_KEY, kid: str | None = "r", algorithm: str = "RS256", **claims: Any) -> str:
    said = {"iss": URL, "sub": "ada", "aud": AUDIENCE, "iat": now(), "exp": now(60), "scope": "read write", **claims}
    payload = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


async def caller_of(tokens: OidcTokens, text: str) -> Caller | None:
    return await tokens.authenticate({b"authorization": f"Bearer {text}".encode()})


async def test_the_caller_is_the_subject_at_that_issuer(issuer: Issuer) -> None:
    caller = await caller_of(issuer.tokens(), token())
    assert caller is not None
    assert caller.id == "ada@login.example.com/realms/x"
    assert caller.scopes == {"read", "write"}
    assert (caller.claims["sub"], caller.token) == ("ada", None)
    assert issuer.asked == [f"{URL}/.well-known/openid-configuration", "https://keys.example.com/jwks"]


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": None, "scp": ["a", "b"]}, {"a", "b"}),
        ({"scope": None, "scp": "a b"}, {"a", "b"}),
        ({"scope": "a", "scp": ["b", 7]}, {"a", "b"}),
        ({"scope": 7}, set[str]()),
        ({"scope": None}, set[str]()),
    ],
)
async def test_scopes_have_two_names(issuer: Issuer, claims: dict[str, Any], scopes: set[str]) -> None:
    caller = await caller_of(issuer.tokens(), token(**claims))
    assert caller is not None
    assert caller.scopes == scopes


async def test_the_token_is_kept_only_when_it_is_wanted(issuer: Issuer) -> None:
    text = token(EC_KEY, "e", "ES256")
    caller = await caller_of(issuer.tokens(keep_token=True), text)
    assert caller is not None
    assert caller.token == text
    assert text not in repr(caller)


async def test_the_clocks_may_differ(issuer: Issuer) -> None:
    tokens = issuer.tokens(leeway=30)
    for text in (token(exp=now(-20)), token(nbf=now(20)), token(iat=now(20))):
        assert await caller_of(tokens, text) is not None


def _public() -> bytes:
    return RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _hmac() -> str:
    return hmac_signed({"kid": "r"}, claims_of(token()), _public())


WRONG = {
    "expired": (lambda: token(exp=now(-60)), "expired"),
    "not yet": (lambda: token(nbf=now(60)), "not valid yet"),
    "from the future": (lambda: token(iat=now(600)), "not valid yet"),
    "without an end": (lambda: token(exp=None), "'exp'"),
    "without a beginning": (lambda: token(iat=None), "'iat'"),
    "for somebody else": (lambda: token(aud="api://other"), "somebody else"),
    "for nobody": (lambda: token(aud=None), "somebody else|'aud'"),
    "of nobody": (lambda: token(sub=None), "'sub'"),
    "of an empty subject": (lambda: token(sub=""), "no subject"),
    "by a key that is none of its": (lambda: token(STRANGER, "s"), "none of the issuer's"),
    "by a stranger in its name": (lambda: token(STRANGER, "r"), "not valid"),
    "without a key, of which there are two": (lambda: token(kid=None), "none of the issuer's"),
    "by another algorithm of the key": (lambda: token(algorithm="PS256"), "algorithm"),
    "HMAC with the public key": (_hmac, "algorithm"),
    "unsigned": (lambda: token(None, "r", "none"), "algorithm"),
    "edited": (lambda: with_claims(token(), sub="eve"), "not valid"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_token_is_refused_and_not_quoted(
    issuer: Issuer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make, why = WRONG[kind]
    text = make()
    with pytest.raises(TokenRefused, match=why) as caught:
        await caller_of(issuer.tokens(pause=0), text)
    said = repr(caught.value) + caplog.text
    assert not any(part in said for part in text.split(".") if part)


async def test_other_tokens_are_left_to_others_and_ask_nobody(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    for text in ("", "opaque", "a.b.c", token(iss="https://evil.example"), token(iss=f"{URL}/"), f"{token()}x" * 20):
        assert await caller_of(tokens, text) is None
    assert await tokens.authenticate({}) is None
    assert issuer.asked == []


# -- keys --------------------------------------------------------------------------------------------------------------


async def test_keys_are_asked_for_once(issuer: Issuer) -> None:
    tokens = issuer.tokens()
    for _ in range(3):
        await caller_of(tokens, token())
    assert len(issuer.asked) == 2


async def test_an_unknown_key_is_a_reason_to_ask_but_not_often(issuer: Issuer) -> None:
    tokens = issuer.tokens(pause=1000)
    await caller_of(tokens, token())
    for kid in ("x", "y", "z"):  # whoever makes up keys makes nobody ask for each
        with pytest.raises(TokenRefused):
            await caller_of(tokens, token(STRANGER, kid))
    assert len(issuer.asked) == 2


async def test_a_new_key_is_learned_and_an_old_one_forgotten(issuer: Issuer) -> None:
    tokens = issuer.tokens(pause=0)
    await caller_of(tokens, token())
    issuer.keys = [_jwk(STRANGER, "s")]
    assert await caller_of(tokens, token(STRANGER, "s")) is not None
    with pytest.raises(TokenRefused):
        await caller_of(tokens, token())


async def test_old_keys_do_while_the_issuer_is_away(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    tokens = issuer.tokens(max_age=0, pause=0)
    await caller_of(tokens, token())
    issuer.broken = True
    assert await caller_of(tokens, token()) is not None
    assert "not renewed" in caplog.text


async def test_without_any_keys_nobody_comes_in_and_the_issuer_is_left_alone(issuer: Issuer) -> None:
    issuer.broken = True
    tokens = issuer.tokens()
    for _ in range(3):
        with pytest.raises(TransportError):
            await caller_of(tokens, token())
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": "https://keys.example.com/jwks"},
        {"issuer": URL, "jwks_uri": "http://keys.example.com/jwks"},
        {"issuer": URL, "jwks_uri": "file:///etc/passwd"},
        {"issuer": URL, "jwks_uri": 7},
        {"issuer": URL},
        {"issuer": URL, "jwks_uri": "https://keys.example.com/jwks", "padding": "x" * 300_000},
    ],
)
async def test_a_discovery_that_is_not_believed(issuer: Issuer, document: dict[str, Any]) -> None:
    issuer.document = document
    with pytest.raises(TransportError):
        await caller_of(issuer.tokens(), token())


@pytest.mark.parametrize("keys", [None, {}, [_jwk(RSA_KEY, f"k{n}") for n in range(65)]])
async def test_a_key_set_that_is_not_believed(issuer: Issuer, keys: Any) -> None:
    issuer.keys = keys
    with pytest.raises(BadResponse):
        await caller_of(issuer.tokens(), token())


async def test_keys_of_no_use_are_left_out(issuer: Issuer) -> None:
    """Above all a symmetric key: who knows it could sign."""
    secret = {"kty": "oct", "kid": "h", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}
    issuer.keys = [7, {}, {"kty": "EC", "crv": "?"}, secret, _jwk(RSA_KEY, "enc", use="enc"), _jwk(EC_KEY, "e")]
    tokens = issuer.tokens()
    assert await caller_of(tokens, token(EC_KEY, "e", "ES256")) is not None
    assert await caller_of(tokens, token(EC_KEY, None, "ES256")) is not None  # there is only one
    for text in (token("secret" * 6, "h", "HS256"), token(RSA_KEY, "enc")):
        with pytest.raises(TokenRefused):
            await caller_of(tokens, text)


@pytest.mark.parametrize(
    ("url", "audience", "algorithm", "why"),
    [
        ("http://login.example.com", "x", "RS256", "https"),
        ("ftp://login.example.com", "x", "RS256", "https"),
        (URL, "", "RS256", "anybody"),
        (URL, "x", "HS256", "HS256"),
        (URL, "x", "none", "none"),
    ],
)
def test_settings_that_are_not_safe(url: str, audience: str, algorithm: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        OidcTokens(url, audience, algorithms=["RS256", algorithm])


def test_plain_http_is_for_this_machine() -> None:
    OidcTokens("http://127.0.0.1:8080", AUDIENCE)

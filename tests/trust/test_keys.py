"""Keys: their names, their forms, what they refuse, and what they never show."""

from __future__ import annotations

import copy
import json
import pickle
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from codin.errors import ConfigError, TrustError
from codin.trust import Algorithm, PublicKey, SigningKey, jwks, read_jwks

ALGORITHMS: list[Algorithm] = ["ES256", "EdDSA", "RS256"]


@pytest.fixture(scope="module")
def keys() -> dict[Algorithm, SigningKey]:
    return {algorithm: SigningKey.generate(algorithm) for algorithm in ALGORITHMS}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_it_signs_verifies(keys: dict[Algorithm, SigningKey], algorithm: Algorithm) -> None:
    key = keys[algorithm]
    signature = key.sign(b"words")
    assert (key.algorithm, key.public.algorithm) == (algorithm, algorithm)
    assert key.public.verify(signature, b"words")
    assert not key.public.verify(signature, b"other words")
    assert not key.public.verify(signature[:-1], b"words")
    assert not key.public.verify(b"", b"words")
    assert not SigningKey.generate(algorithm).public.verify(signature, b"words")


def test_numbers_that_begin_with_zeros_keep_their_places(keys: dict[Algorithm, SigningKey]) -> None:
    """One ES256 signature in 128 has such a number, which is shorter than the others in DER."""
    key, short = keys["ES256"], 0
    for number in range(3000):
        data = b"%d" % number
        signature = key.sign(data)
        short += 0 in (signature[0], signature[32])
        assert len(signature) == 64
        if 0 in (signature[0], signature[32]):
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public: Any = serialization.load_pem_public_key(key.public.to_pem())
            public.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
            assert key.public.verify(signature, data)
        if short == 3:
            return
    pytest.fail("there was none")


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32, b"\x01" * 63, b""])
def test_a_signature_out_of_range_is_none(keys: dict[Algorithm, SigningKey], signature: bytes) -> None:
    assert not keys["ES256"].public.verify(signature, b"data")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_survives_each_of_its_forms(keys: dict[Algorithm, SigningKey], algorithm: Algorithm) -> None:
    key = keys[algorithm]
    again = SigningKey.from_pem(key.to_pem())
    assert again.kid == key.kid
    assert key.public.verify(again.sign(b"words"), b"words")
    assert SigningKey.from_pem(key.to_pem("secret").decode(), "secret").kid == key.kid
    for public in (PublicKey.from_jwk(key.public.to_jwk()), PublicKey.from_pem(key.public.to_pem())):
        assert public == key.public
        assert {public, key.public} == {public}
        assert public.verify(key.sign(b"words"), b"words")
    assert set(key.public.to_jwk()) & {"d", "p", "q", "dp", "dq", "qi", "k"} == set()


def test_its_name_is_the_thumbprint_of_rfc_7638() -> None:
    """The example of section 3.1, whose own `kid` is only a name."""
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg"
        "dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-k"
        "EgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    key = PublicKey.from_jwk(jwk)
    assert key.kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert key.name == "2011-04-29"
    assert key.answers_to("2011-04-29")
    assert key.answers_to(key.kid)
    assert PublicKey.from_jwk(key.to_jwk()).name == "2011-04-29"


def test_it_shows_itself_nowhere(keys: dict[Algorithm, SigningKey]) -> None:
    for key in keys.values():
        secret = key.to_pem().decode().splitlines()[1]
        assert repr(key) == str(key) == f"SigningKey({key.algorithm}, kid={key.kid!r})"
        for shown in (f"{key!r} {key.public!r}", f"{vars(SigningKey)}", json.dumps(key.public.to_jwk())):
            assert secret not in shown
        for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="not copied"):
                duplicate(key)


def _pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(ed448.Ed448PrivateKey.generate()),
        _pem(rsa.generate_private_key(65537, 1024)),
    ],
    ids=["empty", "broken", "P-384", "Ed448", "RSA 1024"],
)
def test_a_key_that_is_not_used_here_is_refused_without_being_shown(pem: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        SigningKey.from_pem(pem)
    assert "cannot be used" in caught.value.message
    assert caught.value.hint
    assert "c2VjcmV0" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_a_password_is_asked_for_and_checked(keys: dict[Algorithm, SigningKey]) -> None:
    locked = keys["ES256"].to_pem("right")
    with pytest.raises(ConfigError, match="needs a password"):
        SigningKey.from_pem(locked)
    with pytest.raises(ConfigError, match="wrong"):
        SigningKey.from_pem(locked, "guess")
    with pytest.raises(ConfigError, match="has none"):
        SigningKey.from_pem(keys["ES256"].to_pem(), "guess")


def test_an_unknown_algorithm_is_refused() -> None:
    algorithm: Any = "HS256"
    with pytest.raises(ConfigError, match="HS256"):
        SigningKey.generate(algorithm)


@pytest.mark.parametrize("member", ["d", "k", "p", "oth"])
def test_a_key_that_is_given_away_is_refused(keys: dict[Algorithm, SigningKey], member: str) -> None:
    jwk = {**keys["ES256"].public.to_jwk(), member: "c2VjcmV0"}
    with pytest.raises(TrustError, match="private") as alone:
        PublicKey.from_jwk(jwk)
    with pytest.raises(TrustError, match="private") as in_a_set:
        read_jwks({"keys": [jwk]})
    assert "c2VjcmV0" not in f"{alone.value} {in_a_set.value}"


@pytest.mark.parametrize(
    "change",
    [
        {"x": "AAAA"},
        {"x": "AAAA="},
        {"x": 7},
        {"y": "A" * 43},
        {"crv": "P-384"},
        {"kty": "oct"},
        {"kty": None},
        {"kty": ["EC"]},
        {"alg": "HS256"},
        {"alg": ["ES256"]},
        {"alg": "none"},
        {"use": "enc"},
        {"kid": 7},
        {"kid": "x" * 257},
        {"exp": "tomorrow"},
        {"exp": True},
    ],
    ids=str,
)
def test_a_broken_key_is_refused_alone_and_left_out_of_a_set(
    keys: dict[Algorithm, SigningKey], change: dict[str, Any]
) -> None:
    jwk = {**keys["ES256"].public.to_jwk(), **change}
    with pytest.raises(TrustError):
        PublicKey.from_jwk(jwk)
    assert read_jwks({"keys": [jwk, keys["EdDSA"].public.to_jwk()]}) == [keys["EdDSA"].public]


def test_a_huge_number_is_no_key() -> None:
    with pytest.raises(TrustError):
        PublicKey.from_jwk({"kty": "RSA", "n": "A" * 1_000_000, "e": "AQAB"})


def test_a_set_goes_there_and_back(keys: dict[Algorithm, SigningKey]) -> None:
    public = [key.public for key in keys.values()]
    document = json.dumps(jwks(public)).encode()
    assert read_jwks(document) == public
    assert read_jwks(json.loads(document)) == public


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [7]}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [' + b"{}," * 64 + b"{}]}",
        b'{"keys": [], "x": "' + b"x" * 256 * 1024 + b'"}',
        b'{"keys": ' + b"[" * 100_000,
    ],
    ids=["empty", "list", "no keys", "object", "number", "twice", "many", "large", "deep"],
)
def test_what_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(TrustError):
        read_jwks(document)


def test_a_key_ends() -> None:
    key = SigningKey.generate().public
    assert not key.expired
    assert key.until(int(time.time()) - 1).expired
    assert not key.until(int(time.time()) + 60).expired
    ended = PublicKey.from_jwk(key.until(7).to_jwk())
    assert (ended.expires, ended.expired, ended) == (7, True, key)

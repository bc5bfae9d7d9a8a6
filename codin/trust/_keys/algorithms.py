"""ES256, EdDSA and RS256: the one module that imports `cryptography`. Source: RFC 7518 and RFC 8037."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256

from codin.trust._keys.jose import from_base64url, to_base64url

__all__ = [
    "Private",
    "Public",
    "algorithm_of",
    "generate",
    "jwk_of",
    "private_pem",
    "public_pem",
    "read_jwk",
    "read_private",
    "read_public",
    "signer",
    "verifier",
]

Private: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
Public: TypeAlias = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

_RSA_BITS = range(2048, 8193)  # weaker is forbidden by RFC 7518 3.3; a larger one costs who verifies too much
_RSA_NEW = 3072
_COORDINATE = 32  # bytes of a number of P-256
_ECDSA = ECDSA(SHA256())


def generate(algorithm: str) -> Private:
    """A new key.

    Raises:
        ValueError: the algorithm is not known.
    """
    match algorithm:
        case "ES256":
            return generate_ec(SECP256R1())
        case "EdDSA":
            return Ed25519PrivateKey.generate()
        case "RS256":
            return generate_rsa(65537, _RSA_NEW)
        case _:
            raise ValueError(f"{algorithm!r} is none of ES256, EdDSA, RS256")


def algorithm_of(key: object) -> str:
    """The one algorithm of a public key. No header of a signature has a say in it.

    Raises:
        ValueError: it is a key for something else, or too weak.
    """
    match key:
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return "ES256"
        case Ed25519PublicKey():
            return "EdDSA"
        case RSAPublicKey() if key.key_size in _RSA_BITS:
            return "RS256"
        case RSAPublicKey():
            raise ValueError(f"an RSA key of {key.key_size} bits; {_RSA_BITS[0]} to {_RSA_BITS[-1]} are used")
        case _:
            raise ValueError("a key of another kind; P-256, Ed25519 and RSA are used")


@cache
def _ecdsa() -> ECDSA:
    """By RFC 6979: the same card has the same signature on every replica, and the same tag over HTTP."""
    try:
        return ECDSA(SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:  # an old OpenSSL
        return _ECDSA


def signer(key: Private) -> Callable[[bytes], bytes]:
    """What makes signatures, as JWS has them. Found once for a key, as every call between agents makes one."""
    match key:
        case EllipticCurvePrivateKey():
            return partial(_sign_es256, key.sign, _ecdsa())
        case Ed25519PrivateKey():
            return key.sign
        case _:
            return lambda data: key.sign(data, padding.PKCS1v15(), SHA256())


def _sign_es256(sign: Callable[[bytes, ECDSA], bytes], ecdsa: ECDSA, data: bytes) -> bytes:
    der = sign(data, ecdsa)  # a sequence of two integers, all shorter than 128 bytes
    end = 4 + der[3]
    return _from_der(der[4:end]) + _from_der(der[end + 2 :])


def _from_der(integer: bytes) -> bytes:
    return integer.lstrip(b"\0").rjust(_COORDINATE, b"\0")


def _to_der(number: bytes) -> bytes:
    integer = number.lstrip(b"\0") or b"\0"
    if integer[0] > 127:  # it would be a negative one
        integer = b"\0" + integer
    return b"\x02%c%b" % (len(integer), integer)


def verifier(key: Public) -> Callable[[bytes, bytes], bool]:
    """What says whether the key has made a signature of some bytes."""
    match key:
        case EllipticCurvePublicKey():
            return partial(_verify_es256, key.verify)
        case Ed25519PublicKey():
            return partial(_verify, key.verify)
        case _:
            return partial(_verify, lambda made, data: key.verify(made, data, padding.PKCS1v15(), SHA256()))


def _verify_es256(verify: Callable[[bytes, bytes, ECDSA], None], signature: bytes, data: bytes) -> bool:
    if len(signature) != 2 * _COORDINATE:
        return False
    integers = _to_der(signature[:_COORDINATE]) + _to_der(signature[_COORDINATE:])
    try:
        verify(b"\x30%c%b" % (len(integers), integers), data, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _verify(verify: Callable[[bytes, bytes], None], signature: bytes, data: bytes) -> bool:
    try:
        verify(signature, data)
    except InvalidSignature:
        return False
    return True


# -- PEM ---------------------------------------------------------------------------------------------------------------


def read_private(pem: bytes, password: bytes | None) -> Private:
    """The private key of a PEM text.

    Raises:
        ValueError: there is none that can be used here; its message tells nothing of the text.
    """
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError:
        missing = password is None
        raise ValueError("it needs a password" if missing else "a password was given, and it has none") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no PEM of a private key, or the password is wrong") from None
    if not isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey):
        raise ValueError("a key of another kind; P-256, Ed25519 and RSA are used")
    algorithm_of(key.public_key())
    return key


def read_public(pem: bytes) -> Public:
    """The public key of a PEM text.

    Raises:
        ValueError: there is none that can be used here.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no PEM of a public key") from None
    return _usable(key)


def private_pem(key: Private, password: bytes | None) -> bytes:
    """PKCS #8."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def public_pem(key: Public) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# -- JWK ---------------------------------------------------------------------------------------------------------------


def jwk_of(key: Public) -> dict[str, str]:
    """The members that make the key, and no others: what RFC 7638 takes the thumbprint of."""
    match key:
        case EllipticCurvePublicKey():
            numbers = key.public_numbers()
            x, y = (to_base64url(number.to_bytes(_COORDINATE, "big")) for number in (numbers.x, numbers.y))
            return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case Ed25519PublicKey():
            return {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(key.public_bytes_raw())}
        case _:
            rsa = key.public_numbers()
            return {"kty": "RSA", "n": _from_integer(rsa.n), "e": _from_integer(rsa.e)}


def read_jwk(members: Mapping[str, Any]) -> Public:
    """The key of a JWK.

    Raises:
        ValueError: it is none, or none that can be used here.
    """
    match members:
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
            return EllipticCurvePublicNumbers(_to_integer(x), _to_integer(y), SECP256R1()).public_key()
        case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
            return Ed25519PublicKey.from_public_bytes(from_base64url(x))
        case {"kty": "RSA", "n": str(n), "e": str(e)}:
            return _usable(RSAPublicNumbers(_to_integer(e), _to_integer(n)).public_key())
        case _:
            raise ValueError("a key of another kind; EC with P-256, OKP with Ed25519, and RSA are used")


def _usable(key: object) -> Public:
    algorithm_of(key)
    assert isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey)
    return key


def _to_integer(text: str) -> int:
    if len(text) > 2 * _RSA_BITS[-1] // 8:
        raise ValueError("a number of the key is too large")
    return int.from_bytes(from_base64url(text), "big")


def _from_integer(number: int) -> str:
    return to_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))

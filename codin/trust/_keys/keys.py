"""A key that signs, and the key that verifies. Both name themselves by their thumbprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import time
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeAlias

from codin.errors import ConfigError, TrustError
from codin.trust._keys.jose import to_base64url

if TYPE_CHECKING:
    from codin.trust._keys.algorithms import Private, Public

__all__ = ["Algorithm", "PublicKey", "SigningKey", "refuse_private"]

Algorithm: TypeAlias = Literal["ES256", "EdDSA", "RS256"]

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NAMES = {"ES256": ("ES256",), "EdDSA": ("EdDSA", "Ed25519"), "RS256": ("RS256",)}  # RFC 9864: Ed25519 is the new name
_LONGEST_NAME = 256
_HINT = "codin uses PEM of P-256, Ed25519 or RSA (2048 bits and more): codin keys new makes one"


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that verifies. Two are equal when their thumbprints are.

    Attributes:
        kid: the thumbprint of RFC 7638: nobody chooses it, so it says which key it is.
        algorithm: the only one that counts for this key.
        name: what its owner calls it in signatures, where that is not the thumbprint.
        expires: the second since 1970 from which on it does not count any more; None for never.
    """

    kid: str
    algorithm: Algorithm
    name: str | None = None
    expires: int | None = None
    _key: Public = field(kw_only=True, repr=False)
    _verify: Callable[[bytes, bytes], bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from codin.trust._keys import algorithms

        object.__setattr__(self, "_verify", algorithms.verifier(self._key))

    @classmethod
    def from_jwk(cls, members: Mapping[str, Any]) -> Self:
        """Read a JSON Web Key.

        Raises:
            TrustError: it is a private key, of a kind that is not used here, or no key at all.
        """
        from codin.trust._keys import algorithms

        refuse_private(members)
        try:
            key = algorithms.read_jwk(members)
        except (ValueError, TypeError) as error:
            raise TrustError(f"the JSON Web Key cannot be used: {error}") from None
        found = cls._of(key)
        return cls(found.kid, found.algorithm, _name_in(members, found), _expiry_in(members, found.algorithm), _key=key)

    @classmethod
    def from_pem(cls, pem: bytes | str) -> Self:
        """Read a public key.

        Raises:
            ConfigError: it is none, or none that is used here.
        """
        from codin.trust._keys import algorithms

        try:
            return cls._of(algorithms.read_public(_bytes(pem)))
        except ValueError as error:
            raise ConfigError(f"the public key cannot be used: {error}", hint=_HINT) from None

    @classmethod
    def _of(cls, key: Public) -> Self:
        from codin.trust._keys import algorithms

        text = json.dumps(algorithms.jwk_of(key), sort_keys=True, separators=(",", ":"))
        algorithm: Any = algorithms.algorithm_of(key)
        return cls(to_base64url(hashlib.sha256(text.encode()).digest()), algorithm, _key=key)

    def to_jwk(self) -> dict[str, Any]:
        """The JSON Web Key."""
        from codin.trust._keys import algorithms

        jwk: dict[str, Any] = {**algorithms.jwk_of(self._key), "kid": self.name or self.kid, "use": "sig"}
        jwk["alg"] = self.algorithm
        return jwk if self.expires is None else {**jwk, "exp": self.expires}

    def to_pem(self) -> bytes:
        """SubjectPublicKeyInfo."""
        from codin.trust._keys import algorithms

        return algorithms.public_pem(self._key)

    def until(self, expires: int | None) -> Self:
        """The same key, which ends then."""
        return replace(self, expires=expires)

    def answers_to(self, kid: str) -> bool:
        """Whether a signature that names its key so may be by this one."""
        return kid in (self.kid, self.name)

    def allows(self, algorithm: object) -> bool:
        """Whether a signature that says this algorithm may be by this key."""
        return algorithm in _NAMES[self.algorithm]

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= time()

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature, in the form of JWS, is by this key and over these bytes."""
        return self._verify(signature, data)

    def __eq__(self, other: object) -> bool:
        return self.kid == other.kid if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.kid)


class SigningKey:
    """A key that signs. It shows itself by its thumbprint only, and is neither copied nor pickled."""

    __slots__ = ("_key", "_sign", "public")

    public: PublicKey
    """The half that everybody may have."""

    def __init__(self, key: Private) -> None:
        from codin.trust._keys import algorithms

        self._key = key
        self._sign = algorithms.signer(key)
        self.public = PublicKey._of(key.public_key())  # pyright: ignore[reportPrivateUsage]

    @classmethod
    def generate(cls, algorithm: Algorithm = "ES256") -> Self:
        """A new key.

        Raises:
            ConfigError: the algorithm is not known.
        """
        from codin.trust._keys import algorithms

        try:
            return cls(algorithms.generate(algorithm))
        except ValueError as error:
            raise ConfigError(f"the algorithm {error}") from None

    @classmethod
    def from_pem(cls, pem: bytes | str, password: bytes | str | None = None) -> Self:
        """Read a private key.

        Raises:
            ConfigError: it is none, or none that is used here, or the password is wrong.
        """
        from codin.trust._keys import algorithms

        try:
            return cls(algorithms.read_private(_bytes(pem), None if password is None else _bytes(password)))
        except ValueError as error:
            raise ConfigError(f"the key cannot be used: {error}", hint=_HINT) from None

    def to_pem(self, password: bytes | str | None = None) -> bytes:
        """The private key itself, PKCS #8."""
        from codin.trust._keys import algorithms

        return algorithms.private_pem(self._key, _bytes(password) if password else None)

    @property
    def kid(self) -> str:
        """The thumbprint."""
        return self.public.kid

    @property
    def algorithm(self) -> Algorithm:
        """How it signs."""
        return self.public.algorithm

    def sign(self, data: bytes) -> bytes:
        """The signature of the bytes, in the form of JWS."""
        return self._sign(data)

    def __repr__(self) -> str:
        return f"SigningKey({self.algorithm}, kid={self.kid!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is not copied; to_pem() says that it is meant")


def refuse_private(members: Mapping[str, Any]) -> None:
    """Refuse a JSON Web Key that somebody gives away with its private half, whatever its kind.

    Raises:
        TrustError: it has private members.
    """
    if leaked := sorted(_PRIVATE & members.keys()):
        raise TrustError(f"the key holds private members: {', '.join(leaked)}", hint="publish the public half only")


def _name_in(members: Mapping[str, Any], key: PublicKey) -> str | None:
    name = members.get("kid")
    if name is None or name == key.kid:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise TrustError(f"the `kid` of a JSON Web Key is no text of 1 to {_LONGEST_NAME} characters")
    return name


def _expiry_in(members: Mapping[str, Any], algorithm: str) -> int | None:
    """When the key ends; and whether it is meant for this at all."""
    if members.get("use", "sig") != "sig" or members.get("alg", algorithm) not in _NAMES[algorithm]:
        raise TrustError(f"the JSON Web Key is for something else than signatures by {algorithm}")
    expires = members.get("exp")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int)):
        raise TrustError("the `exp` of a JSON Web Key is no number of seconds")
    return expires


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text

"""Cards are signed and verified here. Source: A2A v1.0.1 section 8.4; RFC 7515."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, cast

from codin import a2a
from codin.errors import CardNotTrusted, ConfigError
from codin.trust._cards.canonical import canonical_json
from codin.trust._cards.forms import Fields, card_payload, exact_forms, form_without_empty, other_forms
from codin.trust._keys.jose import from_base64url, read_object, to_base64url
from codin.trust._keys.keys import PublicKey, SigningKey

__all__ = ["Keys", "sign_card", "verify_card"]

Keys: TypeAlias = Callable[[str], PublicKey | None] | Iterable[PublicKey]
"""Where a verifier has its keys from: a function by the `kid` of a signature, or the keys themselves."""

_MAX_CARD = 1024 * 1024
_MAX_SIGNATURES = 16
_MAX_PROTECTED = 4096

# A header parameter of ours, which others ignore. It says of which form the signature is, and so keeps a verifier from
# trying forms that see less of the card.
_FORM = "urn:codin:jws:form"
_EXACT = "a2a-8.4.1"
_WITHOUT_EMPTY = "without-empty"
_LESS = "leaves out what is empty in the card"  # nobody needs to hear of it beside what is wrong with the exact one


def sign_card(card: a2a.AgentCard, *keys: SigningKey, jku: str | None = None) -> a2a.AgentCard:
    """The card with a signature of each key beside those it had. A key that has signed it before signs it anew.

    The official SDKs leave out whatever is empty before they verify. Where that makes a difference, each key signs
    that form too; codin does not accept it, because it sees less of the card.

    Args:
        jku: where the keys are published; a hint that a verifier need not follow.

    Raises:
        ConfigError: no key, or a card that cannot be signed: see `canonical_json`.
    """
    if not keys:
        raise ConfigError("there is no key to sign with", hint="codin keys new makes one")
    try:
        exact, without_empty = card_payload(card), form_without_empty(card)
    except ValueError as error:
        raise ConfigError(f"the card of {card.name!r} cannot be signed: {error}") from None
    forms = {_EXACT: exact} if exact == without_empty else {_EXACT: exact, _WITHOUT_EMPTY: without_empty}
    made = [_sign(key, form, payload, jku) for key in keys for form, payload in forms.items()]
    ours = {key.kid for key in keys}
    others = [each for each in card.signatures if _kid_of(each) not in ours]
    return card.model_copy(update={"signatures": [*others, *made]})


def _kid_of(signature: a2a.AgentCardSignature) -> object:
    try:
        return read_object(from_base64url(signature.protected)).get("kid")
    except ValueError:
        return None


def _sign(key: SigningKey, form: str, payload: bytes, jku: str | None) -> a2a.AgentCardSignature:
    header = {"alg": key.algorithm, "kid": key.kid, "typ": "JOSE", _FORM: form, **({"jku": jku} if jku else {})}
    protected = to_base64url(canonical_json(header))
    signature = key.sign(_signed(protected, payload))
    return a2a.AgentCardSignature(protected=protected, signature=to_base64url(signature))


def _signed(protected: str, payload: bytes) -> bytes:
    return f"{protected}.{to_base64url(payload)}".encode()


class _Claim(NamedTuple):
    """A signature as it came: who is said to have made it, how, and over which form of the card."""

    kid: str
    algorithm: str
    form: object
    protected: str
    signature: bytes


def verify_card(card: a2a.AgentCard | bytes | Fields, keys: Keys) -> PublicKey:
    """The first of the keys by which the card is signed.

    The algorithm is that of the key, whatever the signature says of it. No address in a signature is followed.

    Args:
        card: as it was published, best as bytes: an object has lost what is not known here.
        keys: those that count.

    Raises:
        CardNotTrusted: no signature of the card is by one of the keys, or it is not a card at all.
    """
    fields = _read(card)
    find = keys if callable(keys) else _finder(keys)
    forms = _Forms(fields)
    problems: list[str] = []
    for claim in _claims(fields, problems):
        key = find(claim.kid)
        problem = _problem(key, claim)
        if problem is None and key is not None:
            if forms.fit(claim, key):
                return key
            problem = "does not fit this card"
        problems.append(f"the signature by {claim.kid!r} {problem}")
    name = fields.get("name")
    whose = f" of {name[:80]!r}" if isinstance(name, str) else ""
    problems = [problem for problem in problems if not problem.endswith(_LESS)] or problems
    why = "; ".join(dict.fromkeys(problems)) or "it has no signature"
    raise CardNotTrusted(f"the card{whose} is not trusted: {why}", hint=_hint(problems))


def _hint(problems: list[str]) -> str:
    if any("does not fit" in problem for problem in problems):
        return "the card was changed after it was signed"
    return "ask its owner for the key, by a way that you trust" if problems else "its owner signs it: codin keys new"


def _finder(keys: Iterable[PublicKey]) -> Callable[[str], PublicKey | None]:
    known = list(keys)
    return lambda kid: next((key for key in known if key.answers_to(kid)), None)


def _problem(key: PublicKey | None, claim: _Claim) -> str | None:
    if key is None:
        return "is by a key that is not known here"
    if key.expired:
        return "is by a key that has expired"
    if not key.allows(claim.algorithm):
        return f"says {claim.algorithm[:20]!r}, and the key is for {key.algorithm}"
    if claim.form == _WITHOUT_EMPTY:
        return _LESS
    return None


class _Forms:
    """The forms of one card, each made when it is needed."""

    def __init__(self, fields: Fields) -> None:
        self._exact = _Kept(exact_forms(fields))
        self._other = _Kept(other_forms(fields))

    def fit(self, claim: _Claim, key: PublicKey) -> bool:
        """Whether the signature is by the key and over a form that it may be over."""
        forms = self._exact if claim.form == _EXACT else chain(self._exact, self._other)
        try:
            return any(key.verify(claim.signature, _signed(claim.protected, payload)) for payload in forms)
        except (ValueError, a2a.A2AError) as error:
            raise CardNotTrusted(f"the card cannot be verified: {error}") from None


class _Kept:
    """What an iterator gives, for several readers."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._seen: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        yield from self._seen
        for item in self._source:
            self._seen.append(item)
            yield item


def _read(card: a2a.AgentCard | bytes | Fields) -> Fields:
    if isinstance(card, a2a.AgentCard):
        return card.to_dict()
    if isinstance(card, Mapping):
        return card
    if len(card) > _MAX_CARD:
        raise CardNotTrusted(f"the card is larger than {_MAX_CARD} bytes")
    try:
        return read_object(card)
    except ValueError as error:
        raise CardNotTrusted(f"the card is no JSON that can be verified: {error}") from None


def _claims(fields: Fields, problems: list[str]) -> Iterator[_Claim]:
    """The signatures of the card that say enough; what is wrong with the others goes to the problems."""
    listed: Any = fields.get("signatures")
    if not isinstance(listed, list):
        return
    signatures = cast("list[Any]", listed)
    if len(signatures) > _MAX_SIGNATURES:
        raise CardNotTrusted(f"the card has {len(signatures)} signatures; {_MAX_SIGNATURES} are read")
    for each in signatures:
        try:
            yield _claim(each)
        except ValueError as error:
            problems.append(f"a signature is refused: {error}")


def _claim(signature: Any) -> _Claim:
    match signature:
        case {"protected": str(protected), "signature": str(made)} if len(protected) <= _MAX_PROTECTED:
            pass
        case _:
            raise ValueError("its parts are missing or too large")
    header = read_object(from_base64url(protected))
    match header:
        case {"crit": _}:
            raise ValueError("it wants something to be understood that codin does not know")
        case {"alg": str(algorithm), "kid": str(kid)} if 0 < len(kid) <= 256:
            return _Claim(kid, algorithm, header.get(_FORM), protected, from_base64url(made))
        case _:
            raise ValueError("its header does not name the algorithm and the key")

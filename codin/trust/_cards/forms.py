"""What of a card is signed: the canonical form of the specification, and those that other signers use.

A verifier that accepts another form accepts what that form does not see, so each is tried only where it has to be.
Source: A2A v1.0.1 section 8.4.1; the presence of each field as `lf.a2a.v1` declares it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from codin import a2a
from codin.trust._cards.canonical import canonical_json

__all__ = ["Fields", "card_payload", "exact_forms", "form_without_empty", "other_forms"]

Fields: TypeAlias = Mapping[str, Any]


class _Message(NamedTuple):
    """How the fields of a message behave.

    Attributes:
        plain: those that are left out when they hold their default: neither required nor `optional`.
        inside: messages in it, also in lists and, if `maps` says so, in maps.
    """

    plain: frozenset[str] = frozenset()
    inside: Mapping[str, _Message] = {}
    maps: frozenset[str] = frozenset()


def _message(plain: str = "", /, *, maps: str = "", **inside: _Message) -> _Message:
    return _Message(frozenset(plain.split()), inside, frozenset(maps.split()))


_REQUIREMENT = _message("schemes", maps="schemes", schemes=_message("list"))
_FLOWS = _message(
    authorizationCode=_message("refreshUrl pkceRequired"),
    clientCredentials=_message("refreshUrl"),
    deviceCode=_message("refreshUrl"),
    implicit=_message("authorizationUrl refreshUrl scopes"),
    password=_message("tokenUrl refreshUrl scopes"),
)
_SCHEME = _message(
    apiKeySecurityScheme=_message("description"),
    httpAuthSecurityScheme=_message("description bearerFormat"),
    oauth2SecurityScheme=_message("description oauth2MetadataUrl", flows=_FLOWS),
    openIdConnectSecurityScheme=_message("description"),
    mtlsSecurityScheme=_message("description"),
)
_CARD = _message(
    "securitySchemes securityRequirements",
    maps="securitySchemes",
    supportedInterfaces=_message("tenant"),
    capabilities=_message("extensions", extensions=_message("uri description required")),
    securitySchemes=_SCHEME,
    securityRequirements=_REQUIREMENT,
    skills=_message("examples inputModes outputModes securityRequirements", securityRequirements=_REQUIREMENT),
)


def card_payload(card: a2a.AgentCard | Fields) -> bytes:
    """The canonical form of a card, of which a signature is made. Spec 8.4.1.

    Args:
        card: a card, or its JSON as it was published; fields that are not known here stay in it.

    Raises:
        ValueError: it has no canonical form, see `canonical_json`.
    """
    return canonical_json(_presented(_unsigned(card.to_dict() if isinstance(card, a2a.AgentCard) else card), _CARD))


def exact_forms(fields: Fields) -> Iterator[bytes]:
    """The form of the specification: of the card as it is read here, and of the JSON as it was published.

    The first stands every way to write the same card: field names in snake_case, required fields left out because
    they are empty. The second holds fields that only a newer reader knows.

    Raises:
        A2AError: it is no card.
    """
    yield card_payload(a2a.AgentCard.from_dict(_unsigned(fields)))
    yield card_payload(fields)


def other_forms(fields: Fields) -> Iterator[bytes]:
    """The forms of signers that do not follow the specification: the plain JSON, and that of the official SDKs."""
    yield canonical_json(_unsigned(fields))
    yield form_without_empty(a2a.AgentCard.from_dict(_unsigned(fields)))


def form_without_empty(card: a2a.AgentCard) -> bytes:
    """What both official SDKs sign and verify: nothing that is empty, required or not, and not in lists either."""
    fields = _unsigned(card.to_dict())
    canonical_json(fields)  # bounds the depth
    return canonical_json(_without_empty(_presented(fields, _CARD)) or {})


def _unsigned(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "signatures"}


def _presented(fields: Fields, message: _Message) -> dict[str, Any]:
    """The fields of a message that are present by the rules of 8.4.1."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        inner = message.inside.get(name)
        shown = value if inner is None else _inside(value, inner, is_map=name in message.maps)
        if shown not in _DEFAULTS or name not in message.plain:
            found[name] = shown
    return found


_DEFAULTS: tuple[Any, ...] = ("", False, [], {})


def _inside(value: Any, message: _Message, *, is_map: bool) -> Any:
    if isinstance(value, list):
        return [_inside(item, message, is_map=False) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if is_map:
        return {name: _inside(item, message, is_map=False) for name, item in members.items()}
    return _presented(members, message)


def _without_empty(value: Any) -> Any:
    """The value without empty text, arrays, objects and nulls in it; None when nothing is left."""
    if isinstance(value, dict):
        members = {name: _without_empty(item) for name, item in cast("dict[str, Any]", value).items()}
        return {name: item for name, item in members.items() if item is not None} or None
    if isinstance(value, list):
        items = map(_without_empty, cast("list[Any]", value))
        return [item for item in items if item is not None] or None
    return None if value == "" else value

"""Cards that both versions can read, and cards of 0.3.

Source: A2A v0.3.0 section 5.5; A2A v1.0.1 appendix A.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic_core import from_json

from codin import a2a

__all__ = [
    "OLD_VERSION",
    "card_of",
    "is_old_card",
    "is_old_version",
    "read_card",
    "with_old_fields",
    "with_old_interfaces",
]

Fields = dict[str, Any]

OLD_VERSION = "0.3"
"""The version as an interface names it; a card of 0.3 says `0.3.0`."""

_SCHEMES = {
    "apiKeySecurityScheme": "apiKey",
    "httpAuthSecurityScheme": "http",
    "oauth2SecurityScheme": "oauth2",
    "openIdConnectSecurityScheme": "openIdConnect",
    "mtlsSecurityScheme": "mutualTLS",
}
_BINDINGS = ("JSONRPC", "HTTP+JSON")
_FLOWS = ("authorizationCode", "clientCredentials", "implicit", "password")


def with_old_interfaces(card: a2a.AgentCard) -> a2a.AgentCard:
    """The card of a server that speaks both: behind the interfaces of 1.0 the same in 0.3, as far as it had them."""
    old = [
        each.model_copy(
            update={
                "protocol_version": OLD_VERSION,
                "tenant": None,
                # Clients of 0.3 put `/v1` behind it without a look at how it ends.
                "url": each.url.rstrip("/") if each.protocol_binding == "HTTP+JSON" else each.url,
            }
        )
        for each in card.supported_interfaces
        if each.protocol_binding in _BINDINGS
    ]
    return card.model_copy(update={"supported_interfaces": [*card.supported_interfaces, *old]})


def with_old_fields(card: a2a.AgentCard) -> Fields:
    """The JSON of a card, with the fields by which a client of 0.3 reads it beside those of 1.0.

    They stand beside what a signature covers, and repeat only what it covers. A card without an interface of 0.3 is
    left as it is.
    """
    fields = card.to_dict()
    old = [each for each in card.supported_interfaces if is_old_version(each.protocol_version)]
    if not old:
        return fields
    fields["protocolVersion"] = f"{OLD_VERSION}.0"
    fields["url"], fields["preferredTransport"] = old[0].url, old[0].protocol_binding
    fields["additionalInterfaces"] = [{"url": each.url, "transport": each.protocol_binding} for each in old]
    if card.capabilities.extended_agent_card:
        fields["supportsAuthenticatedExtendedCard"] = True
    for holder in (fields, *fields["skills"]):
        if "securityRequirements" in holder:
            holder["security"] = [_old_requirement(each) for each in holder["securityRequirements"]]
    for scheme in fields.get("securitySchemes", {}).values():
        _add_old_scheme(scheme)
    return fields


def is_old_version(version: str) -> bool:
    """Whether an interface speaks 0.3."""
    return version == OLD_VERSION or version.startswith(f"{OLD_VERSION}.")


def _old_requirement(requirement: Fields) -> Fields:
    schemes: dict[str, Fields] = requirement.get("schemes", {})
    return {name: scopes.get("list", []) for name, scopes in schemes.items()}


def _add_old_scheme(scheme: Fields) -> None:
    """Say in the shape of OpenAPI what is said in a wrapper."""
    for wrapper, kind in _SCHEMES.items():
        if wrapper not in scheme:
            continue
        inner: Fields = scheme[wrapper]
        scheme.update({("in" if name == "location" else name): value for name, value in inner.items()})
        scheme["type"] = kind
        if kind == "oauth2":
            scheme["flows"] = {name: {"scopes": {}, **flow} for name, flow in inner["flows"].items() if name in _FLOWS}
        return


# -- cards of 0.3 ------------------------------------------------------------------------------------------------------


def is_old_card(card: Any) -> bool:
    """Whether a card says only in the fields of 0.3 where its agent is. One that names interfaces is never read so."""
    return isinstance(card, dict) and "url" in card and "supportedInterfaces" not in card


def card_of(document: bytes) -> a2a.AgentCard:
    """The card in JSON text of either version.

    Raises:
        A2AError: it is none.
    """
    card = a2a.AgentCard.from_json(document)
    if not card.supported_interfaces and is_old_card(fields := from_json(document)):
        return a2a.AgentCard.from_dict(read_card(fields))
    return card


def read_card(card: Fields) -> Fields:
    """The fields of 1.0 of a card of 0.3.

    Its signatures are left out: they are over a form of the card that has no rules, and nothing read here may look as
    if one of 1.0 covered it.
    """
    made = {name: value for name, value in card.items() if name not in _REPLACED}
    version = card.get("protocolVersion") or f"{OLD_VERSION}.0"
    first = {"url": card.get("url"), "transport": card.get("preferredTransport") or "JSONRPC"}
    named = [first, *(each for each in _list(card.get("additionalInterfaces")) if each != first)]
    made["supportedInterfaces"] = [
        {"url": each.get("url"), "protocolBinding": each.get("transport"), "protocolVersion": version} for each in named
    ]
    if card.get("supportsAuthenticatedExtendedCard"):
        made["capabilities"] = {**_object(card.get("capabilities")), "extendedAgentCard": True}
    made["securityRequirements"] = _requirements(card)
    made["securitySchemes"] = {
        name: _read_scheme(scheme) for name, scheme in _object(card.get("securitySchemes")).items()
    }
    made["skills"] = [{**skill, "securityRequirements": _requirements(skill)} for skill in _list(card.get("skills"))]
    return made


_REPLACED = frozenset({
    "additionalInterfaces", "preferredTransport", "protocolVersion", "security", "securitySchemes", "signatures",
    "skills", "supportedInterfaces", "supportsAuthenticatedExtendedCard", "url",
})  # fmt: skip


def _requirements(holder: Fields) -> list[Fields]:
    """In the order of the card, whose first is what it likes best."""
    return [
        {"schemes": {name: {"list": scopes} for name, scopes in each.items()}} for each in _list(holder.get("security"))
    ]


def _read_scheme(scheme: Any) -> Fields:
    fields = _object(scheme)
    wrapper = next((wrapper for wrapper, kind in _SCHEMES.items() if fields.get("type") == kind), None)
    if wrapper is None:
        return {}
    inner = {("location" if name == "in" else name): value for name, value in fields.items() if name != "type"}
    if "flows" in inner:  # 1.0 has one flow in a scheme
        flows = _object(inner["flows"])
        inner["flows"] = {name: flows[name] for name in [each for each in _FLOWS if flows.get(each)][:1]}
    return {wrapper: inner}


def _list(value: Any) -> list[Fields]:
    """The objects in a list; a card is other people's, so anything may stand there."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Fields", item) for item in items if isinstance(item, dict)]


def _object(value: Any) -> Fields:
    return cast("Fields", value) if isinstance(value, dict) else {}

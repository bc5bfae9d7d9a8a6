"""An agent card for eyes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.text import Text

from codin import a2a
from codin.cli._schema import fields_of, kind_of, mapping
from codin.cli._terminal import plain, results, show

__all__ = ["show_card"]

_DATA = {"inputSchema": "reads data", "outputSchema": "answers with data"}


def show_card(card: a2a.AgentCard, signed: str) -> None:
    """Print a card as a person reads it.

    Args:
        signed: what is known of who has signed it, if somebody has.
    """
    title = Text(plain(card.name), "bold")
    if card.version:
        title.append(f"  {plain(card.version)}", "dim not bold")
    show(title)
    if card.description:
        show(card.description)
    results().print()
    rows = list(_rows(card, signed))
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        show(value, label=name, indent=width)
    for extension in card.capabilities.extensions:
        if extension.uri == a2a.SCHEMA_EXTENSION:
            for name, title in _DATA.items():
                _show_data(title, mapping(extension.params).get(name))
    for skill in card.skills:
        _show_skill(skill)


def _show_data(title: str, schema: Any) -> None:
    """The fields of the data, or what it is when it has none."""
    if schema is None:
        return
    results().print()
    fields = fields_of(schema)
    show(title if fields else f"{title}: {kind_of(schema)}", "bold")
    width = max((len(field.name) for field in fields), default=0) + 4
    for field in fields:
        words = [field.kind, "required" if field.required else "optional", field.description]
        show("; ".join(filter(None, words)), label=f"  {field.name}", indent=width)


def _rows(card: a2a.AgentCard, signed: str) -> Iterator[tuple[str, str]]:
    for number, interface in enumerate(card.supported_interfaces):
        spoken = " ".join(filter(None, [interface.protocol_binding, interface.protocol_version]))
        tenant = f", tenant {interface.tenant}" if interface.tenant else ""
        yield ("" if number else "address"), f"{interface.url}  ({spoken}{tenant})"
    yield "reads", _listed(card.default_input_modes)
    yield "answers", _listed(card.default_output_modes)
    yield "features", _listed(_abilities(card.capabilities))
    for number, extension in enumerate(card.capabilities.extensions):
        needed = "  (required)" if extension.required else ""
        yield ("" if number else "extensions"), f"{extension.uri or '?'}{needed}"
    yield "callers", _callers(card)
    if card.provider is not None:
        yield "provider", " ".join(filter(None, [card.provider.organization, card.provider.url]))
    if card.documentation_url:
        yield "manual", card.documentation_url
    if card.signatures:
        yield "signed", signed


def _abilities(capabilities: a2a.AgentCapabilities) -> list[str]:
    abilities = {
        "streaming": capabilities.streaming,
        "push notifications": capabilities.push_notifications,
        "extended card": capabilities.extended_agent_card,
    }
    return [name for name, there in abilities.items() if there]


def _callers(card: a2a.AgentCard) -> str:
    """Who may call, by the alternatives of the card."""
    if not card.security_requirements:
        return "anyone; no credential is asked for"
    alternatives = [
        " and ".join(
            _scheme(name, card.security_schemes.get(name), scopes.list) for name, scopes in each.schemes.items()
        )
        for each in card.security_requirements
    ]
    return "; or ".join(alternative or "anyone" for alternative in alternatives)


def _scheme(name: str, scheme: a2a.SecurityScheme | None, scopes: list[str]) -> str:
    asked = f" with {', '.join(scopes)}" if scopes else ""
    from codin.trust import CALL_TOKEN

    if scheme is None:
        return f"{name}{asked}"
    if (http := scheme.http_auth_security_scheme) is not None:
        return f"{'the key of an agent' if http.bearer_format == CALL_TOKEN else f'HTTP {http.scheme}'}{asked}"
    if scheme.api_key_security_scheme is not None:
        key = scheme.api_key_security_scheme
        return f"API key in {key.location} {key.name!r}"
    kinds = {
        "OAuth 2": scheme.oauth2_security_scheme,
        "OpenID Connect": scheme.open_id_connect_security_scheme,
        "mutual TLS": scheme.mtls_security_scheme,
    }
    return f"{next((kind for kind, there in kinds.items() if there is not None), name)}{asked}"


def _show_skill(skill: a2a.AgentSkill) -> None:
    results().print()
    title = Text.assemble(("skill ", "dim"), (plain(skill.name or skill.id), "bold"))
    if skill.name and skill.id != skill.name:
        title.append(f"  {plain(skill.id)}", "dim")
    show(title)
    if skill.description:
        show(skill.description, indent=2)
    if skill.tags:
        show(", ".join(skill.tags), "dim", label="  tags: ", indent=8)
    for example in skill.examples:
        show(example, "dim", label="  try: ", indent=7)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "–"

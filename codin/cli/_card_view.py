"""An agent card for eyes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from codin import a2a
from codin.cli._terminal import plain, results

__all__ = ["show_card"]


def show_card(card: a2a.AgentCard) -> None:
    """Print a card as a person reads it."""
    console = results()
    title = Text(plain(card.name), "bold")
    if card.version:
        title.append(f"  {plain(card.version)}", "dim not bold")
    console.print(title)
    if card.description:
        console.print(_folded(card.description))
    console.print()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(card):
        table.add_row(name, Text(plain(value)))
    console.print(table, soft_wrap=False)
    for skill in card.skills:
        _show_skill(skill)


def _rows(card: a2a.AgentCard) -> Iterator[tuple[str, str]]:
    for number, interface in enumerate(card.supported_interfaces):
        spoken = " ".join(filter(None, [interface.protocol_binding, interface.protocol_version]))
        tenant = f", tenant {interface.tenant}" if interface.tenant else ""
        yield ("" if number else "address"), f"{interface.url}  ({spoken}{tenant})"
    yield "reads", _listed(card.default_input_modes)
    yield "answers", _listed(card.default_output_modes)
    yield "can", _listed(_abilities(card.capabilities))
    for number, extension in enumerate(card.capabilities.extensions):
        needed = "  (required)" if extension.required else ""
        yield ("" if number else "extensions"), f"{extension.uri or '?'}{needed}"
    yield "callers", _callers(card)
    if card.provider is not None:
        yield "provider", " ".join(filter(None, [card.provider.organization, card.provider.url]))
    if card.documentation_url:
        yield "manual", card.documentation_url
    if card.signatures:
        yield "signatures", f"{len(card.signatures)}, not verified here"


def _abilities(capabilities: a2a.AgentCapabilities) -> list[str]:
    abilities = {
        "stream": capabilities.streaming,
        "push": capabilities.push_notifications,
        "extended card": capabilities.extended_agent_card,
    }
    return [name for name, there in abilities.items() if there]


def _callers(card: a2a.AgentCard) -> str:
    """Who may call, by the alternatives of the card."""
    if not card.security_requirements:
        return "anyone"
    alternatives = [
        " and ".join(
            _scheme(name, card.security_schemes.get(name), scopes.list) for name, scopes in each.schemes.items()
        )
        for each in card.security_requirements
    ]
    return "; or ".join(alternative or "anyone" for alternative in alternatives)


def _scheme(name: str, scheme: a2a.SecurityScheme | None, scopes: list[str]) -> str:
    asked = f" with {', '.join(scopes)}" if scopes else ""
    if scheme is None:
        return f"{name}{asked}"
    if scheme.http_auth_security_scheme is not None:
        return f"HTTP {scheme.http_auth_security_scheme.scheme}{asked}"
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
    console = results()
    console.print()
    title = Text.assemble((plain(skill.name or skill.id), "bold"))
    if skill.name and skill.id != skill.name:
        title.append(f"  {plain(skill.id)}", "dim")
    if skill.tags:
        title.append(f"  {plain(' '.join(f'#{tag}' for tag in skill.tags))}", "cyan")
    console.print(title)
    if skill.description:
        console.print(Padding(_folded(skill.description), (0, 0, 0, 2), expand=False), soft_wrap=False)
    for example in skill.examples:
        console.print(Padding(Text(f"try: {plain(example)}", "dim"), (0, 0, 0, 2), expand=False), soft_wrap=False)


def _folded(text: str) -> Text:
    return Text(plain(text).strip())


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "–"

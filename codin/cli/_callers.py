"""The options of `codin serve` that say who may call, which an `agent.toml` has as keys, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.trust import Access, Authenticator

__all__ = [
    "CALLER_FILES",
    "CALLER_OPTIONS",
    "CREDENTIAL_OPTIONS",
    "WhoMayCall",
    "caller_options",
    "credential_options",
    "who_may_call",
]

CALLER_FILES = ("token_file", "api_key_file", "access")
CREDENTIAL_OPTIONS = ("token_file", "api_key_file", "oidc_issuer", "oidc_audience")
CALLER_OPTIONS = (*CREDENTIAL_OPTIONS, "access", "callers")
"""The options by their names in Python, which are those of the keys as well."""

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False)


def credential_options(command: _Command) -> _Command:
    """Give a command those that say which credentials count."""
    options = [
        click.option(
            "--token-file",
            type=_FILE,
            help="Lines of `caller-id token [scopes=a,b]`; then every request needs a credential.",
        ),
        click.option("--api-key-file", type=_FILE, help="The same with keys, for the header X-API-Key."),
        click.option("--oidc-issuer", metavar="URL", help="Take the tokens of this OpenID Connect issuer, too."),
        click.option("--oidc-audience", metavar="NAME", help="Whom its tokens have to be for."),
    ]
    return _with(command, options)


def caller_options(command: _Command) -> _Command:
    """Give a command all of them."""
    options = [
        click.option(
            "--access",
            type=_FILE,
            metavar="FILE",
            help="TOML: the scopes that each agent, skill and tool needs. What is not in it is forbidden.",
        ),
        click.option(
            "--callers",
            type=click.Choice(["any", "known"]),
            help="known: agents have to show who they are, by their keys.  [default: any, without the options above]",
        ),
    ]
    return credential_options(_with(command, options))


def _with(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


class WhoMayCall(TypedDict):
    """Arguments of `codin.serve`, and of an `App`."""

    authenticator: Authenticator | None
    access: Access | None
    anonymous: bool | None


def who_may_call(said: Mapping[str, Any]) -> WhoMayCall:
    """What the options make, given by their names in Python.

    Raises:
        ConfigError: a file is not understood, or an issuer comes without an audience.
    """
    from codin.trust import Access

    access, callers = said.get("access"), said.get("callers")
    return {
        "authenticator": _authenticator(*map(said.get, CREDENTIAL_OPTIONS)),
        "access": None if access is None else Access.from_file(access),
        "anonymous": None if callers is None else callers == "any",
    }


def _authenticator(
    token_file: str | None, api_key_file: str | None, oidc_issuer: str | None, oidc_audience: str | None
) -> Authenticator | None:
    from codin.trust import AnyOf, ApiKeys, BearerTokens, OidcTokens

    if (oidc_issuer is None) != (oidc_audience is None):
        raise ConfigError(
            "--oidc-issuer and --oidc-audience go together", hint="the audience is what the issuer calls this server"
        )
    ways: list[Authenticator] = []
    if token_file is not None:
        ways.append(BearerTokens.from_file(token_file))
    if api_key_file is not None:
        ways.append(ApiKeys.from_file(api_key_file))
    if oidc_issuer is not None and oidc_audience is not None:
        ways.append(OidcTokens(oidc_issuer, oidc_audience))
    return None if not ways else ways[0] if len(ways) == 1 else AnyOf(*ways)

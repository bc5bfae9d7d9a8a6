"""The options of `codin serve` that say who may call, and the authenticator they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.trust import Access, Authenticator

__all__ = ["access_of", "authenticator_of", "caller_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False)


def caller_options(command: _Command) -> _Command:
    """Give a command the options."""
    options = [
        click.option(
            "--token-file",
            type=_FILE,
            help="Lines of `caller-id token [scopes=a,b]`; then every request needs a credential.",
        ),
        click.option("--api-key-file", type=_FILE, help="The same with keys, for the header X-API-Key."),
        click.option("--oidc-issuer", metavar="URL", help="Take the tokens of this OpenID Connect issuer, too."),
        click.option("--oidc-audience", metavar="NAME", help="Whom its tokens have to be for."),
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
    for option in reversed(options):
        command = option(command)
    return command


def access_of(path: str | None) -> Access | None:
    """The rules in a file.

    Raises:
        ConfigError: it is not understood.
    """
    from codin.trust import Access

    return None if path is None else Access.from_file(path)


def authenticator_of(
    token_file: str | None, api_key_file: str | None, oidc_issuer: str | None, oidc_audience: str | None
) -> Authenticator | None:
    """What the options ask for; None when they ask for nothing.

    Raises:
        ConfigError: a file is not understood, or an issuer comes without an audience.
    """
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

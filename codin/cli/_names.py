"""A target that is no address is a name: of an agent of this user on this machine, or in the registry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.mesh import Found

__all__ = ["address_of", "is_name", "known_as", "names_somebody"]

_CARD = "/.well-known/agent-card.json"
_NAME = re.compile(r"[^\W_][\w.~ -]*")


def is_name(target: str) -> bool:
    """Whether this may be what an agent is called."""
    return _NAME.fullmatch(target) is not None


def names_somebody(place: str) -> bool:
    """Whether this may be what an agent is called, where a file may be named as well."""
    return is_name(place) and not place.endswith(".json") and not Path(place).exists()


async def known_as(name: str, *, has_token: bool) -> str | None:
    """Where the card of an agent with this name is; None when nobody is called so.

    Args:
        has_token: a credential goes along, which no registry says where to.

    Raises:
        ConfigError: several are called so.
        TransportError: the registry cannot be asked.
    """
    from codin.mesh import Nearby, parties
    from codin.mesh.registry import Registry

    place = _only(name, await parties(Nearby(), name))
    registry = Registry.of_environment() if place is None else None
    if registry is not None:
        async with registry:
            place = _only(name, await parties(registry, name))
        if place is not None and has_token:
            raise ConfigError(
                f"{name!r} is at {place}, says the registry; a token is not sent to where somebody else says",
                hint="if you trust that, give the address itself",
            )
    return place


async def address_of(name: str, *, has_token: bool) -> str:
    """Where the agent itself is, by a name that has to be somebody's. Raises ConfigError when it is nobody's."""
    place = await known_as(name, has_token=has_token)
    if place is None:
        raise _nobody(name)
    return place.removesuffix(_CARD)


def _only(name: str, parties: Sequence[Sequence[Found]]) -> str | None:
    """The one; replicas of one agent are one. A workspace has one key for all agents: their folders tell them apart."""
    found = [each for party in parties for each in party]
    up = _around_here() if len(found) > 1 else ()
    folders = [next((folder for folder, row in up if each.url.startswith(row["url"])), "") for each in found]
    if len(parties) > 1 or len({*folders} - {""}) > 1:
        places = [
            each.url.removesuffix(_CARD) + (f" (agents/{folder})" if folder else "")
            for each, folder in zip(found, folders, strict=True)
        ]
        raise ConfigError(
            f"{len(found)} agents are called {name!r}: {', '.join(places)}", hint="give the address of one"
        )
    return found[0].url if found else None


def _nobody(name: str) -> ConfigError:
    called = {repr(each) for folder, row in _around_here() if folder == name for each in row.get("called", ())}
    if called:
        return ConfigError(
            f"nobody is called {name!r} here, and the agent in agents/{name} is called {' and '.join(sorted(called))}",
            hint="an agent has the name of its card, which `@agent(name=…)` gives it; codin ps tells those that differ",
        )
    return ConfigError(
        f"nobody is called {name!r} here", hint="codin find lists who is; an address begins with http:// or https://"
    )


def _around_here() -> Sequence[tuple[str, Mapping[str, Any]]]:
    """The processes of the workspace that we are in, each with its agent's folder; none when nothing is up there."""
    from codin.cli.workspace._folder import AGENTS, Workspace
    from codin.cli.workspace._record import Record

    try:
        workspace = Workspace.find(None)
        rows = Record(workspace).processes()
        agents = [path.name for path in (workspace.folder / AGENTS).iterdir()]
    except (ConfigError, OSError):  # somebody else's, for one
        return ()
    # A replica has a number behind the name.
    return [(name if (name := row["name"]) in agents else name.rpartition(".")[0], row) for row in rows]

"""Where a mesh finds agents: what a source is, made into directories, and into bounds of what they may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from codin import a2a
from codin.errors import AddressRefused, ConfigError
from codin.mesh._directory import Directory
from codin.mesh._nearby import Nearby
from codin.mesh._reader import CARD_PATH
from codin.mesh._static import Static, WellKnown
from codin.mesh.registry import Registry
from codin.net import AddressGuard, MemoryTransport, Transport, open_transport

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Source", "Sources"]

Source: TypeAlias = "str | a2a.AgentCard | Directory | ASGIApp | Iterable[Source]"
"""A URL, a card, a directory, an ASGI application of this process, or several of these."""


class Sources:
    """The directories of a mesh, and the transport to the agents that they name.

    Args:
        sources: none are the registry that the environment names, and this user's agents on this machine.

    Raises:
        ConfigError: a source is nothing of the kind.
    """

    def __init__(self, sources: Sequence[Source], transport: Transport | str | None) -> None:
        flat = list(_flattened(sources))
        apps = {f"app-{number}.memory": app for number, app in enumerate(flat) if _is_app(app)}
        if apps and transport is not None:
            raise ConfigError("an application in memory has a transport of its own", hint="leave transport= out")
        memory = MemoryTransport(cast("dict[str, ASGIApp]", apps)) if apps else None
        given = memory or transport  # each directory that is given a name opens, and guards, connections of its own
        others: list[object] = [source for source in flat if not _is_app(source)]
        self.directories: list[Directory] = [_directory(source, given) for source in others]
        self.directories += [_in_memory(app, host, given) for host, app in apps.items()]
        if not flat:
            self.directories += [*filter(None, [Registry.of_environment(given)]), Nearby(transport=given)]
            others = [*self.directories]
        self.owned = given is memory or isinstance(given, str)
        self.transport: Transport
        if given is None or isinstance(given, str):
            self.transport = open_transport(given, guard=_guard(others))
        else:
            self.transport = given


def _directory(source: object, transport: Transport | str | None) -> Directory:
    if isinstance(source, str):
        return _at(source, transport)
    if isinstance(source, a2a.AgentCard):
        return Static([source], transport=transport)
    return cast(Directory, source)


def _at(url: str, transport: Transport | str | None) -> Directory:
    return Static([url], transport=transport) if url.endswith(CARD_PATH) else WellKnown(url, transport=transport)


def _flattened(sources: Iterable[Source]) -> Iterator[object]:
    for source in sources:
        if isinstance(source, (str, a2a.AgentCard)) or hasattr(source, "find") or _is_app(source):
            yield source
        elif isinstance(source, Iterable):
            yield from _flattened(cast("Iterable[Source]", source))
        else:
            raise ConfigError(
                f"{source!r} is no source of agents", hint="give URLs, cards, directories, or an App for a test"
            )


def _is_app(source: object) -> bool:
    return callable(source) and not hasattr(source, "find")


def _in_memory(app: object, host: str, transport: Transport | str | None) -> Directory:
    places: Any = getattr(app, "places", None)  # an App of codin says where its agents are
    if places is None:
        return _at(f"http://{host}", transport)
    return Static([f"http://{host}{place}" for place in places], transport=transport)


def _guard(sources: Iterable[object]) -> AddressGuard | None:
    """What the sources may name. A directory that does not say where it is, is the program's own word."""
    guards: list[AddressGuard] = []
    for source in sources:
        if isinstance(source, Nearby):
            guards.append(AddressGuard(allow_loopback=True))
            continue
        if isinstance(source, a2a.AgentCard):
            urls: list[Any] = [interface.url for interface in source.supported_interfaces]
        else:
            urls = [source if isinstance(source, str) else getattr(source, "url", None)]
        if not all(isinstance(url, str) for url in urls):
            return None
        guards += [AddressGuard(named_by=url) for url in urls]
    return _AnyOf(guards)


class _AnyOf(AddressGuard):
    """Lets pass what one of several sources may name."""

    def __init__(self, guards: Sequence[AddressGuard]) -> None:
        super().__init__()
        self._guards = guards

    async def addresses(self, host: str, port: int) -> Sequence[str] | None:
        for guard in self._guards[:-1]:
            try:
                return await guard.addresses(host, port)
            except AddressRefused:
                continue
        return await self._guards[-1].addresses(host, port)

    def check_written(self, url: str) -> None:
        for guard in self._guards[:-1]:
            try:
                return guard.check_written(url)
            except AddressRefused:
                continue
        return self._guards[-1].check_written(url)

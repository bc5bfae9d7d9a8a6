"""The port for gRPC of an app: what its cards say of it, and the server behind it, which is loaded when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codin import a2a
from codin.errors import ConfigError
from codin.server._endpoint import Endpoint
from codin.server._extended import CARD_URL
from codin.server._http import Headers
from codin.server._jwks import JWKS_PATH
from codin.server._limits import ServerLimits
from codin.server._listen import reachable
from codin.server._observer import Observer
from codin.server._operations import Operations
from codin.server._stream import Streams

if TYPE_CHECKING:
    from codin.server._grpc import GrpcServer

__all__ = ["GrpcPort"]


class GrpcPort:
    """Where an app is reached over gRPC.

    Args:
        port: 0 takes a free one.
        address: `host:port` for the cards, where the outside reaches it; else the card's own host and the port.
        signs: whether the app's cards are signed.
        tls: files with a certificate chain and its key.

    Attributes:
        port: where it listens; None until it does.
        base: the http(s) URL of the app, as far as it is known.
    """

    def __init__(
        self,
        host: str,
        port: int,
        address: str | None,
        base: str | None,
        *,
        signs: bool,
        tls: tuple[str | Path, str | Path] | None = None,
    ) -> None:
        if address is not None and ("/" in address or not address.rpartition(":")[2].isdigit()):
            raise ConfigError(f"{address!r} is no address for gRPC", hint="write it like agents.example.com:443")
        self._host = host
        self._wanted = port
        self._address = address
        self._signs = signs
        self._tls = tls
        self._server: GrpcServer | None = None
        self._several = False
        self.base: str | None = base
        self.port: int | None = None

    async def start(
        self,
        endpoints: Mapping[str, Endpoint],
        operations: Operations,
        streams: Streams,
        limits: ServerLimits,
        observer: Observer | None,
    ) -> None:
        """Listen; does nothing when it does so already.

        Raises:
            ConfigError: a package is missing, or the port is taken.
        """
        if self._server is not None:
            return
        try:
            from codin.server._grpc import GrpcServer
        except ImportError as error:
            raise ConfigError(f"gRPC lacks a package: {error}", hint="pip install 'codin[grpc]'") from error
        self._several = len(endpoints) > 1
        server = GrpcServer(
            endpoints, operations, streams, limits, several=self._several, card_headers=self._card_headers
        )
        self.port = await server.start(self._host, self._wanted, observer, self._certificate())
        self._server = server

    def _certificate(self) -> tuple[bytes, bytes] | None:
        """The chain and the key."""
        if self._tls is None:
            return None
        try:
            chain, key = (Path(file).read_bytes() for file in self._tls)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"grpc_tls cannot be read: {error}", hint="two files: the certificate chain, and its key"
            ) from None
        return chain, key

    async def stop(self) -> None:
        """Take no more calls, and let those that are under way come to their end."""
        if self._server is not None:
            await self._server.stop()
            self.port = None

    @property
    def address(self) -> str:
        """Where it is reached, as far as this machine knows."""
        return self._address or f"{reachable(self._host)}:{self.port}"

    def interfaces(self, url: str, agent: str) -> list[a2a.AgentInterface]:
        """What the card of an agent at `url` says: `host:port` without a scheme, which is what official clients take.

        gRPC knows no paths: one of several agents is named by the tenant, which every client copies. Spec 8.3.2.
        """
        if self.port is None:
            return []
        host = urlsplit(url).hostname
        address = self._address or (f"{reachable(host)}:{self.port}" if host else self.address)
        tenant = agent if self._several else None
        return [a2a.AgentInterface(url=address, protocol_binding="GRPC", protocol_version="1.0", tenant=tenant)]

    def _card_headers(self, endpoint: Endpoint) -> Headers:
        """Where the agent is reached, which no gRPC call says, for the extended card."""
        if endpoint.extend is None or self.base is None:
            return {}
        jku = f"{self.base}{JWKS_PATH}" if self._signs else ""
        return {CARD_URL: f"{self.base}{endpoint.place}/ {jku}".encode()}

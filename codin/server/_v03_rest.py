"""HTTP+JSON of A2A 0.3: the same resources below `/v1`, and the JSON of another proto."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json
from starlette.types import Scope

from codin import a2a
from codin.a2a import v03
from codin.server._endpoint import Endpoint
from codin.server._http import Headers, headers_of
from codin.server._limits import ServerLimits
from codin.server._operations import Operations
from codin.server._rest import Rest, RestRequest
from codin.server._rest_resources import Resource, Resources
from codin.server._stream import Streams
from codin.server._urls import encoded_path
from codin.server._v03 import old_echo, old_headers, old_request, old_stream, speaks_old
from codin.task import Subscription
from codin.trust import Caller

__all__ = ["OldRest"]

_PREFIX = v03.REST_PREFIX
_MOVED = {f"{_PREFIX}/card": "/extendedAgentCard"}


class OldRest:
    """Finds what a request in 0.3 is for.

    Args:
        resources: of 1.0.
        places: of the agents.
    """

    def __init__(
        self,
        limits: ServerLimits,
        streams: Streams,
        resources: Resources,
        places: Mapping[str, Endpoint],
    ) -> None:
        self._resources = resources
        self._places = places
        operations = _OldOperations(streams, old_request)
        self._rest = Rest(operations, limits, streams, written=_error_bytes, echoed=old_echo)

    def find(self, path: str, scope: Scope) -> tuple[Resource, RestRequest] | None:
        """The resource, and the request for it; None for what is none in 0.3."""
        if f"{_PREFIX}/" not in path or not speaks_old(headers_of(scope)):
            return None
        for place in self._places:
            if path.startswith(f"{place}{_PREFIX}/"):
                resource = self._resources.find(*(_moved(each) for each in (path, encoded_path(scope, path))))
                if resource is not None and "tenant" not in resource.fields:  # 0.3 has none
                    return resource, self._rest.request(resource, scope)
        return None


def _moved(path: str) -> str:
    """Where the resource is in 1.0."""
    place, _, below = path.partition(f"{_PREFIX}/")
    return place + _MOVED.get(f"{_PREFIX}/{below}", f"/{below}")


def _error_bytes(error: a2a.A2AError) -> bytes:
    """The error as JSON-RPC has it: 0.3 did not say, and this is what its clients look for."""
    return to_json(a2a.to_rpc_error(v03.known_error(error)))


class _OldOperations(Operations):
    """Runs operations by their names in 1.0, with the JSON of 0.3."""

    async def run(
        self, endpoint: Endpoint, caller: Caller, headers: Headers, method: str, params: dict[str, Any]
    ) -> bytes | Subscription:
        try:
            wanted = v03.read_rest_request(method, params)
            payload = await super().run(endpoint, caller, old_headers(headers), method, wanted)
        except a2a.A2AError as error:
            known = v03.known_error(error, v03.REST, method)
            if known is error:
                raise
            raise known from None
        if isinstance(payload, Subscription):
            return old_stream(payload, v03.REST)
        return to_json(v03.write_rest_result(method, from_json(payload)))

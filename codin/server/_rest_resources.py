"""Which operation on which agent a path of the HTTP+JSON binding names. Spec 5.3, 11.3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from codin import a2a
from codin.server._endpoint import Endpoint

__all__ = ["Resource", "Resources"]


class Resource(NamedTuple):
    """What a path names.

    Args:
        operations: by the verb of HTTP.
        fields: of the request, which the path tells, the tenant among them.
    """

    endpoint: Endpoint
    operations: Mapping[str, str]
    fields: Mapping[str, str]


class Resources:
    """The paths below the places of agents.

    A path is looked for first as it is, and then behind one segment that is a tenant. A colon in an id is written
    `%3A` where what follows it is the name of an operation.
    """

    def __init__(self, places: Mapping[str, Endpoint]) -> None:
        self._places = places
        self._fixed = {
            f"{place}{path}": Resource(endpoint, operations, {})
            for place, endpoint in places.items()
            for path, operations in _PATHS.items()
            if "{" not in path
        }

    def find(self, path: str, encoded: str) -> Resource | None:
        """What is at a path, without a slash at its end.

        Args:
            encoded: the same path as the client wrote it.
        """
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed
        endpoint, below = self._places.get(""), encoded
        if endpoint is None:
            place, slash, below = encoded[1:].partition("/")
            endpoint, below = self._places.get(f"/{unquote(place)}"), slash + below
        if endpoint is None:
            return None
        return _resource(endpoint, below, {}) or _tenants(endpoint, below)


def _tenants(endpoint: Endpoint, path: str) -> Resource | None:
    tenant, slash, below = path[1:].partition("/")
    return _resource(endpoint, slash + below, {"tenant": unquote(tenant)}) if tenant and slash else None


def _resource(endpoint: Endpoint, path: str, fields: dict[str, str]) -> Resource | None:
    for pattern, operations in _PATTERNS:
        if match := pattern.fullmatch(path):
            told = {name: unquote(value) for name, value in match.groupdict().items()}
            return Resource(endpoint, operations, {**fields, **told})
    return None


def _paths() -> dict[str, dict[str, str]]:
    paths: dict[str, dict[str, str]] = {}
    for operation, (verb, path) in a2a.ROUTES.items():
        paths.setdefault(path, {})[verb] = operation
    paths[a2a.ROUTES["SubscribeToTask"].path]["GET"] = "SubscribeToTask"
    return paths


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


_PATHS = _paths()
# The longest first: what ends in the name of an operation is no id.
_PATTERNS = [(_pattern(path), _PATHS[path]) for path in sorted(_PATHS, key=len, reverse=True)]

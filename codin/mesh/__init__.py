"""Finding agents and calling them by what they are: names, skills, wishes."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin.mesh._breaker import Circuit
    from codin.mesh._catalog import CATALOG_TYPE, Catalog, catalog_of
    from codin.mesh._clock import Clock
    from codin.mesh._directory import Directory, Found, Health
    from codin.mesh._limits import MeshLimits
    from codin.mesh._many import Answer
    from codin.mesh._mesh import Mesh
    from codin.mesh._nearby import Nearby, Note
    from codin.mesh._parties import parties
    from codin.mesh._roster import Wish
    from codin.mesh._route import PeerState, RandomOfTwo, Route, first_healthy, least_loaded, lowest_latency
    from codin.mesh._sources import Source
    from codin.mesh._static import Static, WellKnown
    from codin.mesh._surroundings import surroundings
    from codin.mesh._union import Union

__all__ = [
    "CATALOG_TYPE",
    "Answer",
    "Catalog",
    "Circuit",
    "Clock",
    "Directory",
    "Found",
    "Health",
    "Mesh",
    "MeshLimits",
    "Nearby",
    "Note",
    "PeerState",
    "RandomOfTwo",
    "Route",
    "Source",
    "Static",
    "Union",
    "WellKnown",
    "Wish",
    "catalog_of",
    "first_healthy",
    "least_loaded",
    "lowest_latency",
    "parties",
    "surroundings",
]

# Each on its first use: who only joins a registry loads no mesh.
_HOMES = {
    "codin.mesh._breaker": "Circuit",
    "codin.mesh._catalog": "CATALOG_TYPE Catalog catalog_of",
    "codin.mesh._clock": "Clock",
    "codin.mesh._directory": "Directory Found Health",
    "codin.mesh._limits": "MeshLimits",
    "codin.mesh._many": "Answer",
    "codin.mesh._mesh": "Mesh",
    "codin.mesh._nearby": "Nearby Note",
    "codin.mesh._parties": "parties",
    "codin.mesh._roster": "Wish",
    "codin.mesh._route": "PeerState RandomOfTwo Route first_healthy least_loaded lowest_latency",
    "codin.mesh._sources": "Source",
    "codin.mesh._static": "Static WellKnown",
    "codin.mesh._surroundings": "surroundings",
    "codin.mesh._union": "Union",
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value

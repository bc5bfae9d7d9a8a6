"""Finding agents and calling them by what they are: names, skills, wishes."""

from codin.mesh._breaker import Circuit
from codin.mesh._catalog import CATALOG_TYPE, Catalog, catalog_of
from codin.mesh._clock import Clock
from codin.mesh._directory import Directory, Found, Health
from codin.mesh._limits import MeshLimits
from codin.mesh._many import Answer
from codin.mesh._mesh import Mesh
from codin.mesh._nearby import Nearby, Note
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
    "surroundings",
]

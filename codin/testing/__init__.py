"""For tests of agents: a model on a local port, a mesh in memory, recorded conversations."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin.net import MemoryTransport
    from codin.testing._answers import Body, ModelAnswer, scripted
    from codin.testing._cassette import Cassette
    from codin.testing._extractive import extractive
    from codin.testing._mesh import Peers, mesh
    from codin.testing._model_server import ModelServer, model_server
    from codin.testing._serving import serving
    from codin.testing._tape import CassetteMiss

__all__ = [
    "Body",
    "Cassette",
    "CassetteMiss",
    "MemoryTransport",
    "ModelAnswer",
    "ModelServer",
    "Peers",
    "extractive",
    "mesh",
    "model_server",
    "scripted",
    "serving",
]

_LAZY = {
    "Body": "codin.testing._answers",
    "Cassette": "codin.testing._cassette",
    "CassetteMiss": "codin.testing._tape",
    "MemoryTransport": "codin.net",
    "ModelAnswer": "codin.testing._answers",
    "ModelServer": "codin.testing._model_server",
    "Peers": "codin.testing._mesh",
    "extractive": "codin.testing._extractive",
    "mesh": "codin.testing._mesh",
    "model_server": "codin.testing._model_server",
    "scripted": "codin.testing._answers",
    "serving": "codin.testing._serving",
}


def __getattr__(name: str) -> object:
    # The pytest plugin is loaded in every test run of whoever has codin, and must not bring a server along.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

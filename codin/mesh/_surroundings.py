"""The mesh that a program is in when nobody says otherwise."""

from __future__ import annotations

from codin.mesh._mesh import Mesh
from codin.mesh._nearby import Nearby
from codin.mesh.registry import Registry

__all__ = ["surroundings"]


def surroundings() -> Mesh:
    """The agents of the registry that `CODIN_REGISTRY` names; without one, this user's on this machine."""
    return Mesh(Registry.of_environment() or Nearby())

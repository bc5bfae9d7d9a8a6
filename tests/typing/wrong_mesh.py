"""Mistakes in calling agents by what they are."""

# What is unknown after a mistake is not reported again.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Sequence

from codin.mesh import Mesh, MeshLimits, PeerState


def nobody(candidates: Sequence[PeerState], /) -> None: ...


async def makes() -> None:
    Mesh(7)  # error: reportArgumentType
    Mesh(route=nobody)  # error: reportArgumentType
    Mesh(limits=MeshLimits(5))  # error: reportCallIssue
    Mesh(trust="perhaps")  # error: reportArgumentType


async def calls(mesh: Mesh) -> None:
    await mesh.call(7, "hello")  # error: reportArgumentType
    await mesh.call("echo", 7)  # error: reportArgumentType
    await mesh.find(named="echo")  # error: reportCallIssue
    mesh.state[0].failures = 0  # error: reportAttributeAccessIssue
    print((await mesh.call("echo", "hello")).txt)  # error: reportAttributeAccessIssue

"""What is run: the command, the environment and the port of one process of a workspace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codin.cli._bounds import what_is_bounded
from codin.cli._interpreter import command_in, typed
from codin.cli._manifest import Manifest, read_manifest, settings_of
from codin.cli._ports import free_port
from codin.cli.workspace._folder import TOOLS, Workspace
from codin.cli.workspace._room import Room, passed, room_of
from codin.cli.workspace._secrets import referenced, resolve
from codin.errors import ConfigError

__all__ = ["Launch", "Prepare", "agent_launches", "registry_launch"]

HOST = "127.0.0.1"
GRACE = 15.0  # seconds: what a server waits for its running turns by default, and for those that it stops
_AFTER = 5.0  # seconds beyond the grace, after which a process without its supervisor ends itself


@dataclass(frozen=True)
class Launch:
    """One start of a process.

    Args:
        health: where it says whether it is well.
        room: what it is to be held by; None where nothing shall.
        secrets: what its log must not hold, by name; already in `env`.
        grace: the seconds that it has to end by itself.
    """

    command: Sequence[str]
    cwd: Path
    port: int
    health: str
    env: Mapping[str, str] = field(repr=False)
    room: Room | None = None
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    grace: float = GRACE


Prepare = Callable[[int], Launch]
"""Makes a launch, given the port of the one before, 0 for none. It reads files and may block. Raises ConfigError."""


def agent_launches(workspace: Workspace, folder: Path, registry: str | None, *, signed: bool) -> Mapping[str, Prepare]:
    """How each replica of an agent is started, by the name of its process.

    Args:
        signed: with the keys that are found, for its card and its calls.

    Raises:
        ConfigError: its manifest is wrong.
    """
    name = folder.name
    replicas = read_manifest(folder).replicas
    names = [name] if replicas == 1 else [f"{name}.{number}" for number in range(1, replicas + 1)]
    return {each: _agent(workspace, folder, number, registry, signed) for number, each in enumerate(names)}


def registry_launch(workspace: Workspace, port: int, *, signed: bool) -> Prepare:
    """How the registry of the workspace is started: for agents that sign for what they say, or for all."""
    from codin.trust import KeyRing

    def prepare(_: int) -> Launch:
        # Who is there says so again when it starts anew, so nothing is to be kept.
        options = [f"--host={HOST}", f"--port={_free(port)}", "--store=memory://"]
        if not signed:
            options.append("--unsigned")
        elif (ring := KeyRing.find()) is not None and ring.path is not None:
            options.append(f"--keys={ring.path.resolve()}")
        command = [*_codin(None, workspace), "registry", *options]
        return Launch(command, workspace.folder, port, "healthz", _environment(workspace))

    return prepare


def _agent(workspace: Workspace, folder: Path, number: int, registry: str | None, signed: bool) -> Prepare:
    def prepare(before: int) -> Launch:
        manifest = read_manifest(folder)  # again, because it may have changed
        secrets = resolve(manifest.secrets, folder)
        port = _free(manifest.port + number) if manifest.port else free_port(HOST, before)
        store = _store(manifest, folder, number)
        options = [f"--host={HOST}", f"--port={port}", f"--store={store}"]
        options += typed(_said(folder, manifest, number))
        if not signed:
            options.append("--no-keys")
        place = folder.resolve() / manifest.target
        env = {**passed(_environment(workspace), manifest.sandbox), **manifest.env, **secrets}
        if registry is not None:
            env["CODIN_REGISTRY"] = registry
        grace = _grace(manifest)
        command = [*_codin(_python(manifest, folder), workspace, grace), "serve", *options, "--", str(place)]
        room = room_of(workspace, folder, manifest, python=command[0], store=store, env=env, signed=signed)
        return Launch(command, workspace.folder, port, "readyz", env, room, secrets, grace)

    return prepare


def _grace(manifest: Manifest) -> float:
    """As long as the server itself waits, which its manifest may say."""
    said = what_is_bounded({"limit": manifest.limit}).get("limits")
    return GRACE if said is None else max(GRACE, said.drain + said.cancel_grace)


def _said(folder: Path, manifest: Manifest, number: int) -> Mapping[str, Any]:
    """What the manifest says to `codin serve`; each replica has a port for gRPC."""
    said = settings_of(folder, manifest)
    return {**said, "grpc_port": _free(manifest.grpc_port + number)} if manifest.grpc_port else said


def _environment(workspace: Workspace) -> Mapping[str, str]:
    """This environment, without what a manifest says is a secret: only who names it gets it."""
    hidden = referenced(_secrets_of(folder) for folder in workspace.agents)
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "CODIN_TOOLS": str(workspace.folder / TOOLS), "PYTHONUNBUFFERED": "1"}


def _secrets_of(folder: Path) -> Mapping[str, str]:
    try:
        return read_manifest(folder).secrets
    except ConfigError:  # which is shown where that agent is started
        return {}


def _python(manifest: Manifest, folder: Path) -> str | None:
    if manifest.python is None or "/" not in manifest.python:
        return manifest.python
    # The folder may be a link, and the path leave it. The interpreter is not resolved, see `read_folders`.
    return str(folder.resolve() / manifest.python)


def _codin(python: str | None, workspace: Workspace, grace: float = GRACE) -> Sequence[str]:
    interpreter = sys.executable if python is None else command_in(python, ())[0]
    # -P: the workspace is where it works, and no place to import from; its folders have common names.
    return [interpreter, "-P", "-m", "codin.cli.workspace", str(workspace.folder), str(grace + _AFTER)]


def _store(manifest: Manifest, folder: Path, number: int) -> str:
    kind, _, place = manifest.store.partition(":///")
    return f"{kind}:///{folder.resolve() / place.format(replica=number + 1)}" if place else manifest.store


def _free(port: int) -> int:
    """The port, when nobody listens there. Whoever asked it would take somebody else for the agent."""
    if free_port(HOST, port) != port:
        raise ConfigError(f"port {port} of {HOST} is taken by somebody else")
    return port

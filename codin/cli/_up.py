"""`codin up`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codin.cli._terminal import say
from codin.cli.workspace._folder import Workspace
from codin.errors import ConfigError

if TYPE_CHECKING:
    from codin.cli.workspace._supervisor import Supervisor
    from codin.cli.workspace._view import View

__all__ = ["up"]


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
@click.option("--detach", "-d", is_flag=True, help="Run in the background; codin ps, logs and down look after it.")
@click.option("--reload", is_flag=True, help="Start an agent again when its files, or a tool, change.")
@click.option(
    "--registry",
    metavar="URL",
    envvar="CODIN_REGISTRY",
    show_envvar=True,
    help="A registry that is there already; without it, the workspace gets one of its own.",
)
@click.option("--no-keys", "unsigned", is_flag=True, help="Sign nothing, though there are keys, and make none.")
def up(folder: str | None, detach: bool, reload: bool, registry: str | None, unsigned: bool) -> int:
    """Run every agent of a workspace until Ctrl-C.

    FOLDER is a workspace: each folder in its agents/ that has an agent.py or an agent.toml is run as a process of its
    own, and started again when it ends. Without FOLDER, the nearest workspace from here upward.

    An agent runs in a sandbox: it sees the workspace and writes its own folder. sandbox = "required" or "off" in its
    agent.toml says otherwise; without bubblewrap, and without either word, it runs in none, and a line says so.

    They sign their cards and say who they are by your key. Where you have none yet, one is made.

    \b
    codin up
    codin up --reload
    codin up shop -d
    """
    workspace = Workspace.find(folder)
    if not workspace.agents:
        hint = "codin new agent hello makes one"
        raise ConfigError(f"{workspace.folder} has no agent: no folder in agents/ has an agent.py", hint=hint)
    if reload:
        from codin.cli.workspace._watch import need_watchfiles

        need_watchfiles()
    os.chdir(workspace.folder)  # where its keys are
    if not unsigned:
        _need_key()
    if detach:
        from codin.cli.workspace._detach import detached

        return detached(workspace, reload=reload, registry=registry, signed=not unsigned)
    return asyncio.run(_run(workspace, reload=reload, registry=registry, signed=not unsigned))


def _need_key() -> None:
    """Make the first key where `codin keys new` would, and say so.

    Raises:
        ConfigError: it cannot be made, or the keys that are there cannot be used.
    """
    from codin.trust import KeyRing

    named = os.environ.get("CODIN_KEYS")
    # A place that is named and not there yet is one for a new key. `find` calls it a mistake.
    absent = named and not os.environ.get("CODIN_KEY") and not Path(named).expanduser().exists()
    if not absent and KeyRing.find() is not None:
        return
    try:
        ring = KeyRing.create(KeyRing.default_path())
    except ConfigError as error:
        error.hint = f"{error.hint or 'CODIN_KEYS names another place'}; --no-keys goes on without a key"
        raise
    say(f"made a key in {ring.path}, which signs cards and calls from now on; --no-keys goes without", "dim")


async def _run(workspace: Workspace, *, reload: bool, registry: str | None, signed: bool) -> int:
    from codin.cli.workspace._supervisor import Supervisor
    from codin.cli.workspace._view import showing

    with showing(
        f"{workspace.folder}: Ctrl-C ends all; codin call NAME TEXT calls one; codin logs shows what they say"
    ) as view:

        def on_change() -> None:
            view.update([process.to_dict() for process in supervisor.processes.values()])

        def on_signal() -> None:
            supervisor.stop()
            view.say("ending; Ctrl-C again does not wait for running tasks")

        supervisor = Supervisor(workspace, registry=registry, signed=signed, on_change=on_change)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        watching = loop.create_task(_reload(supervisor, view)) if reload else None
        await supervisor.run()
        if watching is not None:
            watching.cancel()
    return 0


async def _reload(supervisor: Supervisor, view: View) -> None:
    from codin.cli.workspace._watch import changes_of

    try:
        async for paths in changes_of(supervisor.workspace):
            names = supervisor.changed(paths)
            if names:
                view.say(
                    f"{', '.join(sorted({path.name for path in paths}))} changed: {', '.join(names)} started again"
                )
    except (OSError, RuntimeError) as error:  # e.g. the system watches as many files as it may
        view.say(f"changes are not seen any more: {error}")

"""`codin new`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from codin.cli._terminal import say
from codin.cli.workspace._folder import AGENTS, TOOLS, Workspace
from codin.cli.workspace._scaffold import new_agent, new_tool
from codin.errors import ConfigError

__all__ = ["new"]


@click.group()
def new() -> None:
    """Begin an agent or a tool: in the nearest workspace from here upward, else in this folder, which becomes one."""


@new.command()
@click.argument("name")
def agent(name: str) -> int:
    """Write agents/NAME: an agent that runs at once, its manifest, and how to build it as an image."""
    place = _workspace() / AGENTS
    for path in new_agent(place, name):
        click.echo(os.path.relpath(path))
    say(f"codin serve {os.path.relpath(place / name)}, or codin up for all agents of the workspace", "dim")
    return 0


@new.command()
@click.argument("name")
def tool(name: str) -> int:
    """Write tools/NAME.py: a tool for the agents of the workspace."""
    path = new_tool(_workspace() / TOOLS, name)
    click.echo(os.path.relpath(path))
    say("an agent finds it by codin.tool.workspace_tools()", "dim")
    return 0


def _workspace() -> Path:
    try:
        return Workspace.find(None).folder
    except ConfigError:
        return Path.cwd()

"""`codin version`."""

from __future__ import annotations

import platform

import click

from codin import __version__

__all__ = ["version"]


@click.command()
def version() -> None:
    """Show the versions of codin, the protocol and Python."""
    click.echo(f"codin {__version__}, A2A 1.0, Python {platform.python_version()}")

"""A group of commands whose help keeps the order in which they are written."""

from __future__ import annotations

import click

__all__ = ["OrderedGroup"]


class OrderedGroup(click.Group):
    """Lists its commands in the order of their definition, where click sorts them by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

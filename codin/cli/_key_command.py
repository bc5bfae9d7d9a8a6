"""A command that takes the thumbprint of a key, of which one in 64 begins as an option does."""

from __future__ import annotations

import re

import click

__all__ = ["KeyCommand"]

# Behind two dashes, what has small letters only is an option that is misspelt, and is told to be none.
_THUMBPRINT = re.compile(r"-(?!-)[\w-]{3,42}|--(?=.*[A-Z\d_])[\w-]{2,41}", re.ASCII)


class KeyCommand(click.Command):
    """Takes a thumbprint that begins with a dash for what it is, also one that is cut short."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        takers = {name for each in options if not each.is_flag for name in each.opts}
        known = {name for each in options for name in each.opts}
        for place, word in enumerate(args):
            if word == "--":
                break
            is_value = place > 0 and args[place - 1] in takers
            if _THUMBPRINT.fullmatch(word) and word not in known and not is_value:
                args = [*args[:place], *args[place + 1 :], "--", word]
                break
        return super().parse_args(ctx, args)

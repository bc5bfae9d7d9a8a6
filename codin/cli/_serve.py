"""`codin serve`."""

from __future__ import annotations

from typing import Any

import click

from codin.cli._interpreter import go_on_in, python_option, typed
from codin.cli._manifest import read_folders

__all__ = ["serve"]


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--store", default="memory://", show_default=True, help="Where tasks are kept; or sqlite:///file.db.")
@click.option("--public-url", metavar="URL", help="Where the outside reaches the server, for the card.")
@click.option("--trusted-proxy", metavar="IP", multiple=True, help="Believe this proxy's X-Forwarded-* headers.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Lines of `caller-id token`; then every request needs a bearer token.",
)
@python_option
@click.option("--reload", is_flag=True, help="Start again when a .py file changes.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Of the server, on standard error.",
)
def serve(targets: tuple[str, ...], python: str | None, reload: bool, log_level: str, **settings: Any) -> int:
    """Serve agents over A2A until Ctrl-C.

    TARGET is path.py, path.py:name, package.module or package.module:name. Without a name, every agent that the file
    itself makes under a public name is served: what @agent made; else compiled graphs and other objects that an
    adapter knows; else the one public function there is. A folder stands for what its agent.toml says.

    \b
    codin serve hello.py
    codin serve hello.py:shout team.graphs:brief --port 9000
    codin serve hello.py --store sqlite:///tasks.db --token-file tokens.txt
    codin serve crew.py --python crew/.venv/bin/python
    """
    targets, python = read_folders(targets, python)
    if reload:
        from codin.cli._reload import serve_and_reload

        return serve_and_reload(targets, {**settings, "log_level": log_level}, python)
    if python is not None:
        go_on_in(python, ["serve", *typed({**settings, "log_level": log_level}), "--", *targets])
    import logging

    from codin import serve as run
    from codin.cli._target import load_agents

    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    proxies = settings.pop("trusted_proxy")
    run(*load_agents(targets), trusted_proxies=proxies, log_level=log_level, **settings)
    return 0

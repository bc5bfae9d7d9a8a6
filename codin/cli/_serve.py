"""`codin serve`."""

from __future__ import annotations

from typing import Any

import click

from codin.cli._bounds import bound_options, what_is_bounded
from codin.cli._callers import caller_options, who_may_call
from codin.cli._interpreter import go_on_in, python_option, typed
from codin.cli._manifest import SERVED_KEYS, read_folders
from codin.cli._memory_options import memory_options, what_is_remembered
from codin.cli._spoken import spoken_options, what_is_spoken
from codin.cli._tool_options import check_tools, tool_options, what_tools_may

__all__ = ["serve"]


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@spoken_options
@click.option(
    "--store", default="memory://", show_default=True, help="Where tasks are kept: memory://, or sqlite:///file.db."
)
@click.option("--public-url", metavar="URL", help="Where the outside reaches the server, for the card.")
@click.option("--trusted-proxy", metavar="IP", multiple=True, help="Believe this proxy's X-Forwarded-* headers.")
@click.option(
    "--hsts",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="Ask who has come by HTTPS to come by nothing else for so long; 0 asks nobody.  [default: a year]",
)
@caller_options
@memory_options
@tool_options
@bound_options
@click.option(
    "--extended-card",
    metavar="FUNCTION",
    help="path.py:name of what makes the card for known callers, out of the public one and the caller.",
)
@click.option("--registry", metavar="URL", help="Where the agents are found by others, too. Or: CODIN_REGISTRY.")
@click.option("--keys", metavar="PATH", help="Keys that sign the cards.  [default: those that `codin keys list` shows]")
@click.option("--no-keys", "keys", flag_value="", help="Sign nothing, though there are keys.")
@python_option
@click.option("--reload", is_flag=True, help="Start again when a .py file changes.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    envvar="CODIN_LOG_LEVEL",
    help="Of the server, on standard error; info has a line for each request. Or: CODIN_LOG_LEVEL.",
)
@click.option(
    "--log-format",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    envvar="CODIN_LOG_FORMAT",
    help="Plain lines are for eyes; json is one object a line. Or: CODIN_LOG_FORMAT.",
)
def serve(targets: tuple[str, ...], python: str | None, reload: bool, **settings: Any) -> int:
    """Serve agents over A2A until Ctrl-C.

    TARGET is path.py, path.py:name, package.module or package.module:name. Without a name, every agent that the file
    itself makes under a public name is served: what @agent made; else compiled graphs and other objects that an
    adapter knows and that are no part of another; else the one public function there is. A folder stands for what its
    agent.toml says.

    \b
    codin serve hello.py
    codin serve hello.py:shout team.graphs:brief --port 9000
    codin serve hello.py --store sqlite:///tasks.db --token-file tokens.txt
    codin serve crew.py --python crew/.venv/bin/python
    """
    given = {name: settings[name] for name in SERVED_KEYS if settings[name] not in (None, ())}
    targets, python, served = read_folders(targets, python, given)
    settings |= served
    if reload:
        from codin.cli._reload import serve_and_reload

        return serve_and_reload(targets, settings, python)
    if python is not None:
        go_on_in(python, ["serve", *typed(settings), "--", *targets])
    from codin import serve as run
    from codin.cli._target import load_agents, load_function
    from codin.server import log_lines

    log_lines(settings.pop("log_format"), settings["log_level"])
    proxies = settings.pop("trusted_proxy")
    place = settings.pop("keys")
    said = {name: settings.pop(name) for name in SERVED_KEYS}
    if settings["hsts"] is None:
        del settings["hsts"]
    extend = settings.pop("extended_card")
    agents, tools_may = load_agents(targets, serving=True), what_tools_may(said)
    check_tools(tools_may, agents)
    run(
        *agents,
        extended_card=None if extend is None else load_function(extend),
        trusted_proxies=proxies,
        keys=True if place is None else place or False,
        **who_may_call(said),
        **what_is_spoken(said),
        **what_is_remembered(said),
        **tools_may,
        **what_is_bounded(said),
        **settings,
    )
    return 0

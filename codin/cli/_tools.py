"""`codin tools`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import anyio
import click

from codin.cli._callers import CREDENTIAL_OPTIONS, credential_options, who_may_call
from codin.cli._exits import Exit
from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import plain, results, say, write
from codin.cli._tool_options import tool_options, what_tools_may
from codin.errors import ConfigError, UnknownTool

if TYPE_CHECKING:
    from codin.tool import Sandboxing, Tool, ToolExecutor, ToolRegistry
    from codin.trust import Caller

__all__ = ["tools"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _left_out(error: ConfigError) -> None:
    """Tell of tools that are broken; the others are of use."""
    say(f"left out: {error}", "yellow")


@dataclass(frozen=True)
class _Place:
    """Which tools, and what whoever uses them may."""

    folder: str | None
    installed: bool
    scopes: Sequence[str]

    def registry(self, broken: Callable[[ConfigError], object] = _left_out) -> ToolRegistry:
        from codin.tool import ToolRegistry

        registry = ToolRegistry()
        registry.add_folder(self.folder, broken=broken)
        if self.installed:
            registry.add_installed(broken=broken)
        return registry

    def executor(self, said: Mapping[str, Any]) -> ToolExecutor:
        from codin.tool import ToolExecutor, in_runtime

        registry = self.registry()
        return ToolExecutor(registry, run=in_runtime(), sandbox=self.words(registry, said))

    def words(self, registry: ToolRegistry, said: Mapping[str, Any]) -> Mapping[str, Sandboxing]:
        """What `--tool-sandbox` says. Raises ConfigError when it speaks of a tool that is not there."""
        words = what_tools_may(said).get("tool_sandbox", {})
        known = {tool.name for tool in registry}
        for name in words:
            if name not in known:
                hint = f"there are {', '.join(sorted(known))}" if known else self.none()
                raise ConfigError(f"--tool-sandbox names {name!r}, which is no tool here", hint=hint)
        return words

    def none(self) -> str:
        """That there are no tools, with where they were looked for."""
        from codin.tool._workspace import workspace_folder

        also = ", nor in installed packages" if self.installed else ""
        folder = self.folder or workspace_folder()
        if folder is not None:
            return f"there are no tools in {folder}{also}"
        beside = ": --folder tools takes those of the folder here" if Path("tools").is_dir() else ""
        return f"there are no tools{also}, and no workspace from {Path.cwd()} upward, which has a folder agents{beside}"

    def get(self, registry: ToolRegistry, name: str) -> Tool:
        """The tool by that name. Who is at this command line may know which scope is missing."""
        try:
            return registry.get(name, self.caller)
        except UnknownTool as error:
            if not len(registry):
                raise UnknownTool(error.message, tool=error.tool, hint=self.none()) from None
        needed = registry.get(name).spec.scopes
        raise ConfigError(
            f"the tool {name!r} needs the scope{'s' * (len(needed) > 1)} {', '.join(sorted(needed))}",
            hint=" ".join(f"--scope {scope}" for scope in sorted(needed)),
        )

    @property
    def caller(self) -> Caller:
        from codin.trust import Caller

        return Caller("local", scopes=frozenset(self.scopes))


def _place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which tools, and hand it one `place`."""

    @click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False),
        help="With the files that make them.  [default: the folder tools of the workspace]",
    )
    @click.option("--installed", is_flag=True, help="Also those of installed packages.")
    @click.option("--scope", "scopes", multiple=True, metavar="NAME", help="Which you have; may be repeated.")
    @functools.wraps(command)
    def placed(*args: Any, folder: str | None, installed: bool, scopes: tuple[str, ...], **options: Any) -> Any:
        return command(*args, place=_Place(folder, installed, scopes), **options)

    return placed


@click.group(cls=OrderedGroup)
def tools() -> None:
    """The tools of a workspace: list them, use one, serve them to clients of MCP.

    \b
    codin tools list
    codin tools call read_page url=https://example.com
    codin tools serve
    """


# -- list --------------------------------------------------------------------------------------------------------------


@tools.command("list")
@click.argument("words", nargs=-1)
@_place_options
@tool_options
@_json_option
def list_(words: tuple[str, ...], place: _Place, as_json: bool, **said: Sequence[str]) -> int:
    """Show the tools, or those with these words, the best first. Without --scope, whatever they need.

    \b
    codin tools list
    codin tools list web page --json
    """
    broken: list[ConfigError] = []
    registry = place.registry(broken.append)
    callers = [place.caller] if place.scopes else []
    found = registry.search(" ".join(words), *callers, limit=100) if words else registry.list(*callers)
    chosen = place.words(registry, said)
    rows: list[tuple[Tool, Sandboxing]] = [(tool, chosen.get(tool.name) or _where(registry, tool)) for tool in found]
    if as_json:
        for tool, sandbox in rows:
            write(json.dumps(_fields(tool, sandbox), ensure_ascii=False) + "\n")
    elif found:
        _tabulate(rows)
    if not found:
        say("there are no such tools" if len(registry) else place.none(), "dim")
    for error in broken:
        _left_out(error)
    return Exit.USAGE if broken else Exit.OK if found else Exit.TASK


def _where(registry: ToolRegistry, tool: Tool) -> Sandboxing:
    """Whether it runs in a sandbox, unless somebody says otherwise: as an executor has it."""
    listed = registry.find(f"{tool.name}@{tool.spec.version}")
    return "required" if listed.foreign else listed.spec.sandbox


def _fields(tool: Tool, sandbox: Sandboxing) -> dict[str, Any]:
    spec = tool.spec
    return {
        "name": tool.name,
        "version": spec.version,
        "description": spec.description,
        "input_schema": dict(spec.input_schema),
        "output_schema": None if spec.output_schema is None else dict(spec.output_schema),
        "sandbox": sandbox,
        "scopes": sorted(spec.scopes),
    }


def _tabulate(rows: Sequence[tuple[Tool, Sandboxing]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("TOOL", "TAKES", "NEEDS", "SANDBOX", "DOES"):
        table.add_column(column, overflow="fold")
    for tool, sandbox in rows:
        takes = ", ".join(tool.spec.input_schema.get("properties", {}))
        does = tool.spec.description.strip().partition("\n")[0]
        row = (tool.name, takes, ", ".join(sorted(tool.spec.scopes)), sandbox, does)
        table.add_row(*map(plain, row))
    results().print(table)


# -- call --------------------------------------------------------------------------------------------------------------


@tools.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@_place_options
@tool_options
@click.option("--data", metavar="JSON", help="The arguments as one object.")
@_json_option
def call(
    name: str, arguments: tuple[str, ...], place: _Place, data: str | None, as_json: bool, **said: Sequence[str]
) -> int:
    """Use a tool, and print its result.

    A text is printed as it is, anything else as JSON. Where the tool takes a text, VALUE is one; elsewhere it is JSON.
    A tool that asks for a sandbox runs in one, and one that asks for approval is not used here.

    \b
    codin tools call python code="print(6 * 7)"
    codin tools call search_files --data '{"pattern": "TODO", "limit": 3}'
    """
    executor = place.executor(said)
    schema = place.get(executor.registry, name).spec.input_schema
    logging.getLogger("codin.tool").addHandler(logging.NullHandler())  # the error says what the log would
    anyio.run(_call, executor, name, _given(arguments, data, schema), place.caller, as_json)
    return Exit.OK


def _given(words: Sequence[str], data: str | None, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    context = click.get_current_context()
    try:
        given: Any = {} if data is None else json.loads(data)
    except ValueError as error:
        raise click.UsageError(f"--data is no JSON: {error}", context) from None
    if not isinstance(given, dict):
        raise click.UsageError("--data is no object", context)
    found = cast("dict[str, Any]", given)
    for word in words:
        key, sign, text = word.partition("=")
        if not sign or not key:
            raise click.UsageError(f"{word!r} is no argument; write KEY=VALUE", context)
        takes: Any = schema.get("properties", {}).get(key, {})
        found[key] = text if takes.get("type") == "string" else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _call(executor: ToolExecutor, name: str, arguments: Mapping[str, Any], caller: Caller, as_json: bool) -> None:
    if as_json:
        with contextlib.redirect_stdout(sys.stderr):  # what the tool prints is no JSON
            result = await executor.call(name, arguments, caller=caller)
        write(json.dumps(result, ensure_ascii=False) + "\n")
        return
    last = "\n"
    async with aclosing(executor.stream(name, arguments, caller=caller)) as pieces:
        async for piece in pieces:
            last = piece if isinstance(piece, str) else json.dumps(piece, ensure_ascii=False, indent=2) + "\n"
            write(last)
    if not last.endswith("\n"):
        write("\n")


# -- serve -------------------------------------------------------------------------------------------------------------


@tools.command()
@_place_options
@tool_options
@click.option("--http", is_flag=True, help="Over HTTP, until Ctrl-C, and not to the program that started this one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--public-url", metavar="URL", help="Where clients reach it, if not there.")
@credential_options
def serve(place: _Place, http: bool, host: str, port: int, public_url: str | None, **said: Any) -> int:
    """Serve the tools to clients of MCP.

    That is over standard input and output, or over HTTP: there, whoever calls has the scopes of its credential, and
    --scope is for those who need none.

    \b
    codin tools serve --scope pay
    codin tools serve --http --port 9000 --token-file tokens.txt
    """
    try:
        from codin.agent.adapters.mcp import ToolServer
    except ImportError as error:
        raise ConfigError(f"this needs the package {error.name}", hint="pip install 'codin[mcp]'") from None
    context = click.get_current_context()
    given = [name for name in ("host", "port", "public_url", *CREDENTIAL_OPTIONS) if _is_given(context, name)]
    if given and not http:
        raise click.UsageError(f"--{given[0].replace('_', '-')} goes with --http", context)
    executor = place.executor(said)
    if not len(executor.registry):
        say(place.none(), "yellow")
    server = ToolServer(executor, caller=place.caller)
    if http:
        _listen(server, host, port, public_url, said)
    else:
        asyncio.run(server.stdio())
    return Exit.OK


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _listen(server: Any, host: str, port: int, public_url: str | None, said: Mapping[str, Any]) -> None:
    import uvicorn

    from codin.net import is_loopback
    from codin.server._listen import listen, reachable

    authenticator = who_may_call(said)["authenticator"]
    if authenticator is None and not (is_loopback(host) and public_url is None):
        raise ConfigError(
            "whoever reaches these tools could use them",
            hint="--token-file says who may; or serve them on 127.0.0.1, without --public-url",
        )
    with listen(host, port) as listener, contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again
        base = (public_url or f"http://{reachable(host)}:{listener.getsockname()[1]}").rstrip("/")
        hosts = [*(f"{name}:*" for name in ("127.0.0.1", "localhost", "[::1]", host)), urlsplit(base).netloc]
        app = server.app(authenticator, hosts=hosts)
        write(f"tools at {base}/mcp\n")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, proxy_headers=False, lifespan="on", server_header=False
        )
        uvicorn.Server(config).run(sockets=[listener])

"""`codin check`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from codin.cli._connection import secret_in
from codin.cli._exits import Exit, exit_of
from codin.cli._names import address_of, is_name
from codin.cli._terminal import errors, interactive, write
from codin.errors import CodinError, ConfigError

if TYPE_CHECKING:
    from codin.cli.check._bench import Wishes
    from codin.cli.check._check import Check
    from codin.cli.check._report import Report

__all__ = ["check"]

_FILE = click.Path(dir_okay=False, path_type=Path)


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from codin.cli.check._catalog import CHECKS
        from codin.cli.check._text import show_checks

        show_checks(CHECKS)
        ctx.exit()


@click.command()
@click.argument("url", metavar="URL")
@click.option("--message", default="Hello", show_default=True, metavar="TEXT", help="What the agent is told.")
@click.option("--asks", metavar="TEXT", help="A message that the agent answers with a question.")
@click.option("--lasts", metavar="TEXT", help="A message that the agent works on for a few seconds.")
@click.option("--token", metavar="TOKEN", help="A bearer token. Or: CODIN_TOKEN.")
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False), help="A file that holds the token.")
@click.option("--second-token", metavar="TOKEN", help="Of another caller, who must not see the first one's tasks.")
@click.option("--header", "headers", metavar="NAME:VALUE", multiple=True, help="Goes with every request.")
@click.option("--webhook", metavar="URL", default="https://example.com/codin-check", show_default=True,
              help="The address in push configurations, which are deleted or end with their task.")  # fmt: skip
@click.option("--binding", "bindings", type=click.Choice(["JSONRPC", "HTTP+JSON", "GRPC"]), multiple=True,
              help="Check this one only.  [default: all on the card]")  # fmt: skip
@click.option("--only", metavar="NAME", multiple=True, help="A check, a group such as LIST, or a rule; see --list.")
@click.option("--skip", metavar="NAME", multiple=True, help="Leave out a check, a group or a rule.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, metavar="SECONDS",
              help="How long an answer may take, and a stream be silent.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--junit", type=_FILE, help="Write a JUnit file.")
@click.option("--badge", type=_FILE, help="Write an SVG picture: A2A v1.0 | 87/87.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="Show all checks.")
def check(
    url: str,
    message: str,
    asks: str | None,
    lasts: str | None,
    token: str | None,
    token_file: str | None,
    second_token: str | None,
    headers: tuple[str, ...],
    webhook: str,
    bindings: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    timeout: float,
    as_json: bool,
    junit: Path | None,
    badge: Path | None,
) -> int:
    """Check whether the server at a URL keeps to A2A v1.0, over every binding on its card.

    Any server will do. The checks send messages, so they make tasks there, about forty for each binding, and the
    agent does what --message tells it. Tasks that do not end are canceled.

    \b
    codin check http://127.0.0.1:8000
    codin check http://127.0.0.1:8000 --lasts "count to ten" --asks "book a table"
    codin check https://agents.example.com --token-file me.txt --junit a2a.xml --badge a2a.svg
    codin check http://127.0.0.1:8000 --only LIST --only get-unknown
    """
    from codin.cli.check import _files as files
    from codin.cli.check._bench import Wishes
    from codin.cli.check._catalog import chosen
    from codin.cli.check._text import show_report
    from codin.cli.check._wire import Caller

    if token is not None and token_file is not None:
        raise click.UsageError("--token and --token-file exclude each other", click.get_current_context())
    token = secret_in(Path(token_file), "token") if token_file is not None else token or os.environ.get("CODIN_TOKEN")
    plain, secret = _headers(headers)
    caller = Caller({**secret, **_bearer(token)}, plain)
    second = Caller(_bearer(second_token), plain) if second_token else None
    wishes = Wishes(message, asks, lasts, webhook, caller, second, timeout)
    checks = chosen(only, skip)
    try:
        report = anyio.run(_check, url, checks, wishes, bindings)
    except CodinError as error:
        if junit is not None and exit_of(error) is Exit.PEER:
            files.write_file(junit, files.junit_without_report(url, error.message))
        raise
    if junit is not None:
        files.write_file(junit, files.junit(report))
    if badge is not None:
        files.write_file(badge, files.badge(report))
    if as_json:
        write(files.as_json(report))
    else:
        show_report(report)
    return _exit(report)


async def _check(url: str, checks: Sequence[Check], wishes: Wishes, bindings: Sequence[str]) -> Report:
    from codin.cli.check._examine import examine
    from codin.net import open_transport
    from codin.trust import TrustPolicy

    if is_name(url):
        url = await address_of(url, has_token=bool(wishes.caller.secret))
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url!r} is no address", hint="it begins with http:// or https://")
    # The card may name any address; one that leads into this network is no business of who wrote it.
    guard = TrustPolicy.of(None).guard_for(url)
    transport = open_transport(guard=guard)
    status = errors().status("looking for the card") if interactive() else nullcontext()
    try:
        with status as shown:

            def began(check: Check, binding: str) -> None:
                if shown is not None:
                    shown.update(f"{binding or 'the card'}: {check.name}")

            return await examine(url, checks, wishes, transport, bindings=bindings, began=began, guard=guard)
    finally:
        await transport.aclose()


def _exit(report: Report) -> int:
    from codin.cli.check._verdict import Outcome

    if report.counts[Outcome.FAILED]:
        return Exit.TASK
    if report.agent.turned_away:
        return Exit.AUTH
    return Exit.OK if report.held[1] else Exit.PEER


def _headers(given: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What goes with every request: what may be shown, and what may hold a credential."""
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    for each in given:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise ConfigError("a --header is NAME:VALUE", hint='such as --header "X-API-Key: …"')
        (plain if name.strip().lower().startswith("a2a-") else secret)[name.strip()] = value.strip()
    return plain, secret


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}

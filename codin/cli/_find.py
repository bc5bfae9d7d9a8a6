"""`codin find`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import click

from codin.cli._exits import Exit
from codin.cli._terminal import plain, results, say, write

if TYPE_CHECKING:
    from codin.mesh import Directory, Found

__all__ = ["find"]

_STYLES = {"healthy": "green", "suspect": "yellow", "gone": "red", "unknown": "dim"}


@click.command()
@click.argument("words", metavar="[TEXT]...", nargs=-1)
@click.option("--name", metavar="NAME", help="Called so.")
@click.option("--skill", metavar="SKILL", help="With this skill.")
@click.option("--tag", metavar="TAG", help="With a skill that has this tag.")
@click.option("--near", metavar="TEXT", help="By what it means, in a registry that has embeddings.")
@click.option("--registry", metavar="URL", help="Ask this registry only. Or, beside this machine: CODIN_REGISTRY.")
@click.option("--at", "hosts", metavar="URL", multiple=True, help="Ask this host only: its AI Catalog, or its card.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an agent a line.")
def find(
    words: tuple[str, ...],
    name: str | None,
    skill: str | None,
    tag: str | None,
    near: str | None,
    registry: str | None,
    hosts: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> int:
    """Find agents: those of this user on this machine, and those in the registry.

    TEXT is words of their cards; all of them have to be there.

    \b
    codin find
    codin find translate --tag french
    codin find long report
    codin find --registry https://registry.example.com --skill summarize
    codin find --near "make it shorter" --registry http://127.0.0.1:7000
    codin find --at https://agents.example.com
    """
    wish = {"name": name, "skill": skill, "tag": tag, "text": " ".join(words) or None}
    if near is not None:
        found = anyio.run(_find_near, near, registry, wish, limit)
    else:
        found = anyio.run(_find, registry, hosts, wish, limit)
    if as_json:
        for each in found:
            write(json.dumps(_fields(each), ensure_ascii=False) + "\n")
    elif found:
        _show(found)
    else:
        say("nobody was found", "dim")
    return Exit.OK if found else Exit.TASK


async def _find_near(near: str, url: str | None, wish: dict[str, str | None], limit: int) -> Sequence[Found]:
    from codin.mesh.registry import Registry

    registry = Registry.of_environment(url=url)
    if registry is None:
        raise click.UsageError(
            "--near needs a registry: --registry URL, or CODIN_REGISTRY", click.get_current_context()
        )
    try:
        return await registry.find(**wish, near=near, limit=limit)
    finally:
        await registry.aclose()


async def _find(registry: str | None, hosts: Sequence[str], wish: dict[str, str | None], limit: int) -> Sequence[Found]:
    from codin.mesh import Nearby, Union, WellKnown
    from codin.mesh.registry import Registry

    places: list[Directory] = []
    if registry is not None:
        places.append(Registry.of_environment(url=registry) or Nearby())
    if hosts:
        places.append(WellKnown(*hosts))
    if not places:
        named = Registry.of_environment()
        places = [Nearby(), named] if named is not None else [Nearby()]
    directory = Union(*places)
    try:
        return await directory.find(**wish, limit=limit)
    finally:
        await directory.aclose()


def _fields(found: Found) -> dict[str, object]:
    return {
        "id": found.id,
        "name": found.name,
        "url": found.url,
        "identity": found.identity,
        "health": found.health,
        "seen": found.seen,
        "latency": found.latency,
        "load": found.load,
        "verified": found.verified,
        "skills": sorted(found.skills),
        "tags": sorted(found.tags),
    }


def _show(found: Sequence[Found]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("NAME", "HEALTH", "SEEN", "SIGNED", "SKILLS", "WHERE"):
        table.add_column(column, overflow="fold")
    for each in found:
        skills = ", ".join(sorted(skill.id for skill in each.card.skills)) if each.card is not None else ""
        table.add_row(
            plain(each.id),
            Text(each.health, _STYLES[each.health]),
            _ago(each.seen),
            "yes" if each.verified else "",
            plain(skills),
            plain(each.url.removesuffix("/.well-known/agent-card.json")),
        )
    results().print(table)


def _ago(seen: float | None) -> str:
    if seen is None:
        return ""
    seconds = max(0, round(time.time() - seen))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"

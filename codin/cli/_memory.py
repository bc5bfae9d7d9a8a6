"""`codin memory`."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import click

from codin.cli._exits import Exit
from codin.cli._ordered import OrderedGroup
from codin.cli._terminal import check_somebody, errors, plain, results, say, show, write
from codin.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from codin.memory import Hit, How, Memory, MemoryBackend, Scope, Stats
    from codin.memory.retrieval import Ingested, Progress

__all__ = ["memory"]

_SNIPPET = 320  # letters
_LISTED = 20  # files that were skipped

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True)
class _Place:
    """Which memory, and whose part of it.

    Attributes:
        tenant, agent, caller: None where it was not said, which commands take in their own ways.
    """

    url: str | None
    tenant: str | None
    agent: str | None
    caller: str | None

    @asynccontextmanager
    async def open(self, *, new: bool = False) -> AsyncGenerator[MemoryBackend]:
        """The memory, open.

        Args:
            new: make one where there is none.
        """
        from codin.memory import open_memory

        url = self.url or f"sqlite:///{_file(new)}"
        backend = open_memory(url)
        if not new:
            _look(url)
        await backend.open()
        try:
            yield backend
        finally:
            await backend.close()

    def seen(self, backend: MemoryBackend, embedder: str) -> Memory:
        """The memory as the agent has it, for the caller or for all of them."""
        from codin.memory import Memory, Scope
        from codin.memory.embedders import embedder_of

        scope = Scope(self.tenant or "", self.agent or "", self.caller or "")
        return Memory(backend, scope, embedder=embedder_of(embedder))


def _look(url: str) -> None:
    """Whether the file is there that only `ingest` would make."""
    path = urlsplit(url).path.removeprefix("/")
    if url.startswith("sqlite:") and not Path(path).exists():
        raise ConfigError(f"there is no memory in {path!r}", hint="codin memory ingest PATH makes one")


def _file(new: bool) -> Path:
    """The memory beside the keys: in the nearest `.codin` from here upward that is ours, else in that of the home."""
    here = Path.cwd()
    folders = [place / ".codin" for place in (here, *here.parents)]
    folder = next((each for each in folders if each.is_dir() and each.stat().st_uid == os.geteuid()), None)
    folder = folder or Path.home() / ".codin"
    if new:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            hint = "--memory or CODIN_MEMORY names another place"
            raise ConfigError(f"{str(folder)!r} cannot be made: {error.strerror}", hint=hint) from None
    return folder / "memory.db"


def _place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which memory, and hand it one `place`."""

    @click.option(
        "--memory",
        "url",
        metavar="URL",
        envvar="CODIN_MEMORY",
        help="sqlite:///file.db, redis://… or postgresql://… Or: CODIN_MEMORY.  "
        "[default: the nearest .codin/memory.db; ~/.codin/memory.db]",
    )
    @click.option("--agent", metavar="ID", help="Of this agent.")
    @click.option("--caller", metavar="ID", help="Of this caller.")
    @click.option("--tenant", metavar="ID", help="Of this tenant.")
    @functools.wraps(command)
    def placed(
        *args: Any, url: str | None, tenant: str | None, agent: str | None, caller: str | None, **options: Any
    ) -> Any:
        return command(*args, place=_Place(url, tenant, agent, caller), **options)

    return placed


_embedder_option = click.option(
    "--embedder",
    metavar="NAME",
    default="hashing",
    show_default=True,
    envvar="CODIN_EMBEDDER",
    help="What makes vectors: hashing, minilm, openai:MODEL, openai:MODEL@URL, or none. Or: CODIN_EMBEDDER.",
)


@click.group(cls=OrderedGroup)
def memory() -> None:
    """What agents remember: put texts into it, search it, erase it.

    \b
    codin memory ingest docs/ --agent librarian
    codin memory search "when is low water" --agent librarian
    codin memory stats --by-caller
    codin memory forget --caller ada
    """


# -- ingest ------------------------------------------------------------------------------------------------------------


@memory.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_place_options
@_embedder_option
@click.option("--hidden", is_flag=True, help="Also files and folders whose names begin with a dot.")
@_json_option
def ingest(path: Path, place: _Place, embedder: str, hidden: bool, as_json: bool) -> int:
    """Read a file, or the files of a folder, so that they can be searched.

    Text, Markdown, HTML, source code, and PDF (pip install 'codin[pdf]'). Doing it again reads what has changed,
    and removes what is gone. Without --caller, all callers of the agent find it.

    \b
    codin memory ingest docs/
    codin memory ingest docs/ --agent librarian --embedder minilm
    codin memory ingest notes/ --agent clerk --caller ada
    """
    done = anyio.run(_ingest, path, place, embedder, hidden)
    if as_json:
        write(json.dumps(asdict(done), ensure_ascii=False) + "\n")
    else:
        _tell(done)
    return Exit.OK if done.added or done.changed or done.unchanged or not done.skipped else Exit.TASK


async def _ingest(path: Path, place: _Place, embedder: str, hidden: bool) -> Ingested:
    from codin.memory.retrieval import ingest

    async with place.open(new=True) as backend:
        seen = place.seen(backend, embedder)
        if not errors().is_terminal:
            return await ingest(seen, path, hidden=hidden)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=errors(), transient=True) as bar:
            return await ingest(seen, path, hidden=hidden, progress=_progress(bar))


def _progress(bar: Bar) -> Progress:
    task = bar.add_task("", total=None)

    def told(done: int, total: int, current: str) -> None:
        bar.update(task, completed=done, total=total, description=plain(current).replace("\n", " ")[-60:])

    return told


def _tell(done: Ingested) -> None:
    counts = {"added": done.added, "changed": done.changed, "unchanged": done.unchanged, "removed": done.removed}
    counts["skipped"] = len(done.skipped)
    write(", ".join(f"{count} {what}" for what, count in counts.items() if count) or "there is nothing to read")
    write(f"; {done.chunks} chunks written\n" if done.chunks else "\n")
    for style, pairs in (("yellow", done.skipped), ("dim", done.noted)):
        for name, why in pairs[:_LISTED]:
            say(f"{' '.join(name.split())}: {why}", style)
        if len(pairs) > _LISTED:
            say(f"and {len(pairs) - _LISTED} more; --json has all", style)


# -- search ------------------------------------------------------------------------------------------------------------


def _where(ctx: click.Context, param: click.Parameter, said: tuple[str, ...]) -> Mapping[str, Any]:
    """`page=3` is a number, `draft=true` a boolean, `page="3"` a text; everything else is a text, too."""
    where: dict[str, Any] = {}
    for each in said:
        key, sign, text = each.partition("=")
        if not sign or not key:
            raise click.BadParameter(f"{each!r} is no condition; write source=guide.md", ctx, param)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        where[key] = value if isinstance(value, str | int | float | bool) else text
    return where


@memory.command()
@click.argument("query", nargs=-1, required=True)
@_place_options
@_embedder_option
@click.option(
    "--how", type=click.Choice(["hybrid", "words", "vectors"]), help="[default: both, where there are vectors]"
)
@click.option("-k", "count", type=click.IntRange(1, 1000), default=5, show_default=True, help="At most so many.")
@click.option(
    "--where", callback=_where, multiple=True, metavar="KEY=VALUE", help="Only what has this, as source=guide.md."
)
@_json_option
def search(
    query: tuple[str, ...],
    place: _Place,
    embedder: str,
    how: How | None,
    count: int,
    where: Mapping[str, Any],
    as_json: bool,
) -> int:
    """Find what fits a question or some words, best first.

    With --caller, what all callers of the agent share is found as well. Use the embedder that has read the texts.

    \b
    codin memory search when is low water
    codin memory search tides -k 3 --where source=guide.md
    codin memory search tides --how words --json
    """
    hits = anyio.run(_search, " ".join(query), place, embedder, how, count, where)
    for number, hit in enumerate(hits, 1):
        if as_json:
            write(json.dumps(_fields(hit), ensure_ascii=False) + "\n")
        else:
            _show(number, hit)
    if not hits:
        say("nothing was found", "dim")
    return Exit.OK if hits else Exit.TASK


async def _search(
    query: str, place: _Place, embedder: str, how: How | None, count: int, where: Mapping[str, Any]
) -> Sequence[Hit]:
    async with place.open() as backend:
        return await place.seen(backend, embedder).records.search(query, count, how=how, where=where)


def _fields(hit: Hit) -> dict[str, Any]:
    from codin.memory.retrieval import citation, passage

    return {
        "citation": citation(hit),
        "score": hit.score,
        "shared": hit.shared,
        "id": hit.record.id,
        "text": passage(hit),
        "metadata": dict(hit.metadata),
    }


def _show(number: int, hit: Hit) -> None:
    from rich.text import Text

    from codin.memory.retrieval import citation, passage

    heading = str(hit.metadata.get("heading", ""))
    title = Text.assemble((plain(citation(hit)), "bold"), (f"  {hit.score:.3g}", "dim"))
    if heading:
        title.append(f"  {' '.join(plain(heading).split())}", "dim")
    show(title, label=f"{number}.", indent=4)
    words = " ".join(passage(hit).split())
    show(words if len(words) <= _SNIPPET else f"{words[: _SNIPPET - 1]}…", indent=4)


# -- forget, stats -----------------------------------------------------------------------------------------------------


@memory.command()
@_place_options
@click.option("--all", "everything", is_flag=True, help="All of the tenant.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
def forget(place: _Place, everything: bool, yes: bool, as_json: bool) -> int:
    """Erase all that is kept of a caller, an agent, or both: conversations, notes, records.

    \b
    codin memory forget --caller ada
    codin memory forget --agent librarian --yes
    """
    if place.agent is None and place.caller is None and not everything:
        raise click.UsageError("say what: --agent, --caller, or --all", click.get_current_context())
    if everything and not (place.agent is None and place.caller is None):
        raise click.UsageError("--all is everything: leave out --agent and --caller", click.get_current_context())
    if not yes:
        check_somebody("--yes erases what there is")
        _tabulate({"OF": [_whose(place)]}, [anyio.run(_stats, place)], errors())
        if not click.confirm("Erase it?", err=True):
            say("nothing was erased", "dim")
            return Exit.TASK
    gone = anyio.run(_forget, place)
    write(json.dumps({"erased": gone}) + "\n" if as_json else f"{gone} things were erased\n")
    return Exit.OK if gone else Exit.TASK


async def _forget(place: _Place) -> int:
    async with place.open() as backend:
        return await backend.forget(place.tenant or "", place.agent, place.caller)


@memory.command()
@_place_options
@click.option("--by-caller", is_flag=True, help="A line for each caller of each agent, of all tenants.")
@_json_option
def stats(place: _Place, by_caller: bool, as_json: bool) -> int:
    """Show how much is kept: of all, of an agent, of a caller.

    With --by-caller, it also says whom the memory knows, under the names that `forget` takes.

    \b
    codin memory stats --agent librarian
    codin memory stats --by-caller
    codin memory stats --by-caller --json
    """
    if by_caller:
        return _list(anyio.run(_stats_by_caller, place), as_json)
    found = anyio.run(_stats, place)
    if as_json:
        write(json.dumps(_numbers(found)) + "\n")
    else:
        _tabulate({"OF": [_whose(place)]}, [found], results())
    return Exit.OK


async def _stats(place: _Place) -> Stats:
    async with place.open() as backend:
        return await backend.stats(place.tenant or "", place.agent, place.caller)


async def _stats_by_caller(place: _Place) -> Mapping[Scope, Stats]:
    found: dict[Scope, Stats] = {}
    async with place.open() as backend:
        last = None
        while page := await backend.scopes(place.tenant, place.agent, place.caller, after=last):
            found.update([(scope, await backend.stats(*scope)) for scope in page])
            last = page[-1]
    return found


def _list(found: Mapping[Scope, Stats], as_json: bool) -> int:
    for scope, kept in found.items() if as_json else ():
        write(json.dumps({**scope._asdict(), **_numbers(kept)}, ensure_ascii=False) + "\n")
    if found and not as_json:
        names = {"TENANT": [scope.tenant for scope in found]} if any(scope.tenant for scope in found) else {}
        names["AGENT"] = [scope.agent or "(shared)" for scope in found]
        names["CALLER"] = [scope.caller or "(shared)" for scope in found]
        _tabulate(names, list(found.values()), results())
    if not found:
        say("nobody is known", "dim")
    return Exit.OK if found else Exit.TASK


def _numbers(kept: Stats) -> dict[str, Any]:
    return {**asdict(kept), "spaces": dict(kept.spaces)}


def _whose(place: _Place) -> str:
    said = {"tenant": place.tenant or None, "agent": place.agent, "caller": place.caller}
    return ", ".join(f"{what} {who or '(shared)'}" for what, who in said.items() if who is not None) or "all"


def _tabulate(names: Mapping[str, Sequence[str]], kept: Sequence[Stats], console: Console) -> None:
    """A line for each of what is kept, which begins with its names."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in (*names, "CONVERSATIONS", "MESSAGES", "NOTES", "RECORDS", "BLOBS", "VECTORS"):
        table.add_column(column, overflow="fold")
    for one, *whose in zip(kept, *names.values(), strict=True):
        spaces = (f"{space or 'none'}: {count}" for space, count in one.spaces.items())
        numbers = (one.contexts, one.utterances, one.notes, one.records, one.blobs)
        table.add_row(*(plain(name).replace("\n", "␊") for name in whose), *map(str, numbers), plain(", ".join(spaces)))
    console.print(table)

"""The sandbox of an agent: what it sees, what it may write, and what it may use."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from codin.cli._callers import CALLER_FILES
from codin.cli._manifest import NAME, Manifest, SandboxTable
from codin.cli.workspace._folder import AGENTS, STATE, TOOLS, Workspace
from codin.errors import ConfigError
from codin.mesh._nearby import runtime_folder

if TYPE_CHECKING:
    from codin.sandbox import Guarantee, Limits, Mount
    from codin.sandbox.local import LocalSandbox

__all__ = ["Room", "passed", "room_of"]

_MIB = 1024 * 1024
_PATIENCE = 60.0  # seconds; a cold disk is slow
# Certificates are no secret, and without them there is no connection to anybody.
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ALWAYS = ("HOME", "LANG", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "TZ", *_AUTHORITIES)
_SYSTEM = (Path("/usr"), Path("/etc/ssl/certs"), Path("/etc/pki"))  # what every sandbox sees
# Where an interpreter finds packages; of those that are installed to be edited, the folders of their projects.
_ASK = """
import json, os, sys
from urllib.parse import unquote, urlsplit
found = [place for place in sys.path if place]
for place in list(found):
    for name in os.listdir(place) if os.path.isdir(place) else ():
        try:
            with open(os.path.join(place, name, "direct_url.json"), encoding="utf-8") as file:
                said = json.load(file)
        except (OSError, ValueError):
            continue
        if said.get("dir_info", {}).get("editable"):
            found.append(unquote(urlsplit(said["url"]).path))
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What an agent is to be held by.

    Args:
        python: the interpreter, which is seen with its packages.
        seen: files and folders of this machine to read.
        written: those to write.
        table: what the manifest says.
        env: all of its environment.
        lacking: why there can be no sandbox for it, if so.
    """

    python: str
    seen: frozenset[Path]
    written: frozenset[Path]
    table: SandboxTable
    env: Mapping[str, str] = field(repr=False)
    lacking: str = ""

    @property
    def is_required(self) -> bool:
        return self.table.policy == "required"

    def sandbox(self) -> LocalSandbox:
        """The sandbox, not yet opened."""
        from codin.sandbox import Policy
        from codin.sandbox.local import LocalSandbox

        # What it writes, it writes on the host, where nothing bounds it.
        demands: frozenset[Guarantee] = Policy().demands - {"disk"} if self.is_required else frozenset()
        policy = Policy(limits=self._limits(), network="full", mounts=self._mounts(), env=self.env, demands=demands)
        # As who runs it: the files of an agent are theirs.
        return LocalSandbox(policy, python=self.python, uid=os.geteuid())

    def _limits(self) -> Limits:
        from dataclasses import replace

        from codin.sandbox.local import NO_LIMITS

        said = self.table
        limits = replace(NO_LIMITS, memory=said.memory * _MIB) if said.memory else NO_LIMITS
        limits = replace(limits, processes=said.processes) if said.processes else limits
        return replace(limits, cpu=said.cpu) if said.cpu else limits

    def _mounts(self) -> tuple[Mount, ...]:
        from codin.sandbox import Mount

        every = self.seen | self.written
        needed = [place for place in every if not _is_within(place, self.written if place in self.written else every)]
        needed.sort(key=lambda place: len(place.parts))  # a folder comes before what lies in it
        return tuple(Mount(source=place, writable=place in self.written) for place in needed)


def passed(env: Mapping[str, str], table: SandboxTable) -> Mapping[str, str]:
    """What of the environment is handed on: all, or what the manifest names."""
    if table.variables is None:
        return env
    names = {*table.variables, *_ALWAYS}
    return {name: value for name, value in env.items() if name in names or name.startswith(("CODIN_", "LC_"))}


def room_of(
    workspace: Workspace,
    folder: Path,
    manifest: Manifest,
    *,
    python: str,
    store: str,
    env: Mapping[str, str],
    signed: bool,
) -> Room | None:
    """What an agent is to be held by; None where its manifest says `off`.

    Args:
        python: its interpreter.
        store: where it keeps its tasks, as it is told.
        signed: it reads the keys.

    Raises:
        ConfigError: what is to be mounted is not there.
    """
    table = manifest.sandbox
    if table.policy == "off":
        return None
    env, notes = _with_notes(env)
    place = folder.resolve()
    seen = {*_of_workspace(workspace), *_of_trust(workspace, env, signed=signed), *_packages(python, env)}
    seen |= {place / named for key in CALLER_FILES if (named := getattr(manifest, key))}
    seen |= {Path(named) for name in _AUTHORITIES if (named := env.get(name)) and not _is_within(Path(named), _SYSTEM)}
    written = {place, *notes}
    for said in table.mounts:
        path, is_written = _mount(folder, said)
        (written if is_written else seen).add(path)
    kept = Path(store.partition(":///")[2]).parent if store.startswith("sqlite:") else place
    lacking = ""
    if _is_above_home(kept):
        lacking = f"its store is in {kept}, and it would see all of that"
    elif kept.is_dir():
        written.add(kept)
    seen, written = _unlinked(seen, seen | written), _unlinked(written, seen | written)
    return Room(python=python, seen=seen - written, written=written, table=table, env=env, lacking=lacking)


def _unlinked(places: Iterable[Path], every: Iterable[Path]) -> frozenset[Path]:
    """What is there of them, in its real place; and where a link leads to it that nothing else shows, there as well."""
    real = {place.resolve() for place in every}
    found = {place.absolute() for place in places if os.path.exists(place)}  # noqa: PTH110  none that may not be seen
    return frozenset({place.resolve() for place in found} | {place for place in found if not _is_within(place, real)})


def _is_within(place: Path, others: Iterable[Path]) -> bool:
    return any(place != other and place.is_relative_to(other) for other in others)


def _of_workspace(workspace: Workspace) -> Iterator[Path]:
    """The workspace; one that is a home, or has homes in it, is no reason to show them."""
    if not _is_above_home(workspace.folder):
        yield workspace.folder
    for name in (AGENTS, TOOLS):  # which may be links
        yield (workspace.folder / name).resolve()


def _of_trust(workspace: Workspace, env: Mapping[str, str], *, signed: bool) -> Iterator[Path]:
    """The keys, and what was approved, which agents read as `codin` does."""
    homes = [Path(env["HOME"])] if env.get("HOME") else []
    for folder in (workspace.folder, *workspace.folder.parents, *homes):
        # A file that is written anew is another one, which only who sees the folder sees.
        place = folder / STATE if signed else folder / STATE / "trust.json"
        if _is_ours(place):
            yield place
    if signed and (keys := env.get("CODIN_KEYS")):
        yield Path(keys).expanduser()
    if store := env.get("CODIN_TRUST_STORE"):
        yield Path(store).expanduser()


def _is_ours(place: Path) -> bool:
    """A folder above may be anybody's, such as /tmp, and what is there may lead anywhere."""
    try:
        return place.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def _with_notes(env: Mapping[str, str]) -> tuple[Mapping[str, str], list[Path]]:
    """The environment of the sandbox, and the folder where agents say to this user's programs that they are here."""
    env = {**{name: value for name, value in env.items() if name != "TMPDIR"}, "CODIN_SANDBOX": "local"}
    try:
        notes = runtime_folder(create=True).absolute()
    except (ConfigError, OSError):  # which an agent bears as well
        return env, []
    return {**env, "CODIN_RUNTIME": str(notes)}, [notes]


def _mount(folder: Path, said: str) -> tuple[Path, bool]:
    named = said.removesuffix(":rw")
    path = Path(os.path.abspath(folder.resolve() / Path(named).expanduser()))  # noqa: PTH100  a link stays one
    if not path.exists():
        hint = "it is a path from the agent's folder"
        raise ConfigError(f"{folder / NAME}: sandbox.mounts names what is not there: {path}", hint=hint)
    return path, named != said


def _packages(python: str, env: Mapping[str, str]) -> Iterator[Path]:
    for named in _paths(python, env.get("PYTHONPATH", "")):
        path = Path(named)
        if path.is_absolute() and not _is_within(path, _SYSTEM) and not _is_above_home(path):
            yield path


@cache
def _paths(python: str, given: str) -> tuple[str, ...]:
    """Where an interpreter finds packages. What it cannot say, it says when the agent is started."""
    env = {**os.environ, "PYTHONPATH": given}
    try:
        asked = subprocess.run(
            [python, "-P", "-c", _ASK], capture_output=True, check=True, timeout=_PATIENCE, env=env, cwd="/"
        )
        return tuple(map(str, json.loads(asked.stdout)))
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def _is_above_home(folder: Path) -> bool:
    """Whether who sees a folder sees all of the home."""
    home = os.environ.get("HOME")
    return bool(home) and Path(home).resolve().is_relative_to(folder.resolve())

"""A folder as a target: its `agent.toml` says what is served, to whom, by what, and how `codin up` runs it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from codin.cli._bounds import BOUND_OPTIONS, check_limit, flat_limits
from codin.cli._callers import CALLER_FILES, CALLER_OPTIONS
from codin.cli._memory_options import MEMORY_OPTIONS
from codin.cli._spoken import SPOKEN_OPTIONS, Binding, Push, Version
from codin.cli._tool_options import TOOL_OPTIONS
from codin.errors import ConfigError

__all__ = ["NAME", "SERVED_KEYS", "Manifest", "SandboxTable", "Served", "read_folders", "read_manifest", "settings_of"]

NAME = "agent.toml"

SERVED_KEYS = (*SPOKEN_OPTIONS, *CALLER_OPTIONS, *MEMORY_OPTIONS, *TOOL_OPTIONS, *BOUND_OPTIONS)
"""Those that are options of `codin serve` too, by their names in Python."""

Port = Annotated[int, Field(ge=0, le=65535)]
Text = Annotated[str, StringConstraints(min_length=1)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_REFERENCE = re.compile(r"(env|file):.+", re.DOTALL)
_STORE = re.compile(r"memory://|sqlite:///.+")
_REPLICA = "{replica}"
_FILE = re.compile(r"[^\s\x00-\x1f]{1,100}\.[a-z]{1,5}")  # the name of a file, and no token
_WORDS = {  # pydantic speaks to programmers
    "string_type": "is text",
    "string_too_short": "is text, and not empty",
    "int_type": "is a whole number",
    "is_instance_of": "is a list of text",
    "sequence_str": "is a list of text",
    "too_short": "is an empty list",
    "model_type": "is a word or a table",
    "float_type": "is a number",
    "dict_type": "is a table of names and values",
    "string_pattern_mismatch": "is no name of an environment variable",
}


class ToolTable(BaseModel):
    """What a table `[tools.NAME]` says of one tool of the agent.

    Args:
        sandbox: whether it runs in a sandbox, in place of what the tool says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sandbox: Literal["required", "preferred", "off"] | None = None


class SandboxTable(BaseModel):
    """What a table `[sandbox]` says of the process of the agent; a word in its place is its `policy`.

    Args:
        policy: whether it runs in a sandbox.
        mounts: files and folders of this machine that it sees beside what every agent does, as paths from the folder;
            with `:rw` behind it, one that it writes.
        variables: names of the environment variables that are handed on to it; all when not given.
        memory: MiB, of all its processes together.
        processes: at one time, threads counted.
        cpu: cores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    policy: Literal["required", "preferred", "off"] = "preferred"
    mounts: Sequence[Text] = ()
    variables: Sequence[Variable] | None = None
    memory: Annotated[int, Field(ge=16)] | None = None
    processes: Annotated[int, Field(ge=1)] | None = None
    cpu: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_word(cls, said: object) -> object:
        return {"policy": said} if isinstance(said, str) else said


class Manifest(BaseModel):
    """What an `agent.toml` says; every key may be missing.

    Args:
        target: a file, or `file.py:name`, in the folder.
        python: the interpreter, as a path from the folder, or a command.
        env: further variables of its environment.
        secrets: variables whose values stand elsewhere: `env:NAME`, or `file:PATH` from the folder.
        port: of the first replica, the others take the next ones; 0 takes free ones.
        replicas: how many processes.
        store: where tasks are kept, as `codin serve --store`; a path is one from the folder, and may hold {replica}.
        bindings: what is spoken, as `codin serve --binding`; what follows are options of it, too.
        versions: of the protocol, as `--protocol-version`.
        push: where notifications may go.
        grpc_port: of the first replica, the others take the next ones; 0 takes free ones; None speaks no gRPC.
        callers: who may call. Files, here and below, are paths from the folder.
        token_file: the bearer tokens of callers.
        api_key_file: their API keys.
        oidc_issuer: whose tokens are taken as well.
        oidc_audience: whom those have to be for.
        access: the scopes that each agent, skill and tool needs.
        memory: where it remembers, as `codin serve --memory`; a path is one from the folder. One with a password is
            given as CODIN_MEMORY, by `secrets`.
        embedder: as `codin serve --embedder`.
        sandbox: what holds its process when `codin up` starts it.
        tools: by the names of the agent's tools.
        limits: as `codin serve --limit`, by the same names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    target: Text = "agent.py"
    python: Text | None = None
    env: Mapping[Variable, str] = Field(default_factory=dict[str, str])
    secrets: Mapping[Variable, Text] = Field(default_factory=dict[str, str])
    port: Port = 0
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    store: Text = "memory://"
    bindings: Annotated[Sequence[Binding], Field(min_length=1)] | None = None
    versions: Annotated[Sequence[Version], Field(min_length=1)] | None = None
    push: Push | None = None
    grpc_port: Port | None = None
    callers: Literal["any", "known"] | None = None
    token_file: Text | None = None
    api_key_file: Text | None = None
    oidc_issuer: Text | None = None
    oidc_audience: Text | None = None
    access: Text | None = None
    memory: Text | None = None
    embedder: Text | None = None
    sandbox: SandboxTable = SandboxTable()
    tools: Mapping[Text, ToolTable] = Field(default_factory=dict[str, ToolTable])
    limits: Mapping[str, Any] = Field(default_factory=dict[str, Any])

    @property
    def tool_sandbox(self) -> tuple[str, ...] | None:
        """As it is typed."""
        return tuple(f"{name}={said.sandbox}" for name, said in self.tools.items() if said.sandbox) or None

    @property
    def limit(self) -> tuple[str, ...] | None:
        """As it is typed."""
        return tuple(f"{name}={value}" for name, value in flat_limits(self.limits)) or None


class Served(NamedTuple):
    """What targets stand for, of which some may be folders.

    Args:
        targets: files and modules.
        python: the interpreter; None for this one.
        settings: the options of `codin serve` that say what is spoken and who may call, by their names in Python.
    """

    targets: tuple[str, ...]
    python: str | None
    settings: Mapping[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """What the manifest of a folder says; without one, every key has its default.

    Raises:
        ConfigError: it cannot be read, or a key is wrong; the text names the key, and never a value.
    """
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
        found: dict[str, Any] = tomllib.loads(text)
    except FileNotFoundError:
        return Manifest()
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        manifest = Manifest.model_validate(found)
    except ValidationError as error:
        raise _wrong(path, error) from None
    _check(path, manifest)
    _check_limits(path, manifest, text)
    return manifest


def settings_of(folder: Path, manifest: Manifest, given: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """What a manifest says of what is spoken and who may call, as options of `codin serve` by their names in Python.

    Args:
        given: takes the place of what the manifest says; of limits, those by the same names.

    Raises:
        ConfigError: a file is not there.
    """
    given = dict(given or {})
    if manifest.limit and "limit" in given:
        given["limit"] = (*manifest.limit, *given["limit"])
    wanted = [name for name in SERVED_KEYS if name not in given]
    said: dict[str, Any] = {name: value for name in wanted if (value := getattr(manifest, name)) is not None}
    for name in said.keys() & set(CALLER_FILES):
        said[name] = _file(folder, name, said[name])
    if "memory" in said:
        said["memory"] = _at_folder(folder, said["memory"])
    for name in said.keys() & {"bindings", "versions"}:
        said[name] = tuple(said[name])  # as they are when they are typed
    return {**said, **given}


def _at_folder(folder: Path, url: str) -> str:
    """A URL whose path, if it has a file's, is one from the folder."""
    kind, slashes, place = url.partition(":///")
    return f"{kind}:///{folder.resolve() / place}" if kind == "sqlite" and slashes else url


def _file(folder: Path, key: str, named: str) -> str:
    path = folder.resolve() / named
    if not path.is_file():
        # What is not like the name of a file is not repeated: it may be a secret that somebody has put there.
        shown = f": {named}" if key == "access" or _FILE.fullmatch(named) else ""
        raise ConfigError(f"{folder / NAME}: {key} names no file{shown}", hint="it is a path from the agent's folder")
    return str(path)


def read_folders(targets: Sequence[str], python: str | None, given: Mapping[str, Any] | None = None) -> Served:
    """The targets with what stands for each folder. A folder without a manifest stands for the `agent.py` in it.

    Args:
        python: takes the place of the interpreter that manifests name.
        given: takes the place of what manifests say to `codin serve`.

    Raises:
        ConfigError: a manifest cannot be read, or two of them do not go together.
    """
    found: list[str] = []
    wanted: dict[str | None, str] = {}
    settings: dict[str, Mapping[str, Any]] = {}
    for target in targets:
        folder = Path(target)
        if not folder.is_dir():
            found.append(target)
            wanted.setdefault(None, target)
            settings[target] = given or {}
            continue
        manifest = read_manifest(folder)
        found.append(str(folder / manifest.target))
        settings[target] = settings_of(folder, manifest, given)
        named = manifest.python
        # A link is not resolved: by the place where it stands a virtual environment is known.
        wanted.setdefault(str(folder / named) if named and "/" in named else named, target)
    if python is None and len(wanted) > 1:
        hint = "serve each with a command of its own, or choose one with --python"
        raise ConfigError(f"{' and '.join(wanted.values())} are not for the same interpreter", hint=hint)
    first, *others = settings.values()
    differs = [key for key in SERVED_KEYS if any(each.get(key) != first.get(key) for each in others)]
    if differs:
        words = "who may call" if differs[0] in CALLER_OPTIONS else differs[0]
        hint = "serve each with a command of its own"
        raise ConfigError(f"{' and '.join(settings)} do not say the same of {words}", hint=hint)
    return Served(tuple(found), python or next(iter(wanted), None), first)


def _wrong(path: Path, error: ValidationError) -> ConfigError:
    """The first thing that is wrong, by its key. What stands there may be a secret and is not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(str(step) for step in first["loc"] if step != "[key]")
    if first["type"] == "extra_forbidden":
        tables = {"tools": ("a tool", ToolTable), "sandbox": ("it", SandboxTable)}
        what, table = tables[str(first["loc"][0])] if len(first["loc"]) > 1 else ("it", Manifest)
        return ConfigError(f"{path} has no key {key!r}", hint=f"{what} may have {', '.join(table.model_fields)}")
    return ConfigError(f"{path}: {key} {_WORDS.get(first['type'], 'is wrong: ' + first['msg'])}")


def _check(path: Path, manifest: Manifest) -> None:
    """What one key says of another, and what only the words of a value show."""
    for name, reference in manifest.secrets.items():
        if name in manifest.env:
            raise ConfigError(f"{path}: {name} is both in env and in secrets", hint="a secret stands in secrets only")
        if not _REFERENCE.fullmatch(reference):
            hint = 'write "env:NAME" or "file:PATH"; a value itself has no place in a manifest'
            raise ConfigError(f"{path}: secrets.{name} is no reference", hint=hint)
    if manifest.memory is not None and "@" in manifest.memory:
        hint = 'secrets.CODIN_MEMORY = "env:NAME", or "file:PATH"'
        raise ConfigError(f"{path}: memory has a user or a password in it, which has no place in a manifest", hint=hint)
    if not _STORE.fullmatch(manifest.store):
        raise ConfigError(f"{path}: store is none", hint="write memory:// or sqlite:///file.db")
    if manifest.replicas > 1 and manifest.store.startswith("sqlite:") and _REPLICA not in manifest.store:
        hint = f"give each a file of its own: sqlite:///tasks-{_REPLICA}.db"
        raise ConfigError(f"{path}: store is one file, and replicas are {manifest.replicas}", hint=hint)
    if (manifest.oidc_issuer is None) != (manifest.oidc_audience is None):
        hint = "the audience is what the issuer calls this server"
        raise ConfigError(f"{path}: oidc_issuer and oidc_audience go together", hint=hint)
    _check_ports(path, manifest)


def _check_ports(path: Path, manifest: Manifest) -> None:
    ports = {"port": manifest.port, "grpc_port": manifest.grpc_port}
    for name, port in ports.items():
        if port and port + manifest.replicas > 65536:
            raise ConfigError(f"{path}: {name} leaves no room for {manifest.replicas} replicas")
    if manifest.port and manifest.grpc_port and abs(manifest.port - manifest.grpc_port) < manifest.replicas:
        raise ConfigError(f"{path}: port and grpc_port are too close for {manifest.replicas} replicas")


def _check_limits(path: Path, manifest: Manifest, text: str) -> None:
    for name, value in flat_limits(manifest.limits):
        try:
            check_limit(name, value)
        except ConfigError as error:
            words = f"{path}, line {_line_of(name, text)}: limits: {error.message}"
            raise ConfigError(words, hint=error.hint) from None


def _line_of(limit: str, text: str) -> int:
    """Where it is, or else where the limits begin: TOML has many ways to write it."""
    start = re.search(r"^[ \t]*\[?[ \t]*limits\b", text, re.MULTILINE)
    begin = start.start() if start else 0
    key = re.compile(rf"^[^#\n]*\b{re.escape(limit.rpartition('.')[2])}\b[\"' \t]*=", re.MULTILINE)
    found = key.search(text, begin)
    return text.count("\n", 0, found.start() if found else begin) + 1

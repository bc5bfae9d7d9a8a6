"""Which tools there are, by name and version, and who may see them."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from codin.errors import ConfigError, UnknownTool
from codin.tool._function import FunctionTool
from codin.tool._json_schema import JsonSchema, SchemaBroken
from codin.tool._protocol import Tool, ToolSpec, checked_name, checked_version, kind_of
from codin.tool._workspace import Broken, tools_of_folder
from codin.trust import Caller

__all__ = ["Listed", "ToolRegistry"]

_logger = logging.getLogger("codin.tool")
_GROUP = "codin.tools"
_MARKED, _MENTIONED = 3, 1  # a word of a name or tag weighs more than one of a description
_MOST = 100  # tools that a search gives at most
_SHOWN = 10  # names, when one is not known
_LONGEST = 64  # letters of an unknown name in a message
_RELEASE = re.compile(r"v?([\d.]*)-?(.*)")  # 1.2.0-rc.1, 1.2.0rc1, 1.2.0.post1
_PART = re.compile(r"\d+|[A-Za-z]+")
_WORD = re.compile(r"[^\W_]+")
_SHORTEST = 4  # of a word that others may go on from: "echo" and "echoes"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Listed:
    """A tool in a registry, with what was read of it when it was added.

    Attributes:
        origin: where it is from, for a message.
        foreign: it is from an installed package: nobody here has written it.
    """

    name: str
    spec: ToolSpec
    tool: Tool
    origin: str
    foreign: bool = False

    def open_to(self, callers: Iterable[Caller]) -> bool:
        """Whether each of them has the tool's scopes."""
        scopes = self.spec.scopes
        return not scopes or all(caller.scopes.issuperset(scopes) for caller in callers)


class ToolRegistry:
    """Tools by name and version.

    A tool is asked for as `name`, which gives the newest version, or as `name@version`. A pre-release is older than any
    release. With callers, only what the scopes of each of them allow is there; the rest is unknown, and nothing tells
    it from what does not exist.

    Raises:
        ConfigError: two of the tools have one name and version, or one of them is no tool.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, dict[str, Listed]] = {}  # by name and version, the newest first
        self.add(*tools)

    def __len__(self) -> int:
        return sum(map(len, self._tools.values()))

    def __iter__(self) -> Iterator[Tool]:
        """Every tool in every version, whoever may use it."""
        return (listed.tool for versions in self._tools.values() for listed in versions.values())

    # -- what is there -------------------------------------------------------------------------------------------------

    def add(self, *tools: Tool) -> None:
        """Add tools: all of them, or none.

        Raises:
            ConfigError: a name and version is there already; the text names both tools. Or one is no tool.
        """
        self._add([_listed(tool, "") for tool in tools])

    def add_folder(self, folder: str | Path | None = None, *, broken: Broken | None = None) -> None:
        """Add what the files of a folder make; without one, the tools of the workspace that this process belongs to.

        Args:
            broken: takes the error of what cannot be added, and the others are; without it none is, and it is raised.

        Raises:
            ConfigError: a file cannot be imported, or a name is taken.
        """
        found = tools_of_folder(folder, broken)
        self._add_each([partial(_of_file, tool, path) for tool, path in found], broken)

    def add_installed(self, *, broken: Broken | None = None) -> None:
        """Add the tools of installed packages: an entry point of the group `codin.tools` is a tool, or several.

        Whatever they say themselves, they run in a sandbox only, unless whoever runs them says otherwise.

        Args:
            broken: takes the error of an entry point that cannot be added, and the others are; without it none is, and
                it is raised.

        Raises:
            ConfigError: one cannot be imported, or a name is taken.
        """
        points = sorted(entry_points(group=_GROUP), key=lambda point: point.name)
        self._add_each([partial(_of_package, point) for point in points], broken)

    def remove(self, name: str) -> None:
        """Take a tool out: all its versions, or one, by `name@version`.

        Raises:
            UnknownTool: it is not there.
        """
        listed = self.find(name)
        plain, _, version = name.partition("@")
        if version:
            del self._tools[plain][listed.spec.version]
        if not version or not self._tools[plain]:
            del self._tools[plain]

    def _add_each(self, sources: Iterable[Callable[[], Sequence[Listed]]], broken: Broken | None) -> None:
        before = dict(self._tools)
        for source in sources:
            try:
                self._add(source())
            except ConfigError as error:
                if broken is None:
                    self._tools = before
                    raise
                broken(error)

    def _add(self, tools: Sequence[Listed]) -> None:
        added: dict[str, dict[str, Listed]] = {}
        for each in tools:
            version = each.spec.version
            there = added.setdefault(each.name, dict(self._tools.get(each.name, {})))
            if (other := there.get(version)) is not None:
                if other.tool is each.tool:
                    continue
                raise ConfigError(
                    f"two tools are called {each.name!r} in version {version!r}: {other.origin} and {each.origin}",
                    hint="give one of them another name or version",
                )
            there[version] = each
        for name, versions in added.items():
            newest_first = sorted(versions.items(), key=lambda item: _age(item[0]), reverse=True)
            self._tools[name] = dict(newest_first)

    # -- who sees it ---------------------------------------------------------------------------------------------------

    def get(self, name: str, *callers: Caller) -> Tool:
        """The tool by that name, or `name@version`.

        Raises:
            UnknownTool: there is none, for these callers.
        """
        return self.find(name, *callers).tool

    def find(self, name: str, *callers: Caller) -> Listed:
        """The same, with what was read of it."""
        plain, _, version = name.partition("@")
        for listed in self._tools.get(plain, {}).values():
            if (not version or listed.spec.version == version) and listed.open_to(callers):
                return listed
        raise self._unknown(name, callers)

    def list(self, *callers: Caller) -> Sequence[Tool]:
        """The newest version of each tool that these callers may use, by name."""
        return [listed.tool for listed in self._open(callers)]

    def search(self, words: str, *callers: Caller, limit: int = 10) -> Sequence[Tool]:
        """The tools with these words in name, tags or description, the best first; all of them for no words.

        Args:
            limit: how many at most; never more than 100.
        """
        wanted = set(_words(words))
        scores = [(_score(listed, wanted), listed) for listed in self._open(callers)]
        best = sorted((each for each in scores if each[0] or not wanted), key=lambda each: -each[0])
        return [listed.tool for _, listed in best[: max(0, min(limit, _MOST))]]

    def _open(self, callers: Sequence[Caller]) -> Iterator[Listed]:
        for name in sorted(self._tools):
            listed = next((each for each in self._tools[name].values() if each.open_to(callers)), None)
            if listed is not None:
                yield listed

    def _unknown(self, name: str, callers: Sequence[Caller]) -> UnknownTool:
        names = [listed.name for listed in self._open(callers)]
        plain = name[:_LONGEST].partition("@")[0]
        near = difflib.get_close_matches(plain, names, 3)
        if plain in names:  # and so it is the version that is not there
            known = [each.spec.version for each in self._tools[plain].values() if each.open_to(callers)]
            hint = f"there is {plain!r} in {', '.join(known[:_SHOWN])}" + (" and others" if known[_SHOWN:] else "")
        elif near:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        elif names:
            hint = f"there are {', '.join(names[:_SHOWN])}" + (" and others" if len(names) > _SHOWN else "")
        else:
            hint = "there are no tools here"
        return UnknownTool(f"there is no tool {name[:_LONGEST]!r}", tool=name[:_LONGEST], hint=hint)


def _of_file(tool: Tool, path: Path) -> Sequence[Listed]:
    return [_listed(tool, str(path))]


def _of_package(point: EntryPoint) -> Sequence[Listed]:
    """What an entry point names. Raises ConfigError, which says whose it is."""
    owner = point.dist.name if point.dist is not None else ""
    package = f" of the package {owner!r}" if owner else ""
    try:
        made: Any = point.load()
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"the tools {point.name!r} ({point.value}){package} cannot be imported: {type(error).__name__}: {error}",
            hint=f"pip uninstall {owner}, or another version of it" if owner else None,
        ) from error
    tools = cast("Iterable[Any]", made) if isinstance(made, Iterable) else [made]
    origin = f"entry point {point.name!r} ({point.value}){package}"
    return [replace(_listed(tool, origin), foreign=True) for tool in tools]


def _listed(tool: Any, origin: str) -> Listed:
    """What a tool says of itself. Raises ConfigError when it is none."""
    if inspect.isclass(tool) or not isinstance(tool, Tool):
        hint = "decorate it with @tool" if callable(tool) and not inspect.isclass(tool) else "see codin.tool.Tool"
        raise ConfigError(f"{kind_of(tool)}{_from(origin)} is no tool", hint=hint)
    if _unbound(tool):
        raise ConfigError(f"{tool!r}{_from(origin)} is a method without its instance", hint="add instance.method")
    _check_told(tool, origin)
    return Listed(tool.name, tool.spec, tool, f"{tool!r}{_from(origin)}")


def _check_told(tool: Tool, origin: str) -> None:
    """See to what a tool says of itself, while whoever wrote it is there to mend it.

    Raises ConfigError, which names the field.

    Codin's own adapters repeat what a server or a framework says of its tools: one that is broken fails when it is
    called, and the others of that server are of use.
    """
    name, spec = tool.name, tool.spec
    if type(tool).__module__.partition(".")[0] == "codin":
        if not name or "@" in name:
            raise ConfigError(f"{name!r} cannot be the name of a tool: {tool!r}{_from(origin)}")
        return
    label = repr(checked_name(name)) + _from(origin)
    if not isinstance(cast("Any", spec), ToolSpec):
        raise ConfigError(f"the spec of {label} is no ToolSpec, but {type(spec).__name__!r}")
    checked_version(spec.version, label)
    if not isinstance(cast("Any", spec.description), str):
        raise ConfigError(f"the description of {label} is no text")
    for field in ("input_schema", "output_schema"):
        schema: Any = getattr(spec, field)
        if schema is not None or field == "input_schema":
            _check_schema(schema, f"{field} of {label}", is_input=field == "input_schema")


def _check_schema(schema: Any, label: str, *, is_input: bool) -> None:
    if not isinstance(schema, Mapping):
        raise ConfigError(f"the {label} is no JSON Schema, but {type(schema).__name__!r}")
    told = cast("Mapping[str, Any]", schema)
    try:
        read = JsonSchema(told)
    except SchemaBroken as broken:
        raise ConfigError(f"the {label} is of no use: {broken}") from None
    kind: Any = told.get("type", "object")
    if is_input and "object" not in ([kind] if isinstance(kind, str) else kind):
        raise ConfigError(f"the {label} has the type {kind!r}", hint="arguments have names: it has to be 'object'")
    for pattern in read.unchecked:
        _logger.warning("the %s has the pattern %r, which is not checked: it looks around or back", label, pattern)


def _unbound(tool: object) -> bool:
    return isinstance(tool, FunctionTool) and tool.unbound


def _from(origin: str) -> str:
    return f" in {origin}" if origin else ""


def _age(version: str) -> tuple[bool, Sequence[int], Sequence[tuple[bool, int, str]]]:
    """What versions are ordered by: whether it is a release, then numbers, then what it is called beside that."""
    release, beside = _RELEASE.findall(version.partition("+")[0])[0]
    named = [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _PART.findall(beside)
    ]  # SemVer 11.4
    return not beside or beside.startswith("post"), [int(number) for number in re.findall(r"\d+", release)], named


def _words(text: str) -> Iterator[str]:
    return (word.casefold() for word in _WORD.findall(text))


def _score(listed: Listed, wanted: Iterable[str]) -> int:
    marked = set(_words(" ".join((listed.name, *listed.spec.tags))))
    mentioned = set(_words(listed.spec.description))
    score = 0
    for word in wanted:
        if any(_same(word, known) for known in marked):
            score += _MARKED
        elif any(_same(word, known) for known in mentioned):
            score += _MENTIONED
    return score


def _same(one: str, other: str) -> bool:
    longer = min(len(one), len(other)) >= _SHORTEST
    return one == other or (longer and (one.startswith(other) or other.startswith(one)))

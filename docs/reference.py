"""Writes docs/reference.md from `__all__`, signatures and the first lines of docstrings: `python docs/reference.py`.

A test compares the file with what this gives, so a public name that is new, gone or changed is seen.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = (
    "codin",
    "codin.agent",
    "codin.agent.adapters",
    "codin.agent.adapters.adk",
    "codin.agent.adapters.agno",
    "codin.agent.adapters.langchain",
    "codin.agent.adapters.langgraph",
    "codin.agent.adapters.mcp",
    "codin.agent.adapters.openai_agents",
    "codin.agent.adapters.pydantic_ai",
    "codin.agent.adapters.remote",
    "codin.agent.coordination",
    "codin.mesh",
    "codin.mesh.registry",
    "codin.task",
    "codin.task.stores",
    "codin.task.stores.memory",
    "codin.task.stores.sqlite",
    "codin.server",
    "codin.server.webhook",
    "codin.client",
    "codin.net",
    "codin.server.ray",
    "codin.tool",
    "codin.tool.openapi",
    "codin.tool.ready",
    "codin.memory",
    "codin.memory.backends",
    "codin.memory.backends.memory",
    "codin.memory.backends.postgres",
    "codin.memory.backends.redis",
    "codin.memory.backends.sqlite",
    "codin.memory.embedders",
    "codin.memory.embedders.hashing",
    "codin.memory.embedders.minilm",
    "codin.memory.embedders.openai",
    "codin.memory.retrieval",
    "codin.runtime",
    "codin.runtime.daytona",
    "codin.runtime.docker",
    "codin.runtime.http",
    "codin.runtime.kubernetes",
    "codin.runtime.local",
    "codin.runtime.omni",
    "codin.runtime.ray",
    "codin.sandbox",
    "codin.sandbox.daytona",
    "codin.sandbox.docker",
    "codin.sandbox.e2b",
    "codin.sandbox.local",
    "codin.sandbox.wasm",
    "codin.telemetry",
    "codin.trust",
    "codin.a2a",
    "codin.a2a.v03",
    "codin.errors",
    "codin.cli",
    "codin.testing",
    "codin.testing.adapter_laws",
    "codin.testing.model",
    "codin.testing.plugin",
)
_HEAD = """\
# Reference

```python
import codin

help(codin.connect)
```

Every public name, with the first sentence of its docstring; `help(name)` shows the rest: arguments with units, errors,
sources. What is public, and what that promises, is in [VERSIONING.md](../VERSIONING.md). The pages by subject are in
the [README](../README.md#read-on). This page is written by `docs/reference.py`.
"""


def reference() -> str:
    """The page."""
    return "\n".join([_HEAD, *(line for name in PACKAGES for line in _section(import_module(name)))])


def _section(module: ModuleType) -> Iterator[str]:
    yield f"## {module.__name__}\n"
    yield f"{_first(inspect.getdoc(module))}\n"
    elsewhere: dict[str, list[str]] = {}
    rows: list[str] = []
    for name in module.__all__:
        home = _home(getattr(module, name), module)
        if home == module.__name__:
            rows += _rows(name, getattr(module, name), home)
        else:
            elsewhere.setdefault(home, []).append(name)
    for home, names in elsewhere.items():
        yield f"From [{home}](#{home.replace('.', '')}): {', '.join(f'`{name}`' for name in names)}.\n"
    if rows:
        yield from ("| name | |", "|---|---|", *rows, "")


def _home(value: object, module: ModuleType) -> str:
    """The highest public package that has the value as its own."""
    if inspect.ismodule(value):
        return value.__name__
    written = getattr(value, "__module__", None) or ""
    if not written.startswith("codin") or not (inspect.isclass(value) or inspect.isfunction(value)):
        return module.__name__
    public = written.split("._")[0]
    above = public.rpartition(".")[0]
    if above in PACKAGES and above != "codin" and value in vars(import_module(above)).values():
        return above
    return public


def _rows(name: str, value: Any, home: str) -> Iterator[str]:
    if inspect.isclass(value):
        yield _row(f"{name}{_constructor(value)}", _about_class(value))
        for member, about in _members(value):
            yield _row(f"{name}.{member}", about)
    elif inspect.isfunction(value):
        yield _row(f"{name}{_parameters(value)}", _first(inspect.getdoc(value)))
    else:
        yield _row(name, _about_constant(name, home))


def _row(name: str, about: str) -> str:
    return f"| `{name}` | {about.replace('|', chr(92) + '|')} |"


def _about_class(cls: Any) -> str:
    about = _first(cls.__doc__)
    if issubclass(cls, enum.Enum):
        return f"{about} {', '.join(f'`{member}`' for member in cls.__members__)}"
    fields = getattr(cls, "model_fields", None) or getattr(cls, "_fields", None)
    names = [field.alias if name.endswith("_or_absent") else name for name, field in _items(fields)]
    return f"{about} Fields: {', '.join(f'`{name}`' for name in names)}" if names else about


def _items(fields: Any) -> list[tuple[str, Any]]:
    return list(fields.items()) if hasattr(fields, "items") else [(name, None) for name in fields or ()]


def _members(cls: Any) -> Iterator[tuple[str, str]]:
    """Attributes that the docstring tells of, then properties and methods with a docstring, as they are written."""
    if not hasattr(cls, "model_fields"):
        yield from _told(cls.__doc__ or "", "Attributes")
        if is_dataclass(cls):
            yield from _told(cls.__doc__ or "", "Args")
    members: dict[str, Any] = dict(vars(cls))
    for name, member in members.items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            if member.fget.__doc__ or getattr(cls, "_is_protocol", False):
                yield name, _first(member.fget.__doc__)
            continue
        function: Any = getattr(member, "__func__", member)  # below classmethod and staticmethod
        if inspect.isfunction(function) and function.__doc__:
            yield f"{name}{_parameters(function)}", _first(function.__doc__)


def _told(doc: str, section: str) -> Iterator[tuple[str, str]]:
    """The entries of a section of a docstring."""
    text = inspect.cleandoc(doc).partition(f"\n{section}:\n")[2].partition("\n\n")[0]
    for entry in re.findall(r"^ {4}(\w+(?:, \w+)*): ((?:.+)(?:\n {5,}.+)*)", text, re.MULTILINE):
        yield entry[0], _first(entry[1])


def _constructor(cls: Any) -> str:
    """Its parameters, where it is written here and meant to be made by users."""
    made_here = "__init__" in vars(cls) and not getattr(cls, "_is_protocol", False)
    if not made_here or issubclass(cls, BaseException) or hasattr(cls, "model_fields"):
        return ""
    if is_dataclass(cls) and "\nArgs:\n" not in inspect.cleandoc(cls.__doc__ or ""):
        return ""  # what is given, and not made
    return _parameters(cls.__init__)


def _parameters(function: Any) -> str:
    shown: list[str] = []
    keyword_only = False
    for name, parameter in inspect.signature(function).parameters.items():
        if name in {"self", "cls"}:
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            shown.append("*")
        keyword_only = keyword_only or parameter.kind is parameter.VAR_POSITIONAL
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = parameter.default
        if default is parameter.empty:
            shown.append(f"{stars}{name}")
        else:
            simple = default is None or isinstance(default, (bool, int, float, str, tuple))
            shown.append(f"{name}={default!r}" if simple else f"{name}=…")
    return f"({', '.join(shown)})"


def _about_constant(name: str, home: str) -> str:
    """What stands below an assignment, or else what is assigned."""
    for module in [module for key, module in sys.modules.items() if key.startswith(home)]:
        body = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
        for statement, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign):
                target, value = statement.target, statement.value
            elif isinstance(statement, ast.Assign):
                target, value = statement.targets[0], statement.value
            else:
                continue
            if isinstance(target, ast.Name) and target.id == name and value is not None:
                match after:
                    case ast.Expr(value=ast.Constant(value=str(about))):
                        return _first(about)
                    case _:
                        return f"`{ast.unparse(value)}`" if not isinstance(value, ast.Dict) else "By name."
    raise LookupError(f"{name!r} is public, and nothing tells what it is")


def _first(doc: str | None) -> str:
    """The first sentence of a docstring."""
    paragraph = " ".join(inspect.cleandoc(doc or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z])", paragraph)[0]


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(reference(), encoding="utf-8")

"""What is public is what `__all__` says, in every public module, and no submodule hides behind an exported name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

import codin


def _public_modules() -> Iterator[str]:
    """Every module with no leading underscore on its path, found as a file: what does not import fails its own test."""
    root = Path(codin.__file__).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            name = ".".join(parts)
            # CrewAI has an environment of its own, with a test like these.
            if name != "codin.agent.adapters.crewai" or find_spec("crewai") is not None:
                yield name


MODULES = list(_public_modules())


def _promised(module: ModuleType) -> set[str]:
    """The public names its source defines, and in a package also those it takes from its own modules."""
    names = {name for statement in _statements(module) for name in _bound(statement, module)}
    return {name for name in names if not name.startswith("_")}


def _statements(module: ModuleType) -> Iterator[ast.stmt]:
    """The statements of the module's top level; the lazy packages write their imports under TYPE_CHECKING."""
    pending: list[ast.stmt] = list(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body)
    for statement in pending:
        if isinstance(statement, ast.If):
            pending += statement.body + statement.orelse
        elif isinstance(statement, ast.Try):
            pending += (
                statement.body + [line for handler in statement.handlers for line in handler.body] + statement.orelse
            )
        else:
            yield statement


def _bound(statement: ast.stmt, module: ModuleType) -> Iterator[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.ImportFrom() if hasattr(module, "__path__") and _home(statement, module).split(".")[0] == "codin":
            yield from (alias.asname or alias.name for alias in statement.names)
        case _:
            pass


def _home(statement: ast.ImportFrom, module: ModuleType) -> str:
    """The full name of the module that a statement in a package's `__init__` imports from."""
    if not statement.level:
        return statement.module or ""
    above = module.__name__.split(".")[: -(statement.level - 1) or None]
    return ".".join([*above, *filter(None, [statement.module])])


@pytest.mark.parametrize("name", MODULES)
def test_all_says_what_is_there(name: str) -> None:
    # Its order is ruff's to check and to mend: RUF022.
    module = import_module(name)
    declared: list[str] = getattr(module, "__all__", [])
    assert len(declared) == len(set(declared))
    assert set(declared) == _promised(module)


@pytest.mark.parametrize("name", MODULES)
def test_every_name_resolves_to_what_the_static_import_names(name: str) -> None:
    module = import_module(name)
    homes = {
        alias.asname or alias.name: (_home(statement, module), alias.name)
        for statement in _statements(module)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if public in homes:
            home, original = homes[public]
            assert value is getattr(import_module(home), original)


def test_no_public_submodule_shares_a_name_with_an_export() -> None:
    # Importing a submodule binds it on its package, over whatever stood there; so all are imported before the look.
    modules = {name: import_module(name) for name in MODULES}
    for name, module in modules.items():
        for public in getattr(module, "__all__", []):
            value = getattr(module, public)
            if f"{name}.{public}" in modules:
                assert (name, public) == ("codin", "a2a"), f"{name} exports {public!r} and has a submodule of that name"
                assert value is modules["codin.a2a"]


@pytest.mark.parametrize("name", MODULES)
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    assert not hasattr(import_module(name), "no_such_name")


def test_the_root_names_are_frozen() -> None:
    # A change here is a change of what VERSIONING.md promises.
    assert codin.__all__ == ["Agent", "AgentResponse", "Mesh", "Task", "Tool", "a2a", "connect", "serve"]
    assert set(codin.__all__) <= set(dir(codin))


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert codin.__version__ == version("codin")

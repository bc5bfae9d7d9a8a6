"""How the supervisor gets into a sandbox, in which nothing of codin can be seen."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["BOOT", "modules"]

# Reads what it shall be from a descriptor. Without `os`, which is posix and a tenth of what there is to start.
BOOT = """\
import marshal, sys, posix as os
setup, modules = marshal.loads(os.pread({0}, os.fstat({0}).st_size, 0))
os.close({0})
for name, code in modules:
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
module.main(setup)
"""
_FOLDER = Path(__file__).with_name("inside")
_ORDER = ("walls", "commands", "files", "supervisor")  # each imports from those before it


@cache
def modules(compiled: bool) -> list[tuple[str, Any]]:
    """The names of the modules and their code, or their source for an interpreter that has another."""
    found: list[tuple[str, Any]] = []
    for name in _ORDER:
        source = _FOLDER.joinpath(f"{name}.py").read_text()
        code = compile(source, name, "exec", dont_inherit=True) if compiled else source
        found.append((f"{__package__}.inside.{name}", code))
    return found

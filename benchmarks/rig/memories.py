"""Files that the measurements of memories share."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib.util import find_spec

from benchmarks.rig import sides
from benchmarks.rig.plan import Unavailable
from benchmarks.rig.process import child

MODULE = "benchmarks.ours.memory"
RECORDS = 100_000

_folders: list[tempfile.TemporaryDirectory[str]] = []  # until the run ends


@cache
def filled() -> str:
    """A folder with a file of 100,000 records, made once in a run. It takes half a minute."""
    needed("numpy", "pip install 'codin[memory]'")
    _folders.append(tempfile.TemporaryDirectory(prefix="codin-memories-"))
    child(sides.codin(), MODULE, "fill", "codin", _folders[-1].name, str(RECORDS))
    return _folders[-1].name


def needed(module: str, how: str) -> None:
    """Raises Unavailable where a module is missing."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise Unavailable(f"{module} is missing: {how}")

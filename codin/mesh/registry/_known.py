"""What a registry has said, kept for the time when it does not answer: in memory, and in a file if wanted."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from codin.errors import CardNotTrusted
from codin.mesh._directory import Found
from codin.mesh.registry._wire import found_in, mapping

__all__ = ["Known"]

_logger = logging.getLogger("codin.mesh")
_MAX_KEPT = 2_000
_MAX_FILE = 64 * 1024 * 1024


class Known:
    """The agents of a registry, the ones last heard of first.

    Args:
        registry: its URL; a file of another one is not read.
        file: None keeps them in memory only.
        stale_for: seconds after which nothing is believed any more.
    """

    def __init__(self, registry: str, file: Path | None, stale_for: float) -> None:
        self._registry = registry
        self._file = file
        self._stale_for = stale_for
        self._kept: OrderedDict[str, tuple[float, Mapping[str, Any]]] = OrderedDict()
        self._changed = False
        if file is not None:
            self._read(file)

    def add(self, key: str, entry: Mapping[str, Any]) -> None:
        """Remember an entry, as it came."""
        old = self._kept.pop(key, None)
        self._changed = self._changed or old is None or old[1].get("card") != entry.get("card")
        self._kept[key] = time.time(), entry
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget one."""
        self._changed = self._kept.pop(key, None) is not None or self._changed

    def all(self) -> list[Found]:
        """What is still believed. How an agent is now nobody knows; its card is looked at again each time."""
        oldest = time.time() - self._stale_for
        found: list[Found] = []
        for at, entry in reversed(self._kept.values()):
            if at < oldest:
                break
            with contextlib.suppress(CardNotTrusted):
                found.append(replace(found_in(entry), health="unknown", load=None))
        return found

    def write(self) -> None:
        """Put into the file what is new. Blocks. Where nothing can be written, nothing is."""
        if self._file is None or not self._changed:
            return
        self._changed = False
        agents = [{"key": key, "at": at, "entry": entry} for key, (at, entry) in list(self._kept.items())]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self._file.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"registry": self._registry, "agents": agents}, file)
            Path(name).replace(self._file)
        except OSError as error:
            _logger.warning("what the registry said cannot be kept in %s: %s", self._file, error)

    def _read(self, path: Path) -> None:
        try:
            if path.stat().st_size > _MAX_FILE:
                return
            document = mapping(from_json(path.read_bytes()))
        except (OSError, ValueError):
            return
        if document.get("registry") != self._registry:
            return
        agents: list[Any] = document.get("agents") or []
        for agent in map(mapping, agents[-_MAX_KEPT:]):
            match agent:
                case {"key": str(key), "at": float(at), "entry": entry}:
                    self._kept[key] = min(at, time.time()), mapping(entry)
                case _:
                    pass

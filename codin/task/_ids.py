"""Ids of tasks and contexts."""

from __future__ import annotations

import os
import re

__all__ = ["random_id"]

_ID = re.compile(r"\w{32}")
_pool: list[str] = []


def random_id() -> str:
    """128 random bits as hex. Drawn for many ids at once: a system call for each would cost more than all the rest."""
    if not _pool:
        _pool.extend(_ID.findall(os.urandom(16 * 256).hex()))
    return _pool.pop()


os.register_at_fork(after_in_child=_pool.clear)  # two processes must not draw the same ids

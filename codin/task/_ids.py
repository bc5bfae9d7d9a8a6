"""Ids of tasks and contexts."""

from __future__ import annotations

import os

__all__ = ["random_id"]

_BYTES = 16
_pool: list[str] = []


def random_id() -> str:
    """128 random bits as hex. Drawn for many ids at once: a system call for each would cost more than all the rest."""
    if not _pool:
        digits = os.urandom(_BYTES * 256).hex()
        _pool.extend(digits[start : start + 2 * _BYTES] for start in range(0, len(digits), 2 * _BYTES))
    return _pool.pop()


os.register_at_fork(after_in_child=_pool.clear)  # two processes must not draw the same ids

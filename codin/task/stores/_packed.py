"""Ended tasks as tuples of plain values.

A store in memory keeps thousands of tasks that nobody will change again. As objects each would be two dozen that the
garbage collector visits in every full collection, for all requests to wait for; of tuples of strings, bytes and numbers
it knows that there is nothing to visit.
"""

from __future__ import annotations

from codin.task._entry import Entry, Packed, unpack_entry
from codin.task._fold import Fold

__all__ = ["PackedTask", "fold_of", "unpack_entries"]

PackedTask = tuple[int, int, str, str, int, int, bytes, tuple[Packed, ...], tuple[str, ...]]
"""owner's number, changed, state, context id, trimmed, last, JSON of the fold, entries, idempotency keys"""


def unpack_entries(packed: PackedTask, task_id: str, after: int = 0, until: int | None = None) -> list[Entry]:
    """The entries of an ended task above `after`, up to `until`."""
    ids = Fold(task_id, packed[3]).ids
    return [
        unpack_entry(entry, ids) for entry in packed[7] if entry[0] > after and (until is None or entry[0] <= until)
    ]


def fold_of(packed: PackedTask) -> Fold:
    """The fold of an ended task."""
    return Fold.restore(packed[5], packed[1], packed[6])

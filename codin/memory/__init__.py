"""What agents remember: conversations, notes, and texts that can be searched, each caller's for itself."""

from codin.memory._as_data import as_data
from codin.memory._blobs import Blobs
from codin.memory._filter import Condition, Filter, Operator, conditions_of, fits
from codin.memory._history import History, Summarise, Window
from codin.memory._limits import MemoryLimits
from codin.memory._memories import Memories
from codin.memory._memory import Memory
from codin.memory._notes import Notes, Of
from codin.memory._open import open_memory
from codin.memory._protocol import (
    Found,
    Indexed,
    MemoryBackend,
    Note,
    Record,
    Role,
    Scope,
    Stats,
    Summary,
    Utterance,
    Vector,
)
from codin.memory._records import Hit, How, Records
from codin.memory._words import terms_of

__all__ = [
    "Blobs",
    "Condition",
    "Filter",
    "Found",
    "History",
    "Hit",
    "How",
    "Indexed",
    "Memories",
    "Memory",
    "MemoryBackend",
    "MemoryLimits",
    "Note",
    "Notes",
    "Of",
    "Operator",
    "Record",
    "Records",
    "Role",
    "Scope",
    "Stats",
    "Summarise",
    "Summary",
    "Utterance",
    "Vector",
    "Window",
    "as_data",
    "conditions_of",
    "fits",
    "open_memory",
    "terms_of",
]

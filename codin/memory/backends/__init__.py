"""Where memories are kept. `open_memory` takes them by URL."""

from codin.memory.backends.memory import InProcess

__all__ = ["InProcess"]

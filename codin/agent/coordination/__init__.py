"""Agents that do their work by others."""

from codin.agent.coordination._router import Choose, Known, Peers, Router
from codin.agent.coordination._words import by_words

__all__ = ["Choose", "Known", "Peers", "Router", "by_words"]

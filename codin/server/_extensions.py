"""Extensions: which an agent declares, which a client has to name, and which are in use. Spec 4.6, 3.2.6."""

from __future__ import annotations

from collections.abc import Sequence

from codin import a2a
from codin.agent import Agent
from codin.server._http import Headers

__all__ = ["Extensions", "extensions_of"]

_OURS = frozenset({a2a.RESUME_EXTENSION, a2a.CALL_EXTENSION})


def extensions_of(agent: Agent) -> Sequence[a2a.AgentExtension]:
    """Those that the agent brings itself."""
    declared: Sequence[a2a.AgentExtension | str] = getattr(agent, "extensions", None) or ()
    return [a2a.AgentExtension(uri=each) if isinstance(each, str) else each for each in declared]


class Extensions:
    """What a request may name in `A2A-Extensions` at one agent."""

    def __init__(self, declared: Sequence[a2a.AgentExtension]) -> None:
        self._own = frozenset([each.uri for each in declared if each.uri])
        self._known = self._own | _OURS
        self.required: Sequence[str] = [each.uri for each in declared if each.uri and each.required]

    def check(self, headers: Headers) -> None:
        """Refuse a client that has not named an extension the agent requires. Spec 3.3.4.

        Raises:
            ExtensionSupportRequired: with those that are missing.
        """
        named = _named(headers)
        missing = [uri for uri in self.required if uri not in named]
        if missing:
            raise a2a.ExtensionSupportRequired(
                f"this agent is for clients that support {', '.join(missing)}",
                hint=f"send the header A2A-Extensions: {', '.join(missing)}",
            )

    def active(self, headers: Headers) -> Sequence[str]:
        """The agent's own ones that are in use in this request."""
        return [uri for uri in _named(headers) if uri in self._own] if self._own else ()

    def in_use(self, headers: Headers) -> bytes:
        """The value of `A2A-Extensions` in the answer: what was named and is known here; unknown ones are ignored."""
        return ", ".join([uri for uri in _named(headers) if uri in self._known]).encode("latin-1")


def _named(headers: Headers) -> Sequence[str]:
    value = headers.get(b"a2a-extensions", b"").decode("latin-1")
    return list(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))

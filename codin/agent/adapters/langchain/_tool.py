"""A remote A2A agent as a tool of LangChain."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import adispatch_custom_event
from langchain_core.tools import BaseTool
from pydantic import PrivateAttr

from codin.agent.adapters._remote import Remote, news_of, result_of
from codin.client import Event, Peer

__all__ = ["TEXT_EVENT", "tool"]

TEXT_EVENT = "codin.text"
STATUS_EVENT = "codin.status"


def tool(peer: Peer | str, *, name: str | None = None, description: str | None = None) -> BaseTool:
    """A remote agent as a tool, for models, chains and LangGraph: `model.bind_tools([tool("http://…")])`.

    While the peer works, what it streams is a custom event `codin.text`, and what it says of its work one
    `codin.status`; `astream_events()` shows both. What it asks, the caller of the running codin task is asked.

    Args:
        peer: a URL, a name, or a connected peer.
        name, description: instead of the card's, which a URL or name with both is not asked for.
    """
    return _PeerTool(Remote(peer, name=name, description=description))


class _PeerTool(BaseTool):
    """A tool that asks a peer. It is async only, as its connection belongs to an event loop."""

    _remote: Remote = PrivateAttr()

    def __init__(self, remote: Remote) -> None:
        super().__init__(name=remote.name, description=remote.description, args_schema=dict(remote.input_schema))
        self._remote = remote

    # Nothing but arguments in the signature: LangChain would put its config into an argument of that name.
    async def _arun(self, /, **arguments: Any) -> str:
        return result_of(await self._remote.invoke(arguments, on_event=self._report))

    def _run(self, /, **arguments: Any) -> str:
        raise NotImplementedError(f"the tool {self.name!r} is async: use ainvoke or astream")

    async def _report(self, event: Event) -> None:
        if event.kind == "artifact" and event.text:
            await adispatch_custom_event(TEXT_EVENT, {"agent": self.name, "text": event.text})
        elif news := news_of(event):
            await adispatch_custom_event(STATUS_EVENT, {"agent": self.name, "text": news})

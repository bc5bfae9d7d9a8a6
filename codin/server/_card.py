"""The AgentCard of a served agent, and how it is answered over HTTP. Spec 8."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from email.utils import formatdate, parsedate_to_datetime
from time import time
from typing import NamedTuple

from starlette.types import Send

from codin import a2a
from codin.agent import Agent
from codin.server._auth import Authenticator
from codin.server._http import JSON, Headers, answer

__all__ = ["RESUME", "Cards", "agent_card"]

RESUME = a2a.RESUME_EXTENSION
"""The extension that numbers events and resumes a stream behind one; specs/resume-v1.json."""

_RESUME_EXTENSION = a2a.AgentExtension(
    uri=RESUME,
    description="Events carry SSE ids; SubscribeToTask with Last-Event-ID sends what came after that event. "
    "SendMessage and SendStreamingMessage honour Idempotency-Key.",
)
_KEPT = 64  # rendered cards, one per base URL a client has used


def agent_card(agent: Agent, url: str, authenticator: Authenticator | None = None) -> a2a.AgentCard:
    """The card of an agent that is reached at `url`."""
    skills = getattr(agent, "skills", None) or [
        a2a.AgentSkill(id=agent.id, name=agent.name, description=agent.description, tags=["agent"])
    ]
    return a2a.AgentCard(
        name=agent.name,
        description=agent.description,
        version=getattr(agent, "version", None) or "1.0.0",
        supported_interfaces=[a2a.AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=a2a.AgentCapabilities(
            streaming=True,
            push_notifications=False,
            extended_agent_card=False,
            extensions=[_RESUME_EXTENSION, *_schema_extension(agent)],
        ),
        default_input_modes=list(getattr(agent, "input_modes", None) or ["text/plain"]),
        default_output_modes=list(getattr(agent, "output_modes", None) or ["text/plain"]),
        skills=list(skills),
        security_schemes=dict(authenticator.schemes) if authenticator else {},
        security_requirements=authenticator.requirements if authenticator else [],
    )


def _schema_extension(agent: Agent) -> list[a2a.AgentExtension]:
    known = {"inputSchema": "input_schema", "outputSchema": "output_schema"}
    params = {name: found for name, member in known.items() if (found := getattr(agent, member, None)) is not None}
    return [a2a.AgentExtension(uri=a2a.SCHEMA_EXTENSION, params=params)] if params else []


class _Rendered(NamedTuple):
    body: bytes
    etag: bytes


class Cards:
    """Cards by URL: rendered once for each base URL under which a client has found the server."""

    def __init__(self, agent: Agent, authenticator: Authenticator | None) -> None:
        self._agent = agent
        self._authenticator = authenticator
        self._rendered: OrderedDict[str, _Rendered] = OrderedDict()
        self._made = int(time())
        self._modified = formatdate(self._made, usegmt=True).encode()

    def render(self, url: str) -> _Rendered:
        """The card for an agent at `url`."""
        rendered = self._rendered.get(url)
        if rendered is None:
            body = agent_card(self._agent, url, self._authenticator).to_json()
            rendered = _Rendered(body, b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())
            self._rendered[url] = rendered
            if len(self._rendered) > _KEPT:
                self._rendered.popitem(last=False)
        return rendered

    async def answer(self, send: Send, headers: Headers, url: str) -> None:
        """The card, or 304 when the client has it already. Spec 8.6."""
        card = self.render(url)
        fields = [
            (b"etag", card.etag),
            (b"last-modified", self._modified),
            (b"cache-control", b"public, max-age=300"),
            (b"vary", b"host"),
        ]
        if self._is_known(card, headers):
            await answer(send, b"", status=304, headers=fields)
        else:
            await answer(send, card.body, headers=[JSON, *fields])

    def _is_known(self, card: _Rendered, headers: Headers) -> bool:
        """Whether the client has this very card. RFC 9110 13.1: where there is a tag, the date does not count."""
        tags = headers.get(b"if-none-match")
        if tags is not None:
            known = [tag.strip().removeprefix(b"W/") for tag in tags.split(b",")]
            return card.etag in known or b"*" in known
        try:
            since = parsedate_to_datetime(headers.get(b"if-modified-since", b"").decode("latin-1"))
            return since.timestamp() >= self._made
        except (ValueError, OverflowError):  # none, or no date
            return False

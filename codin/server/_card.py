"""The AgentCard of a served agent, and how it is answered over HTTP. Spec 8."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from email.utils import formatdate, parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import to_json
from starlette.types import Send

from codin import a2a
from codin.a2a.v03 import with_old_fields, with_old_interfaces
from codin.agent import Agent
from codin.server._admission import Admission
from codin.server._bindings import BINDINGS
from codin.server._extensions import extensions_of
from codin.server._http import JSON, Headers, answer, knows
from codin.trust import Authenticator, KeyRing, identity_of, sign_card

if TYPE_CHECKING:
    from codin.server._grpc_port import GrpcPort

__all__ = ["RESUME", "Cards", "agent_card"]

RESUME = a2a.RESUME_EXTENSION
"""The extension that numbers events and resumes a stream behind one; specs/resume-v1.json."""

_KEPT = 64  # rendered cards, one per base URL a client has used


def agent_card(
    agent: Agent,
    url: str,
    authenticator: Authenticator | Admission | None = None,
    *,
    identity: str | None = None,
    extended: bool = False,
    bindings: Sequence[str] = BINDINGS,
    pushes: bool = False,
) -> a2a.AgentCard:
    """The card of an agent that is reached at `url`; with an identity, it says that calls may carry their limits."""
    skills = getattr(agent, "skills", None) or [
        a2a.AgentSkill(id=agent.id, name=agent.name, description=agent.description, tags=["agent"])
    ]
    return a2a.AgentCard(
        name=agent.name,
        description=agent.description,
        version=getattr(agent, "version", None) or "1.0.0",
        supported_interfaces=[
            a2a.AgentInterface(url=url, protocol_binding=binding, protocol_version="1.0") for binding in bindings
        ],
        capabilities=a2a.AgentCapabilities(
            streaming=True,
            push_notifications=pushes,
            extended_agent_card=extended,
            extensions=[
                a2a.AgentExtension(
                    uri=RESUME,
                    description="Events carry SSE ids; SubscribeToTask with Last-Event-ID sends what came after that "
                    "event. SendMessage and SendStreamingMessage honour Idempotency-Key.",
                ),
                *_call_extension(identity),
                *_schema_extension(agent),
                *extensions_of(agent),
            ],
        ),
        default_input_modes=list(getattr(agent, "input_modes", None) or ["text/plain"]),
        default_output_modes=list(getattr(agent, "output_modes", None) or ["text/plain"]),
        skills=authenticator.skills(skills) if isinstance(authenticator, Admission) else list(skills),
        security_schemes=dict(authenticator.schemes) if authenticator else {},
        security_requirements=authenticator.requirements if authenticator else [],
    )


def _call_extension(identity: str | None) -> list[a2a.AgentExtension]:
    return [a2a.AgentExtension(uri=a2a.CALL_EXTENSION, params={"agent": identity})] if identity is not None else []


def _schema_extension(agent: Agent) -> list[a2a.AgentExtension]:
    known = {"inputSchema": "input_schema", "outputSchema": "output_schema"}
    params = {name: found for name, member in known.items() if (found := getattr(agent, member, None)) is not None}
    return [a2a.AgentExtension(uri=a2a.SCHEMA_EXTENSION, params=params)] if params else []


class _Rendered(NamedTuple):
    body: bytes
    etag: bytes
    made: int


class Cards:
    """Cards by URL: rendered once for each base URL under which a client has found the server, and for its keys."""

    def __init__(
        self,
        agent: Agent,
        admission: Admission | None,
        identity: str,
        ring: KeyRing | None = None,
        *,
        extended: bool = False,
        old: bool = False,
        bindings: Sequence[str] = BINDINGS,
        pushes: bool = False,
    ) -> None:
        self._agent = agent
        self._pushes = pushes
        self._bindings = bindings
        self._identity = identity
        self._admission = admission
        self._ring = ring
        self._extended = extended
        self._old = old
        self.grpc: GrpcPort | None = None
        self._rendered: OrderedDict[tuple[str, ...], _Rendered] = OrderedDict()

    @property
    def identity(self) -> str:
        """What the agent is called by: its id, and the key that is active now, which the others pass the name on to."""
        return self._identity if self._ring is None else identity_of(self._agent.id, self._ring.active.kid)

    def card(self, url: str) -> a2a.AgentCard:
        """The card for an agent at `url`, as it is before it is signed."""
        card = agent_card(
            self._agent,
            url,
            self._admission,
            identity=self.identity,
            extended=self._extended,
            bindings=self._bindings,
            pushes=self._pushes,
        )
        if self.grpc is not None:
            card.supported_interfaces += self.grpc.interfaces(url, self._agent.id)
        return with_old_interfaces(card) if self._old else card

    def signed(self, card: a2a.AgentCard, jku: str | None) -> a2a.AgentCard:
        """The card with our signatures; as it is when there are no keys, or nobody says where they are published."""
        keys = self._ring.signing if self._ring is not None and jku is not None else []
        return sign_card(card, *keys, jku=jku) if keys else card

    def render(self, url: str, jku: str | None = None) -> _Rendered:
        """The card for an agent at `url`; signed when there are keys and it is said where they are published."""
        keys = self._ring.signing if self._ring is not None and jku is not None else []
        port = self.grpc.port if self.grpc is not None else None
        known = (url, str(port), self.identity, *(key.kid for key in keys))
        rendered = self._rendered.get(known)
        if rendered is None:
            body = to_json(with_old_fields(self.signed(self.card(url), jku)))
            rendered = _Rendered(body, b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode(), int(time()))
            self._rendered[known] = rendered
            if len(self._rendered) > _KEPT:
                self._rendered.popitem(last=False)
        return rendered

    async def answer(self, send: Send, headers: Headers, url: str, jku: str | None = None) -> None:
        """The card, or 304 when the client has it already. Spec 8.6."""
        card = self.render(url, jku)
        hidden = self._admission is not None and self._admission.hidden
        fields = [
            (b"etag", card.etag),
            (b"last-modified", formatdate(card.made, usegmt=True).encode()),
            (b"cache-control", b"private, no-store" if hidden else b"public, max-age=300"),
            (b"vary", b"host"),
        ]
        if self._is_known(card, headers):
            await answer(send, b"", status=304, headers=fields)
        else:
            await answer(send, card.body, headers=[JSON, *fields])

    def _is_known(self, card: _Rendered, headers: Headers) -> bool:
        """Whether the client has this very card. RFC 9110 13.1: where there is a tag, the date does not count."""
        if b"if-none-match" in headers:
            return knows(headers, card.etag)
        try:
            since = parsedate_to_datetime(headers.get(b"if-modified-since", b"").decode("latin-1"))
            return since.timestamp() >= card.made
        except (ValueError, OverflowError):  # none, or no date
            return False

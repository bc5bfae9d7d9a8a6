"""The caller of a task, as the server established it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ANONYMOUS_ID = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a request was authenticated as: the owner of the tasks it starts.

    Args:
        id: stable name of the person or service; two callers with one id in one tenant are the same owner.
        tenant: the tenant the caller belongs to, or "" on a server without tenants.
        scopes: what the caller may do.
        claims: what else the credential said; kept out of `repr`, so that it reaches no log.
        token: the credential itself, where an authenticator was told to keep it; kept out of `repr` as well.
        agent: the id of the agent that calls, where it has shown one of our own keys; else "".

    Raises:
        ValueError: the id is empty, which would make strangers one owner by accident.
    """

    id: str
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False, repr=False)
    token: str | None = field(default=None, compare=False, repr=False)
    agent: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a caller needs an id; use codin.trust.ANONYMOUS for a caller who is not known")

    @property
    def authenticated(self) -> bool:
        """Whether somebody vouched for this caller. The id "anonymous" is reserved and never is."""
        return self.id != _ANONYMOUS_ID


ANONYMOUS = Caller(_ANONYMOUS_ID)
"""Every caller of a server that asks for no credential: one owner for all."""

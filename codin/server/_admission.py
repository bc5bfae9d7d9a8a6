"""Who comes in to an agent, and what they may do there. Spec 7, 13.1."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codin import a2a
from codin.errors import CodinError, ConfigError, TokenRefused, TransportError
from codin.task import AgentResponse, Decision, Guard, Task
from codin.trust import (
    ANONYMOUS,
    PEER_ADDRESS,
    SKILL_KEY,
    Access,
    AnyOf,
    Authenticator,
    Caller,
    KeyRing,
    KnownKeys,
    MeshTokens,
    TrustStore,
    challenge_of,
    identity_of,
)

__all__ = ["Admission", "NotAllowed", "NotKnown", "admission", "call_tokens"]

_logger = logging.getLogger("codin.server")

_UNQUOTED = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


class NotKnown(a2a.Unauthenticated):
    """401, with its challenge."""

    challenge: str = "Bearer"


class NotAllowed(a2a.PermissionDenied):
    """403, with its challenge."""

    challenge: str = "Bearer"


class Admission:
    """The way in to one agent.

    Args:
        anonymous: who shows no credential comes in, too.
    """

    def __init__(self, agent: str, authenticator: Authenticator, access: Access | None, *, anonymous: bool) -> None:
        self._agent = agent
        self._authenticator = authenticator
        self._access = access
        self._anonymous = anonymous and access is None
        self._challenge = challenge_of(authenticator)
        rule = access.rule(agent) if access is not None else None
        self.hidden: bool = access is not None and (rule is None or rule.hidden)
        """Whether the agent is there for some callers only."""

        self.guards: list[Guard] = (
            [_ToolGuard(access, agent)] if access is not None and rule is not None and rule.tools is not None else []
        )
        self._by_skill = rule is not None and rule.skills is not None

    @property
    def schemes(self) -> Mapping[str, a2a.SecurityScheme]:
        """For the card: the ways in."""
        return self._authenticator.schemes

    @property
    def requirements(self) -> list[a2a.SecurityRequirement]:
        """For the card: the ways in with the scopes of the agent; nothing where a credential is not needed."""
        if self._anonymous:
            return []
        ways = self._authenticator.requirements
        return ways if self._access is None else self._access.requirements(self._agent, ways)

    def skills(self, skills: Iterable[a2a.AgentSkill]) -> list[a2a.AgentSkill]:
        """For the card: the skills, with the scopes that each needs."""
        if self._access is None:
            return list(skills)
        ways = self._authenticator.requirements
        return [
            skill.model_copy(update={"security_requirements": needed}) if needed else skill
            for skill in skills
            for needed in [self._access.skill_requirements(self._agent, skill.id, ways)]
        ]

    async def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Who calls, once it is sure that it may use the agent.

        Raises:
            NotKnown: there is no valid credential.
            NotAllowed: the caller lacks a scope.
            Overloaded: whoever knows the callers cannot be asked.
        """
        try:
            return await self._let_in(headers)
        except (NotKnown, NotAllowed) as error:
            came = headers.get(PEER_ADDRESS, b"").decode("latin-1") or "somebody"
            _logger.info("%s was refused at %s: %s", came, self._agent, error.message)
            raise

    async def _let_in(self, headers: Mapping[bytes, bytes]) -> Caller:
        caller = await self._found(headers)
        if self._access is None:
            return caller
        if not caller.authenticated:
            raise self._not_known("no valid credential", self._hint(), None)
        caller = self._access.granted(caller)
        self._demand(caller, self._access.lacks(caller, self._agent), "this agent")
        return caller

    async def visitor(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """The same of a hidden agent, which is not there for anybody else."""
        try:
            return await self.caller(headers)
        except a2a.A2AError:
            return None
        except CodinError as error:
            _logger.error("who calls %r cannot be checked: %s", self._agent, error)
            return None

    def check_skill(self, caller: Caller, message: a2a.Message) -> None:
        """See whether the caller may have what the message wants.

        Raises:
            NotAllowed: it may not.
        """
        if not self._by_skill or self._access is None:
            return
        named = (message.metadata or {}).get(SKILL_KEY)
        skill = named if isinstance(named, str) else None
        lacks = self._access.lacks_for_skill(caller, self._agent, skill)
        what = "this skill" if skill is not None else f"a message that names no skill ({SKILL_KEY} in its metadata)"
        self._demand(caller, lacks, what)

    async def _found(self, headers: Mapping[bytes, bytes]) -> Caller:
        try:
            caller = await self._authenticator.authenticate(headers)
        except TokenRefused as error:
            raise self._not_known(error.message, error.hint, error) from None
        except TransportError as error:
            _logger.error("who calls %r cannot be checked: %s", self._agent, error)
            raise a2a.Overloaded("who calls cannot be checked at the moment", retry_after=5.0) from error
        if caller is not None:
            return caller
        if self._anonymous:
            return ANONYMOUS
        raise self._not_known("no valid credential", self._hint(), headers.get(b"authorization"))

    def _hint(self) -> str:
        if "Bearer" in self._challenge:
            return "send Authorization: Bearer <token>"
        return f"the card says how: {', '.join(self._authenticator.schemes)}"

    def _not_known(self, message: str, hint: str | None, shown: object) -> NotKnown:
        """RFC 6750 3.1: who shows nothing is not told of an error."""
        error = NotKnown(message, hint=hint)
        params = {"error": "invalid_token", "error_description": message} if shown else {}
        error.challenge = _with(self._challenge, params)
        return error

    def _demand(self, caller: Caller, lacks: frozenset[str] | None, what: str) -> None:
        if lacks is not None and not lacks:
            return
        needs = ", ".join(sorted(lacks or ()))
        if needs:
            told = "%r lacks the scopes %s of %s; grants are given by that name"
            _logger.info(told, Access.grantee(caller), needs, self._agent)
        error = NotAllowed(
            f"the caller may not use {what}", hint=f"it lacks the scopes {needs}" if needs else "nobody may"
        )
        params = {"error": "insufficient_scope", "scope": " ".join(sorted(lacks or ()))}
        error.challenge = _with(self._challenge, {name: value for name, value in params.items() if value})
        raise error


class _ToolGuard:
    """Refuses calls of tools and agents that the caller has no scopes for."""

    def __init__(self, access: Access, agent: str) -> None:
        self._access = access
        self._agent = agent

    async def submit(self, caller: Caller, message: a2a.Message) -> Decision | None:
        return None

    async def call(self, task: Task, target: str, content: Any) -> Decision | None:
        lacks = self._access.lacks_for_tool(task.caller, self._agent, target)
        if lacks is not None and not lacks:
            return None
        needs = f": it lacks the scopes {', '.join(sorted(lacks))}" if lacks else ""
        return Decision("refuse", f"the caller may not have {target!r} called{needs}", "access")

    async def outcome(self, task: Task, response: AgentResponse) -> Decision | None:
        return None


class _OwnIdentities:
    """What an agent is called by: its id, and any of our keys that count now. It follows them as they are rotated."""

    def __init__(self, agent: str, known: KnownKeys) -> None:
        self._id = identity_of(agent, "kid").removesuffix("kid")
        self._known = known

    def __contains__(self, identity: object) -> bool:
        if not isinstance(identity, str) or not identity.startswith(self._id):
            return False
        return self._known.is_own(identity.removeprefix(self._id))


def call_tokens(agent: str, ring: KeyRing, store: TrustStore | None, *, lenient: bool) -> MeshTokens:
    """The authenticator for the call tokens that agents who are known here make for this agent.

    Args:
        lenient: agents who are not known come in as well, as nobody in particular.
    """
    known = KnownKeys(ring, store)
    return MeshTokens(known.find, _OwnIdentities(agent, known), names=known.name, own=known.is_own, lenient=lenient)


def admission(agent: str, ways: Sequence[Authenticator], access: Access | None, *, anonymous: bool) -> Admission | None:
    """The way in to an agent; None where everybody comes in.

    Args:
        ways: by which a caller may be known.

    Raises:
        ConfigError: callers are to be known, and there is no way to.
    """
    if not ways:
        if access is not None or not anonymous:
            raise ConfigError(
                "nobody can say who they are, so nobody would come in",
                hint="give an authenticator, or keys for call tokens",
            )
        return None
    return Admission(agent, ways[0] if len(ways) == 1 else AnyOf(*ways), access, anonymous=anonymous)


def _with(challenge: str, params: Mapping[str, str]) -> str:
    """The challenge with what is wrong. RFC 6750 3."""
    said = [f'{name}="{_UNQUOTED.sub("?", value)}"' for name, value in params.items()]
    separator = ", " if "=" in challenge.rpartition(", ")[2] else " "
    return separator.join([challenge, ", ".join(said)]) if said else challenge

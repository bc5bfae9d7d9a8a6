"""Callers, credentials, and what a caller may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

import codin
from codin import a2a
from codin.agent import agent
from codin.server import App
from codin.task import Task
from codin.trust import (
    Access,
    AgentIdentity,
    AnyOf,
    ApiKey,
    ApiKeys,
    Authenticator,
    BearerTokens,
    Caller,
    ClientCredentials,
    Credential,
    ForwardedCertificates,
    KeyRing,
    MeshTokens,
    OidcTokens,
    OnBehalfOf,
    Outbound,
    Rule,
    SigningKey,
    Token,
    TrustStore,
    mint,
    verify,
)

URL = "https://login.example.com"


@agent
async def shout(task: Task) -> str:
    """Say it louder."""
    assert_type(task.caller, Caller)
    assert_type(task.caller.scopes, frozenset[str])
    return task.text.upper()


class Session:
    """A credential of one's own."""

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        return {"Cookie": f"session={request.url}"}


def knows_callers(key: SigningKey, ring: KeyRing) -> list[Authenticator]:
    ada = Caller("ada", scopes=frozenset({"read"}))
    return [
        MeshTokens([key.public], "shout@k"),
        MeshTokens(lambda kid: key.public if kid == key.kid else None, {"shout@k"}, names={"k": "ada"}.get),
        AnyOf(BearerTokens({"t": "ada", "u": ada}), ApiKeys({"k": ada}, "X-Key")),
        OidcTokens(URL, ["agents", "shout"], algorithms=["PS256"], keep_token=True),
        ForwardedCertificates({"10.0.0.1"}, callers={"CN=ada": "ada"}),
    ]


def shows_who_it_is(key: SigningKey, ring: KeyRing, caller: Caller) -> None:
    credentials: list[Credential] = [
        AgentIdentity(key, "router"),
        AgentIdentity(ring, "router"),
        Token("t"),
        ApiKey("k", "X-Key"),
        ClientCredentials(f"{URL}/token", "robot", "secret", scopes=["read"], resource="https://agents.example.com"),
        OnBehalfOf(f"{URL}/token", "robot", "secret", audience="ledger", caller=caller),
        Session(),
    ]
    for credential in credentials:
        codin.connect("https://agents.example.com", credential=credential)


def says_what_they_may_do(key: SigningKey, authenticator: Authenticator) -> None:
    rule = Rule(scopes="read", skills={"legal": ["law"], "plain": ()}, tools={"glossary": "words"}, hidden=True)
    access = Access({"shout": rule, "other": "read write", "third": ["read"]}, grants={"router@k": "read"})
    App(shout, keys=key, trust=TrustStore(), authenticator=authenticator, access=access)
    App(shout, keys=key, anonymous=False, access=Access.from_file("access.toml"))


def makes_and_reads_tokens(key: SigningKey) -> None:
    token = mint(key, "router", "shout@k", call={"path": []}, ttl=30)
    assert_type(token, str)
    verify(token, [key.public], {"shout@k"})

"""Callers, credentials, and what a caller may do: what the types refuse."""

from __future__ import annotations

import codin
from codin.trust import (
    Access,
    AgentIdentity,
    AnyOf,
    ApiKeys,
    Authenticator,
    BearerTokens,
    ClientCredentials,
    Credential,
    MeshTokens,
    OidcTokens,
    OnBehalfOf,
    PublicKey,
    Rule,
    SigningKey,
    Token,
    mint,
)

URL = "https://login.example.com"


def mistakes(key: SigningKey, public: PublicKey) -> None:
    codin.connect(URL, credential="secret")  # error: reportArgumentType
    codin.connect(URL, credential=BearerTokens({}))  # error: reportArgumentType
    AgentIdentity(public, "router")  # error: reportArgumentType
    AgentIdentity(key)  # error: reportCallIssue
    mint(public, "router", "shout@k")  # error: reportArgumentType
    mint(key, "router")  # error: reportCallIssue
    MeshTokens([key], "shout@k")  # error: reportArgumentType
    OidcTokens(URL)  # error: reportCallIssue
    ClientCredentials(f"{URL}/token", "robot")  # error: reportCallIssue
    OnBehalfOf(f"{URL}/token", "robot", "secret")  # error: reportCallIssue
    ApiKeys(["key"])  # error: reportArgumentType
    AnyOf(Token("t"))  # error: reportArgumentType
    Access({"shout": 7})  # error: reportArgumentType
    Rule(scopes="read", skill={})  # error: reportCallIssue
    Rule().hidden = True  # error: reportAttributeAccessIssue


credential: Credential = BearerTokens({})  # error: reportAssignmentType
authenticator: Authenticator = Token("t")  # error: reportAssignmentType

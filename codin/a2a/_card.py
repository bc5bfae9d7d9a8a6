"""The agent card.

Source: A2A v1.0.1 sections 4.4 and 8, and the field list of `lf.a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from codin.a2a._model import Flag, Id, LenientModel, Many, Metadata, Model, OptionalFlag
from codin.a2a._security import SecurityRequirement, SecurityScheme

__all__ = [
    "AgentCapabilities",
    "AgentCard",
    "AgentCardSignature",
    "AgentExtension",
    "AgentInterface",
    "AgentProvider",
    "AgentSkill",
]


class AgentInterface(LenientModel):
    """Where and how the agent is reached.

    Args:
        protocol_binding: `JSONRPC`, `HTTP+JSON`, `GRPC`, or the URI of another.
        protocol_version: `1.0` or `0.3`.
        tenant: to be sent in every request through this interface.
    """

    absent: ClassVar[Mapping[str, Any]] = {"protocol_version": ""}

    url: Id
    protocol_binding: Id
    protocol_version: str
    tenant: str | None = None


class AgentProvider(LenientModel):
    """Who runs the agent."""

    absent: ClassVar[Mapping[str, Any]] = {"url": "", "organization": ""}

    url: str
    organization: str


class AgentExtension(Model):
    """An extension of the protocol that the agent supports, or requires."""

    uri: str | None = None
    description: str | None = None
    required: Flag = False
    params: Metadata | None = None


class AgentCapabilities(Model):
    """What the agent can do beyond the minimum; None is not declared."""

    streaming: OptionalFlag = None
    push_notifications: OptionalFlag = None
    extended_agent_card: OptionalFlag = None
    extensions: Many[AgentExtension] = Field(default_factory=list[AgentExtension])


class AgentSkill(LenientModel):
    """Something the agent is good at."""

    absent: ClassVar[Mapping[str, Any]] = {"name": "", "description": "", "tags": []}

    id: Id
    name: str
    description: str
    tags: Many[str]
    examples: Many[str] = Field(default_factory=list)
    input_modes: Many[str] = Field(default_factory=list)
    output_modes: Many[str] = Field(default_factory=list)
    security_requirements: Many[SecurityRequirement] = Field(default_factory=list[SecurityRequirement])


class AgentCardSignature(Model):
    """A detached JWS over the card: base64url header, base64url signature, unprotected header."""

    protected: Id
    signature: Id
    header: Metadata | None = None


class AgentCard(LenientModel):
    """An agent's description of itself."""

    absent: ClassVar[Mapping[str, Any]] = {
        "description": "",
        "version": "",
        "supported_interfaces": [],
        "capabilities": {},
        "default_input_modes": [],
        "default_output_modes": [],
        "skills": [],
    }

    name: Id
    description: str
    version: str
    supported_interfaces: Many[AgentInterface]
    capabilities: AgentCapabilities
    default_input_modes: Many[str]
    default_output_modes: Many[str]
    skills: Many[AgentSkill]
    provider: AgentProvider | None = None
    documentation_url: str | None = None
    icon_url: str | None = None
    security_schemes: dict[str, SecurityScheme] = Field(default_factory=dict[str, SecurityScheme])
    security_requirements: Many[SecurityRequirement] = Field(default_factory=list[SecurityRequirement])
    signatures: Many[AgentCardSignature] = Field(default_factory=list[AgentCardSignature])

"""How an agent wants its callers to authenticate.

Source: A2A v1.0.1 section 4.5, and the field list of `lf.a2a.v1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from codin.a2a._model import Flag, Id, LenientModel, Many, Model, one_of

__all__ = [
    "APIKeySecurityScheme",
    "AuthorizationCodeOAuthFlow",
    "ClientCredentialsOAuthFlow",
    "DeviceCodeOAuthFlow",
    "HTTPAuthSecurityScheme",
    "ImplicitOAuthFlow",
    "MutualTlsSecurityScheme",
    "OAuth2SecurityScheme",
    "OAuthFlows",
    "OpenIdConnectSecurityScheme",
    "PasswordOAuthFlow",
    "SecurityRequirement",
    "SecurityScheme",
    "StringList",
]


class StringList(Model):
    """A list of strings, such as the scopes of a requirement."""

    list: Many[str] = Field(default_factory=list)


class SecurityRequirement(Model):
    """Schemes that are needed together, each with its scopes; several requirements are alternatives."""

    schemes: dict[str, StringList] = Field(default_factory=dict[str, StringList])


class APIKeySecurityScheme(Model):
    """A key in a header, query parameter or cookie; `location` says which."""

    location: Id
    name: Id
    description: str | None = None


class HTTPAuthSecurityScheme(Model):
    """An HTTP authentication scheme such as `Bearer`."""

    scheme: Id
    bearer_format: str | None = None
    description: str | None = None


class AuthorizationCodeOAuthFlow(LenientModel):
    """A person signs in and the code is exchanged for a token."""

    absent: ClassVar[Mapping[str, Any]] = {"scopes": {}}

    authorization_url: Id
    token_url: Id
    refresh_url: str | None = None
    scopes: dict[str, str]
    pkce_required: Flag = False


class ClientCredentialsOAuthFlow(LenientModel):
    """The calling program has credentials of its own."""

    absent: ClassVar[Mapping[str, Any]] = {"scopes": {}}

    token_url: Id
    refresh_url: str | None = None
    scopes: dict[str, str]


class DeviceCodeOAuthFlow(LenientModel):
    """A person signs in on another device."""

    absent: ClassVar[Mapping[str, Any]] = {"scopes": {}}

    device_authorization_url: Id
    token_url: Id
    refresh_url: str | None = None
    scopes: dict[str, str]


class ImplicitOAuthFlow(Model):
    """Deprecated by the specification."""

    authorization_url: str | None = None
    refresh_url: str | None = None
    scopes: dict[str, str] = Field(default_factory=dict[str, str])


class PasswordOAuthFlow(Model):
    """Deprecated by the specification."""

    token_url: str | None = None
    refresh_url: str | None = None
    scopes: dict[str, str] = Field(default_factory=dict[str, str])


class _AtMostOne(Model):
    """A one-of that a newer peer may fill with a kind unknown here, which then reads as none."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len(dict(self)) - list(dict(self).values()).count(None) > 1:
            raise one_of("Only one kind may be given")
        return self


class OAuthFlows(_AtMostOne):
    """The one flow of an OAuth 2 scheme."""

    authorization_code: AuthorizationCodeOAuthFlow | None = None
    client_credentials: ClientCredentialsOAuthFlow | None = None
    device_code: DeviceCodeOAuthFlow | None = None
    implicit: ImplicitOAuthFlow | None = None
    password: PasswordOAuthFlow | None = None


class OAuth2SecurityScheme(Model):
    """OAuth 2."""

    flows: OAuthFlows
    oauth2_metadata_url: str | None = None
    description: str | None = None


class OpenIdConnectSecurityScheme(Model):
    """OpenID Connect discovery."""

    open_id_connect_url: Id
    description: str | None = None


class MutualTlsSecurityScheme(Model):
    """A client certificate."""

    description: str | None = None


class SecurityScheme(_AtMostOne):
    """One way to authenticate."""

    api_key_security_scheme: APIKeySecurityScheme | None = None
    http_auth_security_scheme: HTTPAuthSecurityScheme | None = None
    oauth2_security_scheme: OAuth2SecurityScheme | None = None
    open_id_connect_security_scheme: OpenIdConnectSecurityScheme | None = None
    mtls_security_scheme: MutualTlsSecurityScheme | None = None

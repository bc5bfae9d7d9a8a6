"""Who is calling, and who is called: keys, signed cards, callers."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codin.trust._callers.access import SKILL_KEY, Access, Rule, Scopes
    from codin.trust._callers.any_of import AnyOf
    from codin.trust._callers.api_keys import ApiKeys
    from codin.trust._callers.authenticator import PEER_ADDRESS, Authenticator, challenge_of
    from codin.trust._callers.bearer import BearerTokens
    from codin.trust._callers.caller import ANONYMOUS, Caller
    from codin.trust._callers.certificates import ForwardedCertificates
    from codin.trust._callers.mesh_tokens import MeshTokens
    from codin.trust._callers.oidc import OidcTokens
    from codin.trust._callers.replay import UsedTokens
    from codin.trust._calls.chain import CHAIN_HEADER, chain_in, digest_of, sign_link
    from codin.trust._calls.limits import (
        CALL_HEADER,
        CALL_REASONS,
        Budget,
        CallLimits,
        agent_of,
        identity_in,
        identity_of,
        kid_of,
    )
    from codin.trust._calls.notification import NOTIFICATION_HEADER, sign_notification, verify_notification
    from codin.trust._calls.token import CALL_TOKEN, mint, verify
    from codin.trust._cards.canonical import canonical_json
    from codin.trust._cards.drift import card_changes
    from codin.trust._cards.forms import card_payload
    from codin.trust._cards.known_keys import KnownKeys
    from codin.trust._cards.policy import Trusted, TrustMode, TrustPolicy, published_keys, signed_by
    from codin.trust._cards.signatures import Keys, sign_card, verify_card
    from codin.trust._cards.signers import Signer, signers_of
    from codin.trust._cards.store import TrustStore
    from codin.trust._cards.trust_file import ApprovedCard, NamedKey, Pins, Trusts
    from codin.trust._credentials.agent_identity import AgentIdentity
    from codin.trust._credentials.client_credentials import ClientCredentials
    from codin.trust._credentials.credential import ERRAND, Credential, Errand, Outbound, audience_of
    from codin.trust._credentials.on_behalf_of import OnBehalfOf
    from codin.trust._credentials.static import ApiKey, Token
    from codin.trust._keys.jwks import jwks, read_jwks
    from codin.trust._keys.keyring import KeyRing
    from codin.trust._keys.keyring_file import KeyRecord, KeyState
    from codin.trust._keys.keys import Algorithm, PublicKey, SigningKey

__all__ = [
    "ANONYMOUS",
    "CALL_HEADER",
    "CALL_REASONS",
    "CALL_TOKEN",
    "CHAIN_HEADER",
    "ERRAND",
    "NOTIFICATION_HEADER",
    "PEER_ADDRESS",
    "SKILL_KEY",
    "Access",
    "AgentIdentity",
    "Algorithm",
    "AnyOf",
    "ApiKey",
    "ApiKeys",
    "ApprovedCard",
    "Authenticator",
    "BearerTokens",
    "Budget",
    "CallLimits",
    "Caller",
    "ClientCredentials",
    "Credential",
    "Errand",
    "ForwardedCertificates",
    "KeyRecord",
    "KeyRing",
    "KeyState",
    "Keys",
    "KnownKeys",
    "MeshTokens",
    "NamedKey",
    "OidcTokens",
    "OnBehalfOf",
    "Outbound",
    "Pins",
    "PublicKey",
    "Rule",
    "Scopes",
    "Signer",
    "SigningKey",
    "Token",
    "TrustMode",
    "TrustPolicy",
    "TrustStore",
    "Trusted",
    "Trusts",
    "UsedTokens",
    "agent_of",
    "audience_of",
    "canonical_json",
    "card_changes",
    "card_payload",
    "chain_in",
    "challenge_of",
    "digest_of",
    "identity_in",
    "identity_of",
    "jwks",
    "kid_of",
    "mint",
    "published_keys",
    "read_jwks",
    "sign_card",
    "sign_link",
    "sign_notification",
    "signed_by",
    "signers_of",
    "verify",
    "verify_card",
    "verify_notification",
]

# Each on its first use: who only checks a token loads neither a trust store nor an issuer.
_HOMES = {
    "codin.trust._callers.access": "Access Rule SKILL_KEY Scopes",
    "codin.trust._callers.any_of": "AnyOf",
    "codin.trust._callers.api_keys": "ApiKeys",
    "codin.trust._callers.authenticator": "Authenticator PEER_ADDRESS challenge_of",
    "codin.trust._callers.bearer": "BearerTokens",
    "codin.trust._callers.caller": "ANONYMOUS Caller",
    "codin.trust._callers.certificates": "ForwardedCertificates",
    "codin.trust._callers.mesh_tokens": "MeshTokens",
    "codin.trust._callers.oidc": "OidcTokens",
    "codin.trust._callers.replay": "UsedTokens",
    "codin.trust._calls.chain": "CHAIN_HEADER chain_in digest_of sign_link",
    "codin.trust._calls.limits": "Budget CALL_HEADER CALL_REASONS CallLimits agent_of identity_in identity_of kid_of",
    "codin.trust._calls.notification": "NOTIFICATION_HEADER sign_notification verify_notification",
    "codin.trust._calls.token": "CALL_TOKEN mint verify",
    "codin.trust._cards.canonical": "canonical_json",
    "codin.trust._cards.drift": "card_changes",
    "codin.trust._cards.forms": "card_payload",
    "codin.trust._cards.known_keys": "KnownKeys",
    "codin.trust._cards.policy": "TrustMode TrustPolicy Trusted published_keys signed_by",
    "codin.trust._cards.signatures": "Keys sign_card verify_card",
    "codin.trust._cards.signers": "Signer signers_of",
    "codin.trust._cards.store": "TrustStore",
    "codin.trust._cards.trust_file": "ApprovedCard NamedKey Pins Trusts",
    "codin.trust._credentials.agent_identity": "AgentIdentity",
    "codin.trust._credentials.client_credentials": "ClientCredentials",
    "codin.trust._credentials.credential": "Credential ERRAND Errand Outbound audience_of",
    "codin.trust._credentials.on_behalf_of": "OnBehalfOf",
    "codin.trust._credentials.static": "ApiKey Token",
    "codin.trust._keys.jwks": "jwks read_jwks",
    "codin.trust._keys.keyring": "KeyRing",
    "codin.trust._keys.keyring_file": "KeyRecord KeyState",
    "codin.trust._keys.keys": "Algorithm PublicKey SigningKey",
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value

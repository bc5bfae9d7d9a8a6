"""Who is calling, and who is called: keys, signed cards, callers."""

from codin.trust._access import SKILL_KEY, Access, Rule, Scopes
from codin.trust._agent_identity import AgentIdentity
from codin.trust._any_of import AnyOf
from codin.trust._api_keys import ApiKeys
from codin.trust._authenticator import PEER_ADDRESS, Authenticator, challenge_of
from codin.trust._bearer import BearerTokens
from codin.trust._call_chain import CHAIN_HEADER, chain_in, digest_of, sign_link
from codin.trust._call_limits import CALL_HEADER, CALL_REASONS, Budget, CallLimits, identity_in, identity_of
from codin.trust._call_token import CALL_TOKEN, mint, verify
from codin.trust._caller import ANONYMOUS, Caller
from codin.trust._canonical import canonical_json
from codin.trust._card_forms import card_payload
from codin.trust._certificates import ForwardedCertificates
from codin.trust._client_credentials import ClientCredentials
from codin.trust._credential import ERRAND, Credential, Errand, Outbound, audience_of
from codin.trust._drift import card_changes
from codin.trust._jwks import jwks, read_jwks
from codin.trust._keyring import KeyRing
from codin.trust._keyring_file import KeyRecord, KeyState
from codin.trust._keys import Algorithm, PublicKey, SigningKey
from codin.trust._known_keys import KnownKeys
from codin.trust._mesh_tokens import MeshTokens
from codin.trust._oidc import OidcTokens
from codin.trust._on_behalf_of import OnBehalfOf
from codin.trust._policy import Trusted, TrustMode, TrustPolicy, published_keys, signed_by
from codin.trust._signatures import Keys, sign_card, verify_card
from codin.trust._signers import Signer, signers_of
from codin.trust._static import ApiKey, Token
from codin.trust._store import TrustStore
from codin.trust._trust_file import ApprovedCard, NamedKey, Pins, Trusts

__all__ = [
    "ANONYMOUS",
    "CALL_HEADER",
    "CALL_REASONS",
    "CALL_TOKEN",
    "CHAIN_HEADER",
    "ERRAND",
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
    "mint",
    "published_keys",
    "read_jwks",
    "sign_card",
    "sign_link",
    "signed_by",
    "signers_of",
    "verify",
    "verify_card",
]

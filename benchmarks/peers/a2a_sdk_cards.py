"""The official SDK signs a card, and verifies one as it came."""

# The SDK is in the peer's environment, which the type checker does not see.
# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
from __future__ import annotations

from a2a.types import AgentCard
from a2a.utils.signing import create_agent_card_signer, create_signature_verifier
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.json_format import MessageToJson, Parse

from benchmarks.rig import cards

if __name__ == "__main__":
    key = ec.generate_private_key(ec.SECP256R1())
    signer = create_agent_card_signer(key, {"alg": "ES256", "kid": "key", "typ": "JOSE"})
    verifier = create_signature_verifier(lambda kid, jku: key.public_key(), ["ES256"])
    card = Parse(cards.CARD, AgentCard())
    document = MessageToJson(signer(Parse(cards.CARD, AgentCard())), indent=None)

    def sign():
        signer(card)
        del card.signatures[:]

    cards.main({"sign": sign, "verify": lambda: verifier(Parse(document, AgentCard()))})

"""codin signs a card, and verifies one as it came."""

from __future__ import annotations

from benchmarks.rig import cards
from codin import a2a
from codin.trust import SigningKey, sign_card, verify_card

if __name__ == "__main__":
    key = SigningKey.generate()
    card = a2a.AgentCard.from_json(cards.CARD)
    keys = [key.public]
    document = sign_card(card, key).to_json()
    cards.main({"sign": lambda: sign_card(card, key), "verify": lambda: verify_card(document, keys)})

"""An agent's origin that publishes whatever a test wants: a card, signed or not, a key set, or something worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codin import a2a
from codin.trust import PublicKey, SigningKey, jwks, sign_card
from tests.client.scripted import card as plain_card
from tests.net.wire import Exchange

CARD = "/.well-known/agent-card.json"
KEY_SET = "/.well-known/jwks.json"


class Publisher:
    """Answers for a card and its key set.

    Attributes:
        keys: that sign the card.
        published: the key set; that of `keys` by default, None for none.
        fields: of the card, beside those it needs.
        tampered: what is put over the fields after the card was signed.
    """

    def __init__(self, *keys: SigningKey, jku: str | None = None, **fields: Any) -> None:
        self.keys: Sequence[SigningKey] = keys
        self.published: Sequence[PublicKey] | None = [key.public for key in keys] or None
        self.jku = jku
        self.fields = fields
        self.tampered: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.paths: list[str] = []

    def sign(self, *keys: SigningKey) -> None:
        """Go on with other keys."""
        self.keys, self.published = keys, [key.public for key in keys]

    def card(self, url: str) -> a2a.AgentCard:
        """The card as it is published."""
        card = plain_card(f"{url}/", **self.fields)
        if self.keys:
            card = sign_card(card, *self.keys, jku=self.jku)
        return a2a.AgentCard.from_dict({**card.to_dict(), **self.tampered}) if self.tampered else card

    async def __call__(self, exchange: Exchange) -> None:
        self.paths.append(exchange.path)
        url = f"http://{exchange.headers['host']}"
        if exchange.path == CARD:
            await exchange.answer(self.card(url).to_json(), headers=self.headers)
        elif exchange.path == KEY_SET and self.published is not None:
            await exchange.answer(a2a.Part(data=jwks(self.published)).to_json()[8:-1])
        elif exchange.method == "POST":
            await exchange.answer(b'{"result":{"task":{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}}}')
        else:
            await exchange.answer(status=404)

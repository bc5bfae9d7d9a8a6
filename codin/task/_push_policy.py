"""How push notifications go out."""

from __future__ import annotations

from dataclasses import dataclass, field

from codin.net import AddressGuard

__all__ = ["PushPolicy"]


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """Times are seconds.

    Args:
        guard: says which addresses may be posted to; by default those in the internet. None allows every address.
        max_configs: of one task.
        max_deliveries: under way at once. Those of one configuration go one after the other.
        timeout: of one try.
        tries: of one delivery; behind the last one the configuration becomes a dead letter.
        first_pause: before the second try; the pause doubles, and the real one is between half of it and all of it.
        longest_pause: between two tries, unless the receiver names a time itself.
        drain: how long a shutdown waits for what is under way.
    """

    guard: AddressGuard | None = field(default_factory=AddressGuard)
    max_configs: int = 16
    max_deliveries: int = 32
    timeout: float = 15.0
    tries: int = 10
    first_pause: float = 1.0
    longest_pause: float = 300.0
    drain: float = 5.0

"""What the tests send to a runtime by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def double(number: int) -> int:
    return 2 * number


def count(up_to: int) -> Iterator[int]:
    for number in range(up_to):
        print(f"at {number}")
        yield number


class Counter:
    def __init__(self, start: int) -> None:
        self.at = start

    async def add(self, more: int) -> dict[str, int]:
        return {"at": self.at + more}


if __name__ == "__main__":
    print("as a program:", *sys.argv[1:])

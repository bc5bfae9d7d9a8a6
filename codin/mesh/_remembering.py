"""Going on with what a directory said before, while it cannot be asked."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

import anyio

from codin.errors import CodinError, DeadlineExceeded
from codin.mesh._cards import select
from codin.mesh._clock import Clock
from codin.mesh._directory import Directory, Found
from codin.mesh._limits import MeshLimits

__all__ = ["Remembering"]

_logger = logging.getLogger("codin.mesh")
_MAX_ANSWERS = 1024

_Query: TypeAlias = tuple[str | None, str | None, str | None, str | None, int]


class Remembering:
    """A directory whose answers outlive it. One that fails is left alone for `limits.rest` seconds."""

    def __init__(self, directory: Directory, limits: MeshLimits, clock: Clock) -> None:
        self._directory = directory
        self._limits = limits
        self._clock = clock
        self._answers: OrderedDict[_Query, Sequence[Found]] = OrderedDict()
        self._failure: CodinError | None = None
        self._ask_again = float("-inf")

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """What it says, or said. Raises what went wrong when it has never said anything."""
        query = (name, skill, tag, text, limit)
        if self._failure is None or self._clock.now() >= self._ask_again:
            await self._ask(query)
        if self._failure is None or query in self._answers:
            return self._answers[query]
        if not self._answers:
            raise self._failure
        known = {found.url: found for answer in self._answers.values() for found in answer}
        return select(known.values(), name=name, skill=skill, tag=tag, text=text, limit=limit)

    async def aclose(self) -> None:
        """Close the directory."""
        await self._directory.aclose()

    async def _ask(self, query: _Query) -> None:
        name, skill, tag, text, limit = query
        seconds = self._limits.lookup
        try:
            with anyio.fail_after(seconds):
                answer = await self._directory.find(name=name, skill=skill, tag=tag, text=text, limit=limit)
        except TimeoutError:
            self._fail(DeadlineExceeded(f"A directory did not answer within {seconds:g} s."))
        except CodinError as error:
            self._fail(error)
        else:
            self._failure = None
            self._answers[query] = answer
            self._answers.move_to_end(query)
            if len(self._answers) > _MAX_ANSWERS:
                self._answers.popitem(last=False)

    def _fail(self, failure: CodinError) -> None:
        self._failure = failure
        self._ask_again = self._clock.now() + self._limits.rest
        if self._answers:
            _logger.warning("a directory cannot be asked; what it said before counts: %s", failure)

"""Several directories as one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from codin.errors import CodinError
from codin.mesh._directory import Directory, Found

__all__ = ["Union"]

_logger = logging.getLogger("codin.mesh")


class Union:
    """Asks all at once. An agent that several know is what the best informed says; one that fails is left out.

    Args:
        directories: the first ones count for more among equals.
    """

    def __init__(self, *directories: Directory) -> None:
        self._directories = directories

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """Those of all directories that fit. Raises the first error when none could be asked."""
        answers: list[Sequence[Found] | CodinError] = [[] for _ in self._directories]

        async def ask(index: int, directory: Directory) -> None:
            try:
                answers[index] = await directory.find(name=name, skill=skill, tag=tag, text=text, limit=limit)
            except CodinError as error:
                _logger.warning("a directory could not be asked: %s", error)
                answers[index] = error

        async with anyio.create_task_group() as group:
            for index, directory in enumerate(self._directories):
                group.start_soon(ask, index, directory)
        failed = [answer for answer in answers if isinstance(answer, CodinError)]
        if failed and len(failed) == len(answers):
            raise failed[0]
        return _merged([found for answer in answers if not isinstance(answer, CodinError) for found in answer])[:limit]

    async def aclose(self) -> None:
        """Close every one."""
        for directory in self._directories:
            await directory.aclose()


def _merged(found: Sequence[Found]) -> list[Found]:
    best: dict[str, Found] = {}
    for each in found:
        known = best.get(each.url)
        if known is None or (not each.verified, each.rank) < (not known.verified, known.rank):
            best[each.url] = each
    return sorted(best.values(), key=lambda each: each.rank)

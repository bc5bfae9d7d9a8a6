"""The list of laws: which there are, which a case has to keep, and the table of what each framework keeps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from codin.errors import ConfigError
from codin.testing.adapter_laws._case import AdapterCase

__all__ = ["Law", "all_laws", "law", "laws", "promise_table"]

_Check = Callable[[AdapterCase], Awaitable[None]]
_LAWS: list[Law] = []


@dataclass(frozen=True)
class Law:
    """One promise of codin, and its test.

    Attributes:
        name: for `AdapterCase.cannot`.
        promise: the same as a sentence.
        needs: the member of the case it is tested with.
    """

    name: str
    promise: str
    needs: str
    _check: _Check

    async def check(self, case: AdapterCase, *, patience: float = 60.0) -> None:
        """Raise AssertionError when the case breaks the law.

        Args:
            patience: seconds after which what has not happened will not happen.
        """
        try:
            async with asyncio.timeout(patience):
                await self._check(case)
        except TimeoutError as late:
            raise AssertionError(f"{self.promise}: that did not happen within {patience:g} s") from late

    def __str__(self) -> str:
        return self.name


def law(needs: str) -> Callable[[_Check], _Check]:
    """Make a law of a check: its name is the function's, its promise the docstring's first line."""

    def declare(check: _Check) -> _Check:
        name = getattr(check, "__name__", "")
        _LAWS.append(Law(name, (inspect.getdoc(check) or "").partition("\n")[0].rstrip("."), needs, check))
        return check

    return declare


def all_laws() -> list[Law]:
    """Every law, in the order in which people read them."""
    for module in ("_answers", "_questions", "_runs"):
        import_module(f"codin.testing.adapter_laws.{module}")
    return _LAWS


def laws(case: AdapterCase) -> list[Law]:
    """The laws a case has to keep: all but those it says the framework cannot.

    Raises:
        ConfigError: the case leaves something out without a word, or names a law that there is not.
    """
    known = {each.name: each for each in all_laws()}
    if unknown := case.cannot.keys() - known.keys():
        raise ConfigError(f"there is no law {', '.join(sorted(unknown))}", hint=f"there are {', '.join(known)}")
    kept = [each for each in known.values() if each.name not in case.cannot]
    if untold := [each.name for each in kept if getattr(case, each.needs) is None]:
        raise ConfigError(
            f"{case.name} has nothing to test {', '.join(untold)} with",
            hint="give the case what these need, or say in `cannot` why the framework has none",
        )
    return kept


def promise_table(cannot: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The lines of a Markdown table: a row for each promise, a column for each framework, then the reasons.

    Args:
        cannot: by framework, what `AdapterCase.cannot` says.
    """
    reasons: dict[str, int] = {}
    yield f"| promise | {' | '.join(cannot)} |"
    yield f"|---|{'---|' * len(cannot)}"
    for each in all_laws():
        missing = [told.get(each.name) for told in cannot.values()]
        cells = ["yes" if why is None else f"no ({reasons.setdefault(why, len(reasons) + 1)})" for why in missing]
        yield f"| {each.promise} (`{each.name}`) | {' | '.join(cells)} |"
    if reasons:
        yield ""
    yield from (f"{number}. {why}" for why, number in reasons.items())

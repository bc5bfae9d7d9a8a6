"""Which runnables are meant to be served, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase

from codin.agent.adapters._uses import used_by

__all__ = ["parts"]


def parts(runnable: object) -> Sequence[object] | None:
    """What is in a chain; None for every other runnable.

    A model is nobody's to talk to because a file has it, and the question in front of a tool may be its only guard.
    """
    if not isinstance(runnable, Runnable):
        return ()
    whole: Any = cast("Any", runnable)
    while isinstance(whole, (RunnableBindingBase, RunnableWithFallbacks)):
        whole = next(iter(_steps(whole)))
    return list(_within(cast("Any", runnable))) if isinstance(whole, RunnableSequence) else None


def _within(runnable: Any) -> Iterator[object]:
    """Its steps and theirs, at every depth."""
    waiting, seen = list(_steps(runnable)), set[int]()
    while waiting:
        step = waiting.pop()
        if id(step) not in seen:
            seen.add(id(step))
            yield step
            waiting += _steps(step)


def _steps(runnable: Any) -> Iterator[object]:
    if isinstance(runnable, RunnableSequence):
        yield from cast("Any", runnable).steps
    elif isinstance(runnable, RunnableBindingBase):
        yield cast("Any", runnable).bound
    elif isinstance(runnable, RunnableWithFallbacks):
        yield from cast("Any", runnable).runnables
    elif isinstance(runnable, RunnableParallel):
        yield from cast("Any", runnable).steps__.values()
    elif isinstance(runnable, RunnableBranch):
        branch = cast("Any", runnable)
        yield from (step for pair in branch.branches for step in pair)
        yield branch.default
    elif isinstance(runnable, RunnableLambda):
        for name in ("func", "afunc"):
            yield from used_by(getattr(cast("Any", runnable), name, None))

"""`task.usage`: the bill of the task and of all it has called, to read and to add to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codin.task._run import Run

__all__ = ["Usage"]


class Usage(Mapping[str, "int | float"]):
    """What the task has cost so far, in all its turns, with every agent it called: counts by name.

        task.usage(input_tokens=12, output_tokens=40)   # add what this run has cost
        task.usage["input_tokens"]                      # read the bill of the whole tree

    Budgets count `total_tokens`, or `input_tokens` and `output_tokens`, and `money`.
    """

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, **counts: int | float) -> None:
        """Add to what this run has cost itself."""
        if self._run.replaying:
            return  # told with the question that this run is on its way to
        totals = self._run.usage
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count

    def __getitem__(self, name: str) -> int | float:
        return self._run.bill()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.bill())

    def __len__(self) -> int:
        return len(self._run.bill())

    def __repr__(self) -> str:
        return f"Usage({self._run.bill()!r})"

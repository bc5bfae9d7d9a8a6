"""What LangChain's runnables cannot keep; `test_laws.py` proves everything else."""

from __future__ import annotations

__all__ = ["CANNOT", "NAME"]

NAME = "LangChain"
CANNOT = {
    "authorization": "a runnable does not ask; functions in it may, by codin's task",
    "file_out": "a runnable has no files of its own",
    "private_tools": "a runnable does not tell its tools",
    "question": "a runnable does not ask; functions in it may, by codin's task",
    "question_by_data": "a runnable does not ask; functions in it may, by codin's task",
    "restart": "a runnable does not ask; functions in it may, by codin's task",
    "several": "a runnable does not ask; functions in it may, by codin's task",
}

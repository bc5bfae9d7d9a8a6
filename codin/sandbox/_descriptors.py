"""That this process can open no more files is said in one way, wherever a sandbox meets with it."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from codin.errors import SandboxError

__all__ = ["needing_descriptors"]


@contextmanager
def needing_descriptors() -> Generator[None]:
    """Raise SandboxError for want of descriptors, whatever was made of that meanwhile.

    That kind of sandbox can be had, at another moment: it is no SandboxUnavailable, after which some do without one.
    """
    try:
        yield
    except (OSError, SandboxError) as error:
        if not _is_short(error):
            raise
        raise SandboxError(
            "this process has too many files open", hint="have fewer open at a time, or raise the bound: `ulimit -n`"
        ) from error


def _is_short(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__
    return False

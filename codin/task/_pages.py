"""Page tokens of ListTasks: opaque to the caller, bound to the query they belong to."""

from __future__ import annotations

import base64
import binascii
import hashlib

from pydantic_core import from_json, to_json

from codin import a2a
from codin.task._protocol import ListQuery, Owner

__all__ = ["page_token", "parse_page_token"]


def page_token(owner: Owner, query: ListQuery, last: tuple[int, str]) -> str:
    """The token of the page behind `last`, the (changed, id) of the last task of this page."""
    return base64.urlsafe_b64encode(to_json([*last, _mark(owner, query)])).decode()


def parse_page_token(owner: Owner, query: ListQuery, token: str) -> tuple[int, str]:
    """Take a token apart. Raises InvalidParams when it was not made for this caller and these filters."""
    try:
        changed, task_id, mark = from_json(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, TypeError):
        changed, task_id, mark = None, None, None
    if not isinstance(changed, int) or not isinstance(task_id, str) or mark != _mark(owner, query):
        raise a2a.InvalidParams.of(
            "pageToken", "is not a token of this caller and these filters", hint="start again without a pageToken"
        )
    return changed, task_id


def _mark(owner: Owner, query: ListQuery) -> str:
    filters = [*owner, query.context_id, query.state and query.state.value, query.changed_after]
    return hashlib.sha256(to_json(filters)).hexdigest()[:16]

"""Calling A2A agents: `connect(url)` gives a `Peer` to send to, stream from, and ask about tasks."""

from codin.client._backoff import Backoff
from codin.client._connect import connect
from codin.client._content import Content, FileContent
from codin.client._delegate import OnEvent, begun_by, delegate
from codin.client._event import Event
from codin.client._fetch import FetchedCard, fetch_card
from codin.client._peer import Peer
from codin.client._reply import Reply

__all__ = [
    "Backoff",
    "Content",
    "Event",
    "FetchedCard",
    "FileContent",
    "OnEvent",
    "Peer",
    "Reply",
    "begun_by",
    "connect",
    "delegate",
    "fetch_card",
]

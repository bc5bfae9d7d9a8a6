"""The protocol's objects as Protocol Buffers, for the gRPC binding. Needs the extra `grpc`.

`parsed` and `to_json` lead from the bytes of a message to its JSON, `from_json` leads back. The rest of codin knows
JSON only.
"""

from codin.a2a._proto._messages import POOL, from_json, message_class, parsed, to_json
from codin.a2a._proto._schema import RPCS, SERVICE, Rpc
from codin.a2a._proto._status import STATUS_KEY, error_of, status_of, words_of
from codin.a2a._proto._values import check_values

__all__ = [
    "POOL",
    "RPCS",
    "SERVICE",
    "STATUS_KEY",
    "Rpc",
    "check_values",
    "error_of",
    "from_json",
    "message_class",
    "parsed",
    "status_of",
    "to_json",
    "words_of",
]

"""A2A 0.3 in the terms of 1.0: requests, results, events, errors and cards, both ways. No I/O.

Everything here takes and gives plain JSON. `RPC` is how 0.3 wrote the objects in JSON-RPC, `REST` how in HTTP+JSON.
"""

from codin.a2a.v03._card import (
    OLD_VERSION,
    card_of,
    is_old_card,
    is_old_version,
    read_card,
    with_old_fields,
    with_old_interfaces,
)
from codin.a2a.v03._dialect import REST, RPC, Dialect
from codin.a2a.v03._errors import known_error
from codin.a2a.v03._requests import METHODS, read_request, read_result, read_send, write_request, write_result
from codin.a2a.v03._rest import (
    REST_PREFIX,
    REST_ROUTES,
    read_rest_request,
    read_rest_result,
    write_rest_request,
    write_rest_result,
)

__all__ = [
    "METHODS",
    "OLD_VERSION",
    "REST",
    "REST_PREFIX",
    "REST_ROUTES",
    "RPC",
    "Dialect",
    "card_of",
    "is_old_card",
    "is_old_version",
    "known_error",
    "read_card",
    "read_request",
    "read_rest_request",
    "read_rest_result",
    "read_result",
    "read_send",
    "with_old_fields",
    "with_old_interfaces",
    "write_request",
    "write_rest_request",
    "write_rest_result",
    "write_result",
]

"""Where a server is that keeps its port when it starts again."""

from __future__ import annotations

import socket

from codin.cli._ports import free_port


def test_no_client_is_lent_a_port_that_a_server_keeps() -> None:
    with socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        assert 0 < free_port("127.0.0.1") < client.getsockname()[1]


def test_the_port_of_before_is_kept_while_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", free_port("127.0.0.1"))) as server:
        before: int = server.getsockname()[1]
        assert free_port("127.0.0.1", before) not in {0, before}
    assert free_port("127.0.0.1", before) == before


def test_a_host_that_is_not_here_has_none() -> None:
    assert free_port("192.0.2.1") == 0

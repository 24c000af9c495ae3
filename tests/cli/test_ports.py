"""Who has a port, and which one is free."""

import os
import socket
import sys

import pytest

from beamfast.cli.ports import free_port_after, holder_of
from beamfast.server.binding import bind_tcp


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_who_listens_is_named(address):
    with bind_tcp(address, 0) as listener:
        holder = holder_of(listener.getsockname()[1])
    # Other kernels do not say.
    assert (holder is None) == (sys.platform != "linux")
    assert holder is None or holder.endswith(f", process {os.getpid()}")


def test_a_port_that_nobody_has_belongs_to_nobody():
    with bind_tcp("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    assert holder_of(port) is None


def test_a_connection_from_a_port_is_no_listener():
    with (
        bind_tcp("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        assert holder_of(client.getsockname()[1]) is None


def test_the_next_free_port_can_be_bound():
    with bind_tcp("127.0.0.1", 0) as taken:
        port = free_port_after("127.0.0.1", taken.getsockname()[1] - 1)
        assert port > taken.getsockname()[1]
        bind_tcp("127.0.0.1", port).close()


def test_behind_the_last_port_there_is_none():
    assert free_port_after("127.0.0.1", 65535) == 0

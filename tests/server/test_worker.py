"""Binding listeners."""

import errno
import socket

import pytest

from beamfast.server.worker import bind_tcp


def test_port_0_takes_any_free_port():
    with bind_tcp("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with socket.create_connection((host, port)):
            pass


def test_a_port_in_use_is_an_error():
    with bind_tcp("127.0.0.1", 0) as listener:
        with pytest.raises(OSError, match="in use") as failure:
            bind_tcp("127.0.0.1", listener.getsockname()[1])
        assert failure.value.errno == errno.EADDRINUSE


def test_an_address_that_is_not_ours_is_an_error_and_leaks_no_socket():
    with pytest.raises(OSError, match=r".") as failure:
        bind_tcp("192.0.2.1", 0)
    assert failure.value.errno == errno.EADDRNOTAVAIL


def test_the_ipv6_wildcard_takes_both_families():
    if not socket.has_dualstack_ipv6():
        return
    with bind_tcp("::", 0) as listener:
        port = listener.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port)):
                pass

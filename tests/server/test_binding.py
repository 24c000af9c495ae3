"""Binding listeners, one or one for each worker."""

import errno
import selectors
import socket

import pytest

from beamfast.server import binding
from beamfast.server.binding import bind_tcp, bind_tcp_for, url_of


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


def accepted(listeners):
    """Return which of ``listeners`` a connection waits at."""
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        ((key, _),) = selector.select(10)
        key.fileobj.accept()[0].close()
        return key.fileobj


@pytest.fixture
def listeners():
    made = []

    def bind(workers, port=0):
        made.extend(bind_tcp_for(workers, "127.0.0.1", port))
        return made[-workers:]

    yield bind
    for listener in made:
        listener.close()


def test_each_worker_has_a_socket_on_the_same_port(listeners):
    bound = listeners(4)
    (place,) = {listener.getsockname() for listener in bound}
    seen = set()
    for _ in range(200):
        with socket.create_connection(place):
            seen.add(accepted(set(bound)))
    assert seen == set(bound)


def test_a_port_in_use_is_noticed_by_several_workers(listeners):
    with bind_tcp("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        listeners(2, taken.getsockname()[1])


def test_several_workers_do_not_join_those_of_another_server(listeners):
    port = listeners(2)[0].getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        listeners(2, port)


def test_where_the_kernel_does_not_spread_all_share_one_socket(listeners, monkeypatch):
    monkeypatch.setattr(binding, "SPREADS", False)
    first, second, third = listeners(3)
    assert first is second is third
    assert not first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


class Bound:
    def __init__(self, *place):
        self.place = place

    def getsockname(self):
        return self.place


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (("127.0.0.1", 80), "http://127.0.0.1:80/"),
        (("0.0.0.0", 80), "http://127.0.0.1:80/"),
        (("::1", 80, 0, 0), "http://[::1]:80/"),
        (("::", 80, 0, 0), "http://127.0.0.1:80/"),
    ],
)
def test_the_url_is_one_that_a_browser_can_open(place, url):
    assert url_of(Bound(*place)) == url

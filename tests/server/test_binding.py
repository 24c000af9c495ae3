"""Binding listeners, one or one for each worker."""

import errno
import os
import selectors
import socket
import stat

import pytest

from beamfast.errors import ConfigError
from beamfast.server import binding
from beamfast.server.binding import (
    bind,
    bind_tcp,
    bind_tcp_for,
    bind_unix,
    url_of,
    urls_of,
)
from beamfast.server.config import ListenerConfig


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


class Somewhere:
    family = socket.AF_INET

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
    assert url_of(Somewhere(*place)) == url


def places(*listen: str) -> list[ListenerConfig]:
    return [ListenerConfig(one) for one in listen]


def test_several_places_are_bound_at_once(tmp_path):
    path = tmp_path / "site.sock"
    bound = bind(places("127.0.0.1:0", f"unix:{path}", "[::1]:0"), 2)
    try:
        for one in bound:
            assert len(one.sockets) == 2
            with socket.socket(one.sockets[0].family) as client:
                client.connect(one.sockets[0].getsockname())
        assert [url.partition(":")[0] for url in urls_of(bound)] == [
            *("http", "unix", "http"),
        ]
    finally:
        for one in bound:
            one.close()
    assert not path.exists()


def test_if_one_place_is_taken_none_is_kept(tmp_path):
    path = tmp_path / "site.sock"
    with bind_tcp("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            bind(places(f"unix:{path}", f"127.0.0.1:{port}"))
    assert not path.exists()


def test_a_unix_socket_has_its_mode_and_replaces_one_that_is_dead(tmp_path):
    path = tmp_path / "site.sock"
    first = bind_unix(path, 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(OSError, match="in use"):
        bind_unix(path, 0o600)
    first.close()
    bind_unix(path, 0o666).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="in use"):
        bind_unix(tmp_path / "file", 0o600)


def test_an_inherited_descriptor_is_a_place():
    with bind_tcp("127.0.0.1", 0) as ours:
        copy = os.dup(ours.fileno())
        (bound,) = bind(places(f"fd:{copy}"), 3)
        assert bound.url == url_of(ours)
        assert len(set(bound.sockets)) == 1
        bound.close()


def test_an_encrypted_place_has_another_scheme():
    (bound,) = bind([ListenerConfig("127.0.0.1:0", tls=True)])
    assert bound.url.startswith("https://127.0.0.1:")
    bound.close()


@pytest.mark.parametrize("listen", ["systemd", "fd:x", "fd:9999", "nowhere", "a:b"])
def test_what_is_no_place_is_a_mistake(listen, monkeypatch):
    monkeypatch.delenv("LISTEN_PID", raising=False)
    with pytest.raises(ConfigError):
        bind(places(listen))


def test_a_star_is_every_address_of_both_families():
    (bound,) = bind(places("*:0"))
    port = bound.sockets[0].getsockname()[1]
    families = ["127.0.0.1", "::1"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
    for address in families:
        with socket.create_connection((address, port)):
            pass
    bound.close()

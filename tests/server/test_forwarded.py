"""What proxies say of clients: believed from listed networks, from the right."""

import pytest

from beamfast.http import Headers, Request
from beamfast.server.forwarded import TrustedProxies


def asked(peer: str, *fields: tuple[str, str], names=("10.0.0.0/8", "unix")) -> Request:
    request = Request("GET", "/", url="/", path="/", headers=Headers(fields))
    request.remote_addr = peer
    TrustedProxies(names).apply(request)
    return request


FOR = "X-Forwarded-For"


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (["6.6.6.6", "192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["192.0.2.1:4711, 10.0.0.2:80"], "192.0.2.1"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, unknown"], "10.0.0.1"),
        (["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_first_from_the_right_that_nobody_trusted_added_is_the_client(
    values, client
):
    assert asked("10.0.0.1", *[(FOR, one) for one in values]).remote_addr == client


@pytest.mark.parametrize("peer", ["192.0.2.9", "2001:db8::9", "nonsense"])
def test_others_are_not_believed_and_what_they_claim_is_dropped(peer):
    request = asked(
        peer,
        (FOR, "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=127.0.0.1"),
        ("Host", "site.example"),
    )
    assert request.remote_addr == peer
    assert not request.is_secure
    assert list(request.headers) == [("Host", "site.example")]


def test_scheme_and_host_belong_to_the_hop_of_the_client():
    request = asked(
        "10.0.0.1",
        (FOR, "6.6.6.6, 192.0.2.1"),
        ("X-Forwarded-Proto", "http, https"),
        ("X-Forwarded-Host", "evil.example, site.example"),
        ("Host", "inner"),
    )
    assert request.is_secure
    assert request.headers["host"] == "site.example"
    two = asked(
        "10.0.0.1", (FOR, "192.0.2.1, 10.0.0.2"), ("X-Forwarded-Proto", "https")
    )
    assert two.is_secure


def test_a_proxy_may_say_that_the_client_came_without_tls():
    assert not asked(
        "10.0.0.1", (FOR, "192.0.2.1"), ("X-Forwarded-Proto", "http")
    ).is_secure


def test_the_standard_field_means_the_same():
    request = asked(
        "10.0.0.1",
        ("Forwarded", 'for=6.6.6.6;proto=http, For="[2001:db8::1]:80";Proto=https'),
        ("Forwarded", "for=10.0.0.2;host=site.example"),
        ("Host", "inner"),
    )
    assert request.remote_addr == "2001:db8::1"
    assert request.is_secure


def test_it_does_not_count_beside_the_older_ones():
    request = asked("10.0.0.1", (FOR, "192.0.2.1"), ("Forwarded", "for=127.0.0.1"))
    assert request.remote_addr == "192.0.2.1"


def test_a_unix_socket_is_trusted_when_it_is_listed():
    assert asked("-", (FOR, "192.0.2.1")).remote_addr == "192.0.2.1"
    assert asked("-", (FOR, "192.0.2.1"), names=("10.0.0.0/8",)).remote_addr == "-"


def test_a_peer_in_the_clothes_of_ipv6_is_who_it_is():
    assert asked("::ffff:10.0.0.1", (FOR, "192.0.2.1")).remote_addr == "192.0.2.1"


def test_what_is_no_network_is_a_mistake():
    with pytest.raises(ValueError, match="somewhere"):
        TrustedProxies(["somewhere"])

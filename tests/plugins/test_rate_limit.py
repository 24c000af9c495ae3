"""Buckets over time, whose they are, what clients are told, and that they stay few."""

import json

import pytest

from beamfast.errors import ConfigError
from beamfast.http import Headers, Request, Response
from beamfast.plugins import rate_limit
from beamfast.plugins.rate_limit import IDLE, Options, RateLimit, network
from beamfast.server.config import PluginConfig
from beamfast.server.options import convert
from beamfast.server.plugin_types import load_plugin


class Clients:
    """A plugin, a clock that the test moves, and requests of several clients."""

    def __init__(self, **options) -> None:
        self.now = 100.0
        self.plugin = RateLimit(Options(**options), clock=lambda: self.now)

    def ask(
        self, address="192.0.2.1", *, user=None, host="a.example", more=(), probe=False
    ) -> Response:
        headers = Headers([("Host", host), *more])
        request = Request("GET", "/", url="/", path="/", headers=headers)
        request.remote_addr = address
        request.user = user
        request.probe = probe
        response = self.plugin.handle_request(request, None) or Response(200)
        self.plugin.handle_response(request, response, None)
        return response

    def statuses(self, count: int, *args, **kwargs) -> list[int]:
        return [self.ask(*args, **kwargs).status for _ in range(count)]


def limits(response: Response) -> list[str | None]:
    names = ("Limit", "Remaining", "Reset")
    return [response.headers.get(f"X-RateLimit-{name}") for name in names]


UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade")]


def test_a_burst_passes_and_the_next_is_refused():
    clients = Clients(requests_per_second=2)
    assert clients.statuses(5) == [200, 200, 200, 200, 429]


def test_a_refusal_says_when_to_come_back():
    clients = Clients(requests_per_second=0.25, burst_capacity=1)
    clients.ask()
    clients.now += 0.5
    refused = clients.ask()
    assert refused.headers["Retry-After"] == "4"
    assert refused.headers["Content-Type"] == "application/json"
    assert json.loads(refused.body) == {
        "error": "Rate limit exceeded",
        "message": "Too many requests; try again in 4 s",
        "retry_after_seconds": 4,
    }
    assert limits(refused) == ["1", "0", "4"]


def test_a_client_is_never_sent_back_at_once():
    clients = Clients(requests_per_second=1000, burst_capacity=1)
    clients.ask()
    assert clients.ask().headers["Retry-After"] == "1"


def test_a_bucket_refills_and_never_overflows():
    clients = Clients(requests_per_second=2, burst_capacity=3)
    assert clients.statuses(4)[-1] == 429
    clients.now += 0.5
    assert clients.statuses(2) == [200, 429]
    clients.now += 1000
    assert clients.statuses(4) == [200, 200, 200, 429]


def test_an_answer_says_how_the_client_stands():
    clients = Clients(requests_per_second=2)
    assert limits(clients.ask()) == ["4", "3", "1"]
    assert limits(clients.ask()) == ["4", "2", "1"]
    assert limits(clients.ask()) == ["4", "1", "2"]


def test_addresses_are_independent():
    clients = Clients(requests_per_second=1, burst_capacity=1)
    assert clients.statuses(2) == [200, 429]
    assert clients.statuses(2, "192.0.2.2") == [200, 429]


def test_a_forwarded_address_of_the_clients_own_making_counts_for_nothing():
    clients = Clients(requests_per_second=1, burst_capacity=1)
    forged = [[("X-Forwarded-For", f"10.0.0.{number}")] for number in range(2)]
    assert [clients.ask(more=more).status for more in forged] == [200, 429]


def test_users_are_independent_and_those_without_a_name_are_addresses():
    clients = Clients(key_strategy="user", burst_capacity=1)
    assert clients.statuses(2, user="ann") == [200, 429]
    assert clients.statuses(2, "192.0.2.2", user="ann") == [429, 429]
    assert clients.statuses(2, user="bob") == [200, 429]
    assert clients.statuses(2) == [200, 429]
    assert clients.statuses(1, "192.0.2.2") == [200]


def test_hosts_are_independent():
    clients = Clients(key_strategy="host", burst_capacity=1)
    assert clients.statuses(2) == [200, 429]
    assert clients.statuses(2, "192.0.2.2", host="B.example") == [200, 429]
    assert clients.statuses(1, host="b.example") == [429]


def test_one_bucket_can_be_for_everybody():
    clients = Clients(key_strategy="global", burst_capacity=1)
    assert clients.statuses(1) == [200]
    assert clients.statuses(1, "192.0.2.2", user="ann", host="b") == [429]


def test_upgrades_are_counted_apart():
    clients = Clients(requests_per_second=1, upgrades_per_second=2)
    assert clients.statuses(5, more=UPGRADE) == [200, 200, 200, 200, 429]
    assert clients.statuses(3) == [200, 200, 429]


def test_a_probe_costs_nothing():
    clients = Clients(burst_capacity=1)
    assert clients.statuses(3, probe=True) == [200, 200, 200]
    assert limits(clients.ask(probe=True)) == [None, None, None]
    assert clients.statuses(2) == [200, 429]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("unix:", "unix:"),
        ("-", "-"),
    ],
)
def test_a_client_is_its_address_or_its_ipv6_network(address, expected):
    assert network(address) == expected


@pytest.mark.parametrize(
    ("texts", "rate", "capacity"),
    [
        ({}, 10.0, "20"),
        ({"requests-per-minute": ["90"]}, 1.5, "3"),
        ({"requests": ["30"], "window": ["10"]}, 3.0, "6"),
        ({"requests_per_second": ["0.1"]}, 0.1, "1"),
        ({"burst-size": ["7"]}, 10.0, "7"),
        ({"burst": ["8"]}, 10.0, "8"),
    ],
)
def test_all_published_spellings_of_a_rate(texts, rate, capacity):
    values, problems = convert(Options, texts, RateLimit.aliases)
    assert not problems
    assert Options(**values).rate == rate
    assert limits(Clients(**values).ask())[0] == capacity


@pytest.mark.parametrize("options", [{"requests_per_second": 0.0}, {"window": 0.0}])
def test_a_rate_of_zero_is_a_mistake(options):
    with pytest.raises(ConfigError, match="refuse every request"):
        load_plugin(PluginConfig("rate-limit", options))


def test_unused_buckets_are_forgotten():
    clients = Clients(cleanup_interval=60)
    clients.ask("192.0.2.1")
    clients.now += IDLE
    clients.ask("192.0.2.2")
    assert len(clients.plugin) == 2
    clients.now += 60
    clients.ask("192.0.2.2")
    assert len(clients.plugin) == 1


def test_there_are_never_more_buckets_than_the_limit(monkeypatch):
    monkeypatch.setattr(rate_limit, "BUCKETS", 3)
    clients = Clients(burst_capacity=1)
    for number in range(4):
        clients.ask(f"192.0.2.{number}")
        clients.ask("198.51.100.1")
    assert len(clients.plugin) == 3
    assert clients.ask("198.51.100.1").status == 429


async def test_the_limit_holds_in_a_pipeline(make_site):
    site = make_site(
        PluginConfig("rate-limit", {"requests_per_second": 0.01, "burst_capacity": 2}),
        PluginConfig("file-handler"),
    )
    answers = [await site.ask("GET", "/notes.txt") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert limits(answers[1]) == ["2", "0", "200"]


def test_a_reload_keeps_the_buckets_unless_they_are_of_another_size():
    clients = Clients(requests_per_second=1.0, burst_capacity=1)
    assert clients.statuses(2) == [200, 429]
    for burst, status in ((1, 429), (2, 200)):
        options = Options(requests_per_second=1.0, burst_capacity=burst)
        plugin = RateLimit(options, clock=lambda: clients.now)
        plugin.reload(clients.plugin)
        clients.plugin = plugin
        assert clients.ask().status == status

"""Choosing a host, loading plugins, and the checks that protect every host."""

import asyncio

import pytest

from beamfast.connection.service import Service
from beamfast.documents.change import Appending
from beamfast.http import Headers, Request, Response
from beamfast.journal import database
from beamfast.journal.file import FileJournal
from beamfast.pubsub.hub import Hub
from beamfast.server import host as module
from beamfast.server.config import HostConfig, PluginConfig
from beamfast.server.host import Host, Hosts, host_name


def request(method: str = "GET", path: str = "/a.txt", **fields: str) -> Request:
    fields.setdefault("host", "localhost")
    headers = Headers((name.replace("_", "-"), text) for name, text in fields.items())
    return Request(method, path, url=path, path=path, headers=headers)


@pytest.fixture
async def make_hosts(tmp_path):
    made = []

    def make(*names: str, is_loopback: bool = True, **options) -> Hosts:
        loop = asyncio.get_running_loop()
        hub = Hub(loop)
        hosts = []
        for name in names:
            root = tmp_path / f"host-{len(made) + len(hosts)}"
            root.mkdir()
            (root / "a.txt").write_text(name)
            plugins = (PluginConfig("file-handler"),)
            config = HostConfig(root, (name,), plugins, **options)
            hosts.append(Host(config, hub, loop))
            hosts[-1].start()
        made.extend(hosts)
        return Hosts(hosts, is_loopback=is_loopback)

    yield make
    for host in made:
        await host.stop()


async def answer(hosts: Hosts, asked: Request) -> Response:
    result = hosts.handle(asked)
    return result if isinstance(result, Response) else await result


async def test_the_host_field_chooses_whatever_its_case_and_port(make_hosts):
    hosts = make_hosts("one.example", "two.example", is_loopback=False)
    for value in ("two.example", "TWO.example", "two.example:3000"):
        assert (await answer(hosts, request(host=value))).body == b"two.example"


async def test_a_value_is_looked_at_again_after_too_many_others(
    make_hosts, monkeypatch
):
    monkeypatch.setattr(module, "REMEMBERED_NAMES", 2)
    hosts = make_hosts("one.example", is_loopback=False)
    for value in ("one.example", "two.example", "three.example", "one.example") * 2:
        expected = 200 if value == "one.example" else 404
        assert (await answer(hosts, request(host=value))).status == expected


async def test_an_unknown_host_is_404_or_the_catch_all(make_hosts):
    hosts = make_hosts("one.example", is_loopback=False)
    refused = await answer(hosts, request(host="other.example"))
    assert (refused.status, refused.body) == (404, b"Host not found")


async def test_the_catch_all_takes_any_name_on_a_public_listener(make_hosts):
    hosts = make_hosts("*", is_loopback=False)
    assert (await answer(hosts, request(host="any.example"))).body == b"*"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ],
)
async def test_a_rebound_name_is_misdirected_on_loopback(make_hosts, host, status):
    hosts = make_hosts("*")
    assert (await answer(hosts, request(host=host))).status == status


async def test_a_configured_name_is_ours_on_loopback_too(make_hosts):
    hosts = make_hosts("app.example")
    assert (await answer(hosts, request(host="app.example"))).status == 200


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"origin": "http://localhost", "sec_fetch_site": "cross-site"},
    ],
)
async def test_a_write_by_a_foreign_page_is_403(make_hosts, method, fields):
    hosts = make_hosts("*")
    asked = request(method, **fields)
    assert (await answer(hosts, asked)).status == 403
    read = request("GET", **fields)
    assert (await answer(hosts, read)).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"origin": "http://localhost"},
        {"sec_fetch_site": "same-origin", "origin": "http://localhost"},
        {"origin": "https://friend.example", "sec_fetch_site": "cross-site"},
    ],
)
async def test_a_write_by_an_own_or_listed_page_is_done(make_hosts, fields):
    hosts = make_hosts("*", allowed_origins=("https://friend.example",))
    assert (await answer(hosts, request("PUT", "/b.txt", **fields))).status == 201


@pytest.mark.parametrize(
    ("value", "name"),
    [("A.b", "a.b"), ("a:80", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")],
)
def test_the_name_in_a_host_field(value, name):
    assert host_name(value) == name


async def test_the_longest_wildcard_wins_over_the_catch_all(make_hosts):
    hosts = make_hosts(
        "*", "*.example", "*.b.example", "c.b.example", is_loopback=False
    )
    for value, expected in {
        "x.test": b"*",
        "a.example": b"*.example",
        "a.b.example": b"*.b.example",
        "c.b.example": b"c.b.example",
        "example": b"*",
    }.items():
        assert (await answer(hosts, request(host=value))).body == expected


@pytest.mark.parametrize("header", ["club/1", ""])
async def test_a_host_has_its_own_server_header(make_hosts, header):
    hosts = make_hosts("*", server_header=header)
    response = await answer(hosts, request())
    assert response.headers["Server"] == header


async def test_plugins_learn_how_the_process_is(make_hosts):
    hosts = make_hosts("one.example")
    context = hosts.hosts[0].pipeline.context
    assert (context.status.is_draining(), context.status.connections()) == (False, 0)
    loop = asyncio.get_running_loop()
    service = Service(hosts.handle, loop, context.hub.registry)
    hosts.hosts[0].follow(service)
    service.is_draining = True
    assert context.status.is_draining()
    assert context.status.connections() == 0
    service.heartbeat.close()


async def test_plugins_learn_what_the_host_calls_the_server(make_hosts):
    for header, name in [(None, "beamfast"), ("mine/1", "mine/1"), ("", "")]:
        (host,) = make_hosts(f"{name or 'none'}.example", server_header=header).hosts
        assert host.pipeline.context.server_name == name


async def test_the_journal_is_as_durable_and_as_long_as_configured(
    make_hosts, monkeypatch
):
    asked = []
    connect = database.connect

    def note(file, durability="full"):
        asked.append(durability)
        return connect(file, durability)

    monkeypatch.setattr(database, "connect", note)
    hosts = make_hosts("one", durability="relaxed", retain_entries=2)
    (host,) = hosts.hosts
    location = host.store.resolve("/page.html")
    versions = [
        (await host.committer.commit(location, Appending(b"<p>"), url="/")).version
        for _ in range(4)
    ]
    # The writer's connection; those that only read need no durability.
    assert "relaxed" in asked
    await host.committer.flush()
    journal = FileJournal(host.config.root)
    assert await journal.start(location.key) == versions[1]
    await journal.close()

"""The handshake of the websocket plugin, and what a subscriber gets."""

import asyncio
import re

import pytest

from beamfast.documents.store import Location
from beamfast.documents.streamitem import LEGACY_TYPE, SCHEMA_TYPE, parse
from beamfast.server.config import PluginConfig

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec_WebSocket_Version": "13",
}


async def shake(site, target="/page.html", **fields):
    return await site.ask("GET", target, **{**HANDSHAKE, **fields})


@pytest.mark.parametrize("target", ["/page.html", "/not/there.html", "/notes.txt", "/"])
async def test_any_path_is_upgraded(site, target):
    answer = await shake(site, target)
    assert answer.status == 101
    assert answer.upgrade is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"Upgrade": "other"},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Version": "12"},
        {"Sec_WebSocket_Key": "short"},
    ],
)
async def test_a_wrong_handshake_is_left_to_the_next_plugin(site, fields):
    answer = await shake(site, **fields)
    assert answer.status == 200
    assert answer.body == site.read("page.html")


async def test_a_wrong_version_learns_the_right_one(site):
    answer = await shake(site, Sec_WebSocket_Version="12")
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    plain = await site.ask("GET", "/page.html")
    assert "Sec-WebSocket-Version" not in plain.headers


async def test_a_strict_handshake_refuses(make_site):
    site = make_site(PluginConfig("websocket", {"strict_handshake": True}))
    assert (await shake(site, Sec_WebSocket_Version="12")).status == 426
    assert (await shake(site, Sec_WebSocket_Key="short")).status == 400


OLD_DRAFTS = {
    "hixie": {"Sec_WebSocket_Key": None, "Sec_WebSocket_Version": None},
    "7": {"Sec_WebSocket_Version": "7"},
    "8": {"Sec_WebSocket_Version": "8"},
}


@pytest.mark.parametrize("draft", OLD_DRAFTS)
async def test_old_drafts_are_spoken_only_if_asked_for(site, make_site, draft):
    fields = {**HANDSHAKE, **OLD_DRAFTS[draft]}
    fields = {name: value for name, value in fields.items() if value is not None}
    assert (await site.ask("GET", "/page.html", **fields)).status == 200
    old = make_site(PluginConfig("websocket", {"legacy_drafts": True}))
    answer = await old.ask("GET", "/page.html", **fields)
    assert (answer.status, answer.upgrade.legacy_drafts) == (101, True)
    for name in ("Origin", "Sec_WebSocket_Origin"):
        foreign = {**fields, name: "http://evil.example"}
        assert (await old.ask("GET", "/page.html", **foreign)).status == 403


async def test_what_is_usual_is_agreed_once_for_each_document(site, monkeypatch):
    monkeypatch.setattr("beamfast.plugins.websocket.USUAL", 2)
    first = (await shake(site)).upgrade
    assert (await shake(site)).upgrade is first
    assert (await shake(site, "/page.html?since=1-0")).upgrade is not first
    versioned = await shake(site, Sec_WebSocket_Protocol="beam.v1")
    assert versioned.upgrade.subprotocol == "beam.v1"
    for target in ("/other.html", "/third.html", "/page.html"):
        assert (await shake(site, target)).upgrade is not first


async def test_a_path_that_leads_elsewhere_is_agreed_on_anew(site, monkeypatch):
    monkeypatch.setattr("beamfast.documents.store.FOUND_SECONDS", 0.0)
    link = site.root / "link.html"
    for name in ("page.html", "new.html"):
        (site.root / name).write_text("<p>text")
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        upgrade = (await shake(site, "/link.html")).upgrade
        found = [one for one in upgrade.on_open.args if isinstance(one, Location)]
        assert [one.key for one in found] == [f"/{name}"]


async def test_a_foreign_origin_is_refused(site):
    answer = await shake(site, Origin="http://evil.example")
    assert answer.status == 403
    assert answer.upgrade is None
    assert (await shake(site, Origin="http://localhost")).status == 101


async def test_a_listed_origin_is_allowed(make_site):
    origins = ("http://friend.example",)
    site = make_site(PluginConfig("websocket", {"allowed_origins": origins}))
    assert (await shake(site, Origin=origins[0])).status == 101


async def test_a_path_above_the_root_is_refused(site):
    assert (await shake(site, "/../page.html")).status == 404


@pytest.mark.parametrize(
    ("kind", "itemtype"),
    [("auto", SCHEMA_TYPE), ("schema", SCHEMA_TYPE), ("legacy", LEGACY_TYPE)],
)
async def test_the_item_type_follows_the_option(make_site, make_viewer, kind, itemtype):
    site = make_site(
        PluginConfig("websocket", {"stream_item": kind}),
        PluginConfig("selector-handler"),
    )
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    (line,) = await viewer.lines()
    assert f'itemtype="{itemtype}"' in line


async def test_the_aliases_of_a_document_share_its_edits(site, make_viewer):
    (site.root / "a b").mkdir()
    (site.root / "a b" / "index.html").write_bytes(b"<p id=p>x")
    viewers = []
    for target in ("/a%20b", "/a%20b/", "/a%20b/index.html", "/a%20b/?x=1"):
        viewers.append(make_viewer(site))
        (await shake(site, target)).upgrade.on_open(viewers[-1])
    await site.ask("PUT", "/a%20b/", b"<p id=p>y", "#p")
    for viewer in viewers:
        (line,) = await viewer.lines()
        assert '<span itemprop="url">/a b/</span>' in line


async def test_nothing_comes_before_the_first_edit_nor_for_what_is_no_edit(
    site, make_viewer
):
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    await site.ask("GET", "/page.html", selector="h1")
    await site.ask("PUT", "/page.html", b"x", "h6")
    await site.ask("PUT", "/missing.html", b"x", "p")
    await site.ask("PUT", "/other.html", b"<p>")
    await site.ask("PUT", "/other.html", b"<p>y", "p")
    foreign = {"Origin": "http://evil.example"}
    refused = await site.ask("PUT", "/page.html", b"<h1>x", "h1", **foreign)
    assert refused.status == 403
    assert await viewer.lines() == []


async def test_the_url_of_an_item_is_as_the_writer_spelled_it(site, make_viewer):
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    await site.ask("PUT", "//./page.html", b"<h1>x</h1>", "h1")
    (line,) = await viewer.lines()
    assert '<span itemprop="url">//./page.html</span>' in line


async def test_a_selector_with_markup_is_escaped(site, make_viewer):
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    selector = '%68%31:not([title="</span><b>"])'
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", selector)
    (line,) = await viewer.lines()
    assert "h1:not([title=&quot;&lt;/span&gt;&lt;b&gt;&quot;])" in line


async def test_each_wire_form_is_built_once(site, make_viewer):
    for _ in range(50):
        (await shake(site)).upgrade.on_open(make_viewer(site))
    before = site.hub.registry.counters.encodes
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    assert site.hub.registry.counters.encodes == before + 1


async def test_items_arrive_in_edit_order_under_parallel_editors(site, make_viewer):
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    await asyncio.gather(
        *(
            site.ask("POST", "/page.html", b"<li>%d</li>" % number, "ul")
            for number in range(50)
        )
    )
    sent = [re.search(r"<li>(\d+)</li>", line)[1] for line in await viewer.lines()]
    stored = re.findall(rb"<li>(\d+)</li>", site.read("page.html"))
    assert sent == [number.decode() for number in stored]
    assert len(sent) == 50


async def arrived(viewer, number):
    """Return the first lines, once there are so many."""
    async with asyncio.timeout(5):
        while len(lines := await viewer.lines()) < number:
            await asyncio.sleep(0)
    return lines


def item_of(line):
    """Return version and parsed item of a line."""
    version, _, item = line.split(" ", 2)
    return version, parse(item)


async def test_the_subprotocol_begins_with_the_version(site, make_viewer):
    viewer = make_viewer(site)
    answer = await shake(site, Sec_WebSocket_Protocol="chat, beam.v1")
    assert answer.upgrade.subprotocol == "beam.v1"
    answer.upgrade.on_open(viewer)
    edit = await site.ask(
        "PUT", "/page.html", b"<h1>x</h1>", "h1", Idempotency_Key="my-edit"
    )
    first, second = await arrived(viewer, 2)
    before, greeting = item_of(first)
    after, item = item_of(second)
    assert (greeting.method, str(greeting.version)) == ("VERSION", before)
    assert (item.method, str(item.version)) == ("PUT", after)
    assert edit.headers["ETag"] == f'"{after}"'
    assert f'itemprop="previous">{before}<' in second
    assert 'itemprop="position">outerHTML<' in second
    assert 'itemprop="origin">my-edit<' in second


async def test_a_plain_socket_gets_no_version(site, make_viewer):
    viewer = make_viewer(site)
    answer = await shake(site, Sec_WebSocket_Protocol="chat")
    assert answer.upgrade.subprotocol is None
    answer.upgrade.on_open(viewer)
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    await site.ask("PUT", "/page.html", b"<h1>whole</h1>")
    (line,) = await viewer.lines()
    assert "version" not in line


@pytest.mark.parametrize("protocol", ["", "beam.v1"])
async def test_a_socket_that_names_a_version_gets_what_it_missed(
    site, make_viewer, protocol
):
    tags = [
        (await site.ask("PUT", "/page.html", b"<h1>%d</h1>" % n, "h1")).headers["ETag"]
        for n in range(3)
    ]
    versions = [tag.strip('"') for tag in tags]
    viewer = make_viewer(site)
    answer = await shake(
        site, f"/page.html?since={versions[0]}", Sec_WebSocket_Protocol=protocol
    )
    answer.upgrade.on_open(viewer)
    expected = versions if protocol else versions[1:]
    lines = await arrived(viewer, len(expected))
    assert [item_of(line)[0] for line in lines] == expected


async def test_a_plain_socket_with_an_unknown_version_gets_a_reset(site, make_viewer):
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    viewer = make_viewer(site)
    (await shake(site, "/page.html?since=")).upgrade.on_open(viewer)
    _, item = item_of("\n".join(await arrived(viewer, 1)) + "\n")
    assert (item.method, item.selector) == ("RESET", "html")
    assert item.content == site.read("page.html").decode()


async def test_an_edit_costs_nothing_for_sockets_on_other_documents(site, make_viewer):
    for number in range(2_000):
        answer = await shake(site, f"/{number % 100}.html")
        answer.upgrade.on_open(make_viewer(site))
    viewer = make_viewer(site)
    (await shake(site)).upgrade.on_open(viewer)
    registry = site.hub.registry
    before = registry.sends, registry.counters.encodes, registry.counters.deliveries
    await site.ask("PUT", "/page.html", b"<h1>x</h1>", "h1")
    assert len(await viewer.lines()) == 1
    after = registry.sends, registry.counters.encodes, registry.counters.deliveries
    # One frame, built once and sent once, however many are connected.
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]

"""What a client gets that narrows its subscription with JSON messages."""

import json

import pytest
from bs4 import BeautifulSoup
from websockets.exceptions import InvalidStatus

from beamfast.commit import following
from beamfast.documents.streamitem import LEGACY_TYPE, SCHEMA_TYPE
from beamfast.server.config import HostConfig, PluginConfig

from .conftest import Site
from .live import listening

OTHER = b"<!DOCTYPE html><p id=other>x</p>"


@pytest.fixture
async def live(make_site):
    site = make_site(
        PluginConfig("websocket"),
        PluginConfig("eventsource"),
        PluginConfig("selector-handler"),
        PluginConfig("file-handler"),
    )
    (site.root / "other.html").write_bytes(OTHER)
    async with listening(site) as live:
        yield live


async def edit(live, selector, content, path="/page.html", method="PUT"):
    answer = await live.site.ask(method, path, content.encode(), selector)
    assert answer.status in (204, 206), answer.body
    return answer


async def test_only_what_a_filter_names_is_delivered(live):
    socket = await live.open()
    reply = await socket.subscribe("#main")
    assert reply == {
        "type": "subscribed",
        "action": "subscribe",
        "url": "/page.html",
        "selector": "#main",
    }
    await edit(live, "h1", "<h1>not this</h1>")
    await edit(live, "#main", '<div id="main"><p>this</p></div>')
    item = await socket.item()
    assert (item.selector, item.content) == (
        "#main",
        '<div id="main"><p>this</p></div>',
    )


async def test_an_explicit_subscription_has_the_other_item_type(live):
    implicit, explicit = await live.open(), await live.open()
    await explicit.subscribe("*")
    await edit(live, "h1", "<h1>x</h1>")
    assert (await implicit.item()).itemtype == SCHEMA_TYPE
    assert (await explicit.item()).itemtype == LEGACY_TYPE


@pytest.mark.parametrize(
    ("kind", "itemtype"), [("schema", SCHEMA_TYPE), ("legacy", LEGACY_TYPE)]
)
async def test_an_option_forces_the_type_also_after_a_subscription(
    make_site, kind, itemtype
):
    site = make_site(
        PluginConfig("websocket", {"stream_item": kind}),
        PluginConfig("selector-handler"),
    )
    async with listening(site) as live:
        socket = await live.open()
        await socket.subscribe("h1")
        await edit(live, "h1", "<h1>x</h1>")
        assert (await socket.item()).itemtype == itemtype


async def test_further_subscriptions_add_and_an_edit_comes_once(live):
    socket = await live.open()
    await socket.subscribe("h1")
    await socket.subscribe("body")
    await socket.subscribe("ul")
    await edit(live, "h1", "<h1>1</h1>")
    await edit(live, "ul", "<li>2</li>", method="POST")
    await edit(live, "#c", '<td id="c">3</td>')
    assert [(await socket.item()).content for _ in range(3)] == [
        "<h1>1</h1>",
        "<li>2</li>",
        '<td id="c">3</td>',
    ]


async def test_an_ancestor_and_a_descendant_of_a_filter_are_delivered(live):
    socket = await live.open()
    await socket.subscribe("#main")
    await edit(live, "#main > p", "<p>inside</p>")
    await edit(live, "h1", "<h1>elsewhere</h1>")
    await edit(
        live, "body", '<body><div id="main"><p>around</p></div><h1>x</h1></body>'
    )
    assert (await socket.item()).selector == "#main > p"
    assert (await socket.item()).selector == "body"


async def test_white_space_in_a_selector_does_not_count(live):
    socket = await live.open()
    await socket.subscribe("#main   >\tp")
    await edit(live, "#main > p", "<p>x</p>")
    assert (await socket.item()).selector == "#main > p"
    reply = await socket.subscribe("#main > p", action="unsubscribe")
    assert reply["type"] == "unsubscribed"
    assert live.site.hub.registry.topics() == []


async def test_a_subscription_to_another_document_takes_the_place_of_the_own_one(live):
    socket = await live.open()
    reply = await socket.subscribe("#other", "/./other%2Ehtml")
    assert (reply["type"], reply["url"]) == ("subscribed", "/other.html")
    await edit(live, "h1", "<h1>own</h1>")
    await edit(live, "#other", '<p id="other">y</p>', "/other.html")
    assert (await socket.item()).url == "/other.html"


async def test_both_documents_can_be_followed(live):
    socket = await live.open()
    await socket.subscribe("*")
    await socket.subscribe("*", "/other.html")
    await edit(live, "h1", "<h1>own</h1>")
    await edit(live, "#other", '<p id="other">y</p>', "/other.html")
    assert (await socket.item()).url == "/page.html"
    assert (await socket.item()).url == "/other.html"


async def test_after_unsubscribing_nothing_is_delivered_and_one_can_subscribe_again(
    live,
):
    socket = await live.open()
    await socket.subscribe("h1")
    await socket.subscribe("ul")
    assert (await socket.subscribe("h1", action="unsubscribe"))["type"] == (
        "unsubscribed"
    )
    await edit(live, "h1", "<h1>not this</h1>")
    await edit(live, "ul", "<li>this</li>", method="POST")
    assert (await socket.item()).selector == "ul"
    await socket.subscribe("ul", action="unsubscribe")
    await edit(live, "ul", "<li>nor this</li>", method="POST")
    await socket.subscribe("h1")
    await edit(live, "h1", "<h1>but this</h1>")
    assert (await socket.item()).content == "<h1>but this</h1>"


@pytest.mark.parametrize("url", [None, "/page.html"])
async def test_a_star_unsubscribes_also_what_connecting_has_subscribed(live, url):
    socket = await live.open()
    reply = await socket.subscribe("*", url, action="unsubscribe")
    assert (reply["type"], reply["selector"]) == ("unsubscribed", "*")
    assert live.site.hub.registry.topics() == []
    await socket.subscribe("ul", action="unsubscribe")
    await edit(live, "h1", "<h1>not this</h1>")
    await socket.subscribe("h1")
    await edit(live, "h1", "<h1>this</h1>")
    assert (await socket.item()).content == "<h1>this</h1>"


async def test_unsubscribing_from_what_was_not_subscribed_leaves_the_rest(live):
    socket = await live.open()
    await socket.subscribe("#nothing", action="unsubscribe")
    await socket.subscribe("*", "/other.html", action="unsubscribe")
    await edit(live, "h1", "<h1>x</h1>")
    item = await socket.item()
    assert (item.selector, item.itemtype) == ("h1", SCHEMA_TYPE)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", "invalid-json"),
        (b"\x00\x01", "binary-not-supported"),
        ({"action": "subscribe"}, "missing-selector"),
        ({"action": "jump", "selector": "p"}, "unknown-action"),
        ({"action": "subscribe", "selector": ">>>x<<<"}, "invalid-selector"),
        ({"action": "subscribe", "selector": "p", "url": "page"}, "invalid-url"),
        ({"action": "subscribe", "selector": "p", "url": "/%zz"}, "invalid-url"),
        ({"action": "subscribe", "selector": "p", "url": "/../x"}, "not-found"),
    ],
    ids=str,
)
async def test_a_wrong_message_is_answered_and_changes_nothing(live, message, code):
    socket = await live.open()
    reply = await socket.ask(message)
    assert (reply["type"], reply["error"]) == ("error", code)
    await edit(live, "h1", "<h1>x</h1>")
    item = await socket.item()
    assert (item.selector, item.itemtype) == ("h1", SCHEMA_TYPE)


async def test_a_document_has_so_many_different_filters(live, monkeypatch):
    monkeypatch.setattr(following, "FILTERS", 3)
    first, second = await live.open(), await live.open()
    for selector in ("h1", "ul", "table"):
        assert (await first.subscribe(selector))["type"] == "subscribed"
    assert (await second.subscribe("p"))["error"] == "too-many-filters"
    # What others have already costs nothing more, and neither does all of it.
    assert (await second.subscribe("ul"))["type"] == "subscribed"
    assert (await second.subscribe("*"))["type"] == "subscribed"
    assert following.FILTERS == 3


async def test_a_client_has_so_many_subscriptions(make_site):
    site = make_site(
        PluginConfig("websocket", {"max_subscriptions": 2}),
        PluginConfig("selector-handler"),
    )
    async with listening(site) as live:
        socket = await live.open()
        assert (await socket.subscribe("h1"))["type"] == "subscribed"
        assert (await socket.subscribe("ul"))["type"] == "subscribed"
        assert (await socket.subscribe("p"))["error"] == "too-many-subscriptions"
        await socket.subscribe("ul", action="unsubscribe")
        assert (await socket.subscribe("p"))["type"] == "subscribed"


async def test_a_client_may_send_so_many_messages_a_second(make_site):
    site = make_site(PluginConfig("websocket", {"max_messages_per_second": 2.0}))
    async with listening(site) as live:
        socket = await live.open()
        replies = [await socket.ask("x") for _ in range(50)]
        codes = [reply["error"] for reply in replies]
        assert codes[:2] == ["invalid-json"] * 2
        assert "too-many-messages" in codes


async def test_a_versioned_client_learns_the_version_of_what_it_subscribes(live):
    answer = await edit(live, "#other", '<p id="other">y</p>', "/other.html")
    socket = await live.open(subprotocols=["beam.v1"])
    assert (await socket.item()).method == "VERSION"
    assert (await socket.subscribe("p", "/other.html"))["type"] == "subscribed"
    greeting = await socket.item()
    assert (greeting.method, greeting.url) == ("VERSION", "/other.html")
    assert f'"{greeting.version}"' == answer.headers["ETag"]
    await edit(live, "#other", '<p id="other">z</p>', "/other.html")
    assert (await socket.item()).version.revision == greeting.version.revision + 1


async def test_a_filter_lets_through_what_changes_the_whole_document(live):
    socket = await live.open(subprotocols=["beam.v1"])
    await socket.item()
    await socket.subscribe("h1")
    await socket.item()
    await live.site.ask("PUT", "/page.html", b"<p>whole</p>")
    assert (await socket.item()).method == "RESET"


async def test_edits_of_another_process_are_filtered_as_well(live):
    # A committer that did not evaluate the edit has the entry and two documents.
    socket = await live.open()
    await socket.subscribe("#main")
    replica = live.site.host.committer._replica
    apply = replica._apply

    def forget_candidates(logged):
        for keeper in replica.keepers:
            keeper.candidates.clear()
        apply(logged)

    replica._apply = forget_candidates
    await edit(live, "h1", "<h1>not this</h1>")
    await edit(live, "#main p", "<p>this</p>")
    assert (await socket.item()).content == "<p>this</p>"


async def test_a_filter_that_came_after_the_edit_was_evaluated_counts(
    live, monkeypatch
):
    socket = await live.open()
    journal = live.site.host.committer._journal
    commit = journal.commit

    async def subscribe_meanwhile(*arguments):
        if arguments[1].revision == 1:
            await socket.subscribe("#main")
        return await commit(*arguments)

    await edit(live, "h1", "<h1>first</h1>")
    assert (await socket.item()).content == "<h1>first</h1>"
    monkeypatch.setattr(journal, "commit", subscribe_meanwhile)
    await edit(live, "h1", "<h1>not this</h1>")
    await edit(live, "#main", '<div id="main">this</div>')
    assert (await socket.item()).content == '<div id="main">this</div>'


async def test_what_a_socket_missed_is_replayed_before_a_subscription_counts(live):
    first = await edit(live, "h1", "<h1>1</h1>")
    await edit(live, "h1", "<h1>2</h1>")
    version = first.headers["ETag"].strip('"')
    socket = await live.open(f"/page.html?since={version}")
    await socket.client.send(json.dumps({"action": "subscribe", "selector": "ul"}))
    assert (await socket.item()).content == "<h1>2</h1>"
    assert (await socket.reply())["type"] == "subscribed"


async def test_each_form_and_set_of_filters_is_built_once(live):
    sockets = [await live.open() for _ in range(6)]
    for number, socket in enumerate(sockets):
        await socket.subscribe(["#main", "p", "*"][number % 3])
    before = live.site.hub.registry.counters.encodes
    await edit(live, "#main p", "<p>x</p>")
    assert {(await socket.text()) for socket in sockets}.__len__() == 1
    assert live.site.hub.registry.counters.encodes == before + 1


@pytest.mark.parametrize("option", ["max_connections", "max_connections_per_ip"])
async def test_sockets_above_the_limit_are_refused_before_the_upgrade(
    make_site, option
):
    site = make_site(PluginConfig("websocket", {option: 1}))
    async with listening(site) as live:
        socket = await live.open()
        with pytest.raises(InvalidStatus, match="HTTP 503") as refused:
            await live.open()
        assert refused.value.response.headers["Retry-After"] == "5"
        await socket.client.close()
        await live.open()


async def test_the_url_of_items_can_be_that_of_the_subscriber(make_site):
    site = make_site(
        PluginConfig("websocket", {"url_form": "subscriber"}),
        PluginConfig("selector-handler"),
    )
    (site.root / "index.html").write_bytes(OTHER)
    async with listening(site) as live:
        socket = await live.open("/")
        await edit(live, "#other", '<p id="other">y</p>', "/index.html")
        assert (await socket.item()).url == "/"


async def test_plain_sockets_can_be_sent_what_changes_a_whole_document(make_site):
    site = make_site(
        PluginConfig("websocket", {"broadcast_documents": True}),
        PluginConfig("file-handler"),
    )
    async with listening(site) as live:
        socket = await live.open()
        await site.ask("PUT", "/page.html", b"<p>whole</p>")
        item = await socket.item()
        assert (item.method, item.content) == ("RESET", "<p>whole</p>")


async def test_a_message_over_the_limit_closes_with_1009(make_site):
    site = make_site(PluginConfig("websocket", {"message_size_limit": 100}))
    async with listening(site) as live:
        socket = await live.open()
        assert (await socket.ask("x" * 100))["error"] == "invalid-json"
        await socket.client.send("x" * 101)
        assert await socket.closed() == 1009


async def test_the_socket_of_an_editor_gets_its_own_edit_through_every_host_name(
    root,
):
    config = HostConfig(root, ("localhost", "127.0.0.1"))
    site = Site(root, *config.plugins)
    try:
        async with listening(site) as live:
            by_name = await live.open()
            by_address = await live.open(host="127.0.0.1")
            answer = await site.ask(
                *("PUT", "/page.html", b"<h1>x</h1>", "h1"),
                Host=f"127.0.0.1:{live.port}",
            )
            assert answer.status == 206
            assert await by_name.text() == await by_address.text()
    finally:
        await site.host.stop()


async def test_each_published_client_finds_the_one_item_that_it_looks_for(live):
    page, library = await live.open(), await live.open()
    await library.subscribe("#main")
    await edit(live, "#main", '<div id="main"><p>new</p></div>')
    for socket, wanted in ((page, SCHEMA_TYPE), (library, LEGACY_TYPE)):
        found = BeautifulSoup(await socket.text(), "html.parser")
        # Both compare the attribute as a whole, and take the first that they find.
        assert len(found.select("[itemtype]")) == 1
        (item,) = found.select(f'[itemtype="{wanted}"]')
        read = {
            name: item.select_one(f'[itemprop="{name}"]')
            for name in ("method", "url", "selector", "content")
        }
        assert read["method"].get_text() == "PUT"
        assert read["url"].get_text() == "/page.html"
        assert read["selector"].get_text() == "#main"
        assert read["content"].name == "div"
        assert read["content"].decode_contents() == '<div id="main"><p>new</p></div>'

"""What one client follows, from connecting to asking for nothing any more."""

import pytest

from beamfast.commit import following
from beamfast.commit.publication import ItemForm
from beamfast.commit.subscriptions import Subscriptions
from beamfast.documents.selector import Selector
from beamfast.errors import TooManyFilters

from .viewer import Viewer


@pytest.fixture
def viewer(site):
    return Viewer(site.hub.registry.state)


@pytest.fixture
def subscriptions(site, viewer):
    (site.root / "other.html").write_bytes(b"<p id=o>")
    location = site.location()
    site.committer.subscribe(viewer, location, ItemForm())
    return Subscriptions(site.committer, viewer, ItemForm(), location, "/page.html")


async def add(subscriptions, site, text, path="/page.html"):
    joined = []
    selector = None if text == "*" else Selector.parse(text)
    await subscriptions.add(site.location(path), path, selector, joined.append)
    assert len(joined) == 1


def filters(site, path="/page.html"):
    topic = site.hub.registry.topic(site.committer._replica.topic(site.location(path)))
    return None if topic is None else {one.text for one in topic.filters}


async def test_what_connecting_has_subscribed_counts_for_no_subscription(
    subscriptions, site
):
    assert len(subscriptions) == 0
    assert subscriptions.paths == ["/page.html"]
    assert filters(site) == set()


async def test_the_first_takes_the_place_of_the_implicit_one_and_others_add(
    subscriptions, site
):
    await add(subscriptions, site, "#a")
    await add(subscriptions, site, "#l")
    assert (len(subscriptions), filters(site)) == (2, {"#a", "#l"})
    await add(subscriptions, site, "*", "/other.html")
    assert subscriptions.paths == ["/page.html", "/other.html"]
    assert filters(site, "/other.html") == set()


async def test_all_of_a_document_is_one_more_subscription_without_filters(
    subscriptions, site
):
    await add(subscriptions, site, "#a")
    await add(subscriptions, site, "*")
    assert (len(subscriptions), filters(site)) == (2, set())


async def test_the_same_selector_again_is_no_further_subscription(subscriptions, site):
    await add(subscriptions, site, "#l  li")
    await add(subscriptions, site, "#l li")
    assert len(subscriptions) == 1


async def test_another_document_first_leaves_the_own_one(subscriptions, site):
    await add(subscriptions, site, "#o", "/other.html")
    assert (filters(site), filters(site, "/other.html")) == (None, {"#o"})


async def test_without_the_last_one_nothing_is_followed(subscriptions, site):
    await add(subscriptions, site, "#a")
    await add(subscriptions, site, "#l")
    await subscriptions.remove(site.location(), Selector("#a"))
    assert filters(site) == {"#l"}
    await subscriptions.remove(site.location(), Selector("#l"))
    assert (filters(site), subscriptions.paths) == (None, [])
    await add(subscriptions, site, "#l")
    assert filters(site) == {"#l"}


async def test_everything_can_be_left_at_once(subscriptions, site):
    await add(subscriptions, site, "#a")
    await add(subscriptions, site, "*", "/other.html")
    subscriptions.remove_all()
    assert len(subscriptions) == 0
    assert site.hub.registry.topics() == []


async def test_a_filter_too_many_changes_nothing(subscriptions, site, monkeypatch):
    monkeypatch.setattr(following, "FILTERS", 1)
    await add(subscriptions, site, "#a")
    with pytest.raises(TooManyFilters):
        await add(subscriptions, site, "#l")
    assert (len(subscriptions), filters(site)) == (1, {"#a"})


async def test_the_thousand_and_twenty_fifth_filter_of_a_document_is_refused(
    subscriptions, site
):
    for number in range(1024):
        await add(subscriptions, site, f"#n{number}")
    with pytest.raises(TooManyFilters):
        await add(subscriptions, site, "#one-more")
    assert len(subscriptions) == 1024

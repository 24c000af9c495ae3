"""Event streams of documents: detection, the leading id, items and resets."""

import asyncio

import pytest


async def follow(site, target="/page.html", **fields):
    fields.setdefault("Accept", "text/event-stream")
    return await site.ask("GET", target, **fields)


@pytest.mark.parametrize(
    "accept",
    ["text/event-stream", "text/event-stream;q=0.9", "text/html, text/event-stream"],
)
async def test_a_client_that_accepts_a_stream_gets_one(site, accept):
    answer = await follow(site, Accept=accept)
    assert answer.status == 200
    assert answer.stream is not None


@pytest.mark.parametrize("accept", ["*/*", "text/*", "text/event-stream;q=0", ""])
async def test_another_client_gets_the_page(site, accept):
    answer = await follow(site, Accept=accept)
    assert answer.stream is None
    assert answer.body == site.read("page.html")


async def test_only_a_get_is_answered_with_a_stream(site):
    answer = await site.ask("HEAD", "/page.html", Accept="text/event-stream")
    assert answer.stream is None


async def test_a_foreign_origin_is_refused(site):
    answer = await follow(site, Origin="http://evil.example")
    assert answer.status == 403


async def test_the_stream_begins_with_the_present_version(site, viewer):
    etag = (await site.ask("GET", "/page.html")).headers["ETag"].strip('"')
    (await follow(site)).stream.on_open(viewer)
    assert await viewer.lines() == [f"{etag} id"]


async def test_a_document_that_does_not_exist_can_be_followed(site, viewer):
    (await follow(site, "/later.html")).stream.on_open(viewer)
    await site.ask("PUT", "/later.html", b"<p>1")
    first, reset = await viewer.lines()
    assert first.startswith("0-")
    assert reset.startswith("1-")
    assert " reset " in reset
    assert "&lt;p&gt;" in reset or "<p>1" in reset


async def test_each_item_has_the_version_it_led_to(site, viewer):
    (await follow(site)).stream.on_open(viewer)
    first = await site.ask("PUT", "/page.html", b"<h1>1</h1>", "h1")
    second = await site.ask("DELETE", "/page.html", selector="h1")
    lines = await viewer.lines()
    assert [line.split(" ")[0] for line in lines[1:]] == [
        answer.headers["ETag"].strip('"') for answer in (first, second)
    ]


async def test_a_removed_document_is_an_empty_reset_and_the_stream_stays(site, viewer):
    (await follow(site)).stream.on_open(viewer)
    await site.ask("DELETE", "/page.html")
    await site.ask("PUT", "/page.html", b"<p>again")
    _, gone, again = await viewer.lines()
    assert " reset " in gone
    assert "RESET" in gone
    assert again.startswith("2-")


async def test_a_large_document_is_reset_without_its_content(site, viewer):
    (await follow(site)).stream.on_open(viewer)
    await site.ask("PUT", "/page.html", b"<p>" + b"x" * 2**19)
    _, reset = await viewer.lines()
    assert 'itemprop="content"' not in reset
    assert len(reset) < 1000


async def arrived(viewer, number):
    """Return the first lines, once there are so many."""
    async with asyncio.timeout(5):
        while len(lines := await viewer.lines()) < number:
            await asyncio.sleep(0)
    return lines


@pytest.mark.parametrize("how", ["field", "parameter", "both"])
async def test_a_client_that_names_a_version_gets_what_it_missed(
    site, make_viewer, how
):
    tags = [
        (await site.ask("PUT", "/page.html", b"<h1>%d</h1>" % n, "h1")).headers["ETag"]
        for n in range(4)
    ]
    first, second, third, fourth = (tag.strip('"') for tag in tags)
    viewer = make_viewer(site)
    fields = {} if how == "parameter" else {"Last_Event_ID": second}
    since = {"field": "", "parameter": f"?since={second}", "both": f"?since={first}"}
    answer = await follow(site, f"/page.html{since[how]}", **fields)
    answer.stream.on_open(viewer)
    lines = await arrived(viewer, 3)
    assert [line.split(" ")[:2] for line in lines] == [
        [second, "id"],
        [third, "item"],
        [fourth, "item"],
    ]


async def test_a_version_that_nobody_knows_is_one_reset(site, viewer):
    await site.ask("PUT", "/page.html", b"<h1>1</h1>", "h1")
    (await follow(site, "/page.html?since=nonsense")).stream.on_open(viewer)
    text = "\n".join(await arrived(viewer, 1))
    assert text.startswith("1-")
    assert text.count(" reset ") == 1

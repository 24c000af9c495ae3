"""``event_source``: events, breaks, and going on where it was."""

import asyncio

import pytest

from beamfast import event_source
from beamfast.client import eventsource as module
from beamfast.errors import ConnectError, PayloadTooBig
from beamfast.http import EventStream, Response


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0.0)
    monkeypatch.setattr(module.BackOff, "next", lambda self: 0.5)


def streaming(handler, **options):
    return lambda request: Response(
        200, stream=EventStream(handler, **{"retry": 0.0, **options})
    )


async def numbers(source):
    """Send ten numbers, three for each connection."""
    first = int(source.last_event_id or 0) + 1
    for number in range(first, min(first + 3, 11)):
        await source.send(f"{number}\nof 10", event="count", id=str(number))
    if first > 10:
        await source.send("done")
        await source.wait_closed()


async def test_events_go_on_over_breaks_without_gap_or_repeat(serve):
    seen = []
    async with (
        serve(streaming(numbers)) as site,
        event_source(site.url("/n", scheme="http")) as source,
    ):
        assert source.response.status == 200
        async for event in source:
            if event.data == "done":
                break
            seen.append((event.type, event.data, event.last_event_id))
    assert seen == [("count", f"{n}\nof 10", str(n)) for n in range(1, 11)]
    assert source.last_event_id == "10"
    resumed = [request.headers.get("last-event-id") for request in site.requests]
    assert resumed == [None, "3", "6", "9", "10"]
    accepts = {request.headers["accept"] for request in site.requests}
    assert accepts == {"text/event-stream"}


async def test_it_can_begin_where_another_one_ended(serve):
    async with (
        serve(streaming(numbers)) as site,
        event_source(site.url(scheme="http"), last_event_id="8") as source,
    ):
        event = await anext(aiter(source))
        assert event.last_event_id == "9"


async def test_an_id_without_an_event_is_remembered(serve):
    async def handler(source):
        if source.last_event_id:
            await source.send(source.last_event_id)
        source.send_id("7-abc")

    async with (
        serve(streaming(handler)) as site,
        event_source(site.url(scheme="http")) as source,
    ):
        assert (await anext(aiter(source))).data == "7-abc"


async def test_204_ends_the_iteration(serve):
    async def one(source):
        await source.send("one")

    def answer(request):
        return streaming(one)(request) if len(site.requests) == 1 else Response(204)

    async with serve(answer) as site:
        async with event_source(site.url(scheme="http")) as source:
            assert [event.data async for event in source] == ["one"]
        async with event_source(site.url(scheme="http")) as source:
            assert [event async for event in source] == []


@pytest.mark.parametrize(
    "refusal",
    [Response(403, "no"), Response(503, "later"), Response(200, "<p>not a stream")],
)
async def test_any_other_answer_is_final(serve, refusal):
    async def one(source):
        await source.send("one")

    def answer(request):
        return streaming(one)(request) if request.path == "/" else refusal

    async with serve(answer) as site:
        with pytest.raises(ConnectError, match="no event stream"):
            async with event_source(site.url("/no", scheme="http")):
                raise AssertionError("opened")
        seen = []
        async with event_source(site.url(scheme="http")) as source:
            with pytest.raises(ConnectError, match="no event stream"):
                async for event in source:
                    seen.append(event.data)
                    site.application = lambda request: refusal
        assert seen == ["one"]


async def test_a_server_that_went_away_is_waited_for(serve, monkeypatch):
    async def forever(source):
        await source.send(source.last_event_id or "first", id="x")
        await source.wait_closed()

    async with serve(streaming(forever)) as site:
        port = site.port
        source = event_source(site.url(scheme="http"))
        await source.__aenter__()
        events = aiter(source)
        assert (await anext(events)).data == "first"
    following = asyncio.ensure_future(anext(events))
    for _ in range(20):
        await asyncio.sleep(0)
    async with serve(streaming(forever), port=port) as again:
        assert (await following).data == "x"
        assert len(again.requests) == 1
        await source.__aexit__(None, None, None)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_server_that_is_silent_is_asked_again(serve):
    async def once(source):
        if source.last_event_id:
            await source.send("back")
        source.send_id("1")
        await source.wait_closed()

    async with (
        serve(streaming(once)) as site,
        event_source(site.url(scheme="http"), silence_timeout=0.05) as source,
    ):
        assert (await anext(aiter(source))).data == "back"
        assert len(site.requests) >= 2


async def test_an_event_over_the_limit_is_an_error(serve):
    async def large(source):
        await source.send("x" * 2000)

    async with (
        serve(streaming(large)) as site,
        event_source(site.url(scheme="http"), max_size=1000) as source,
    ):
        with pytest.raises(PayloadTooBig):
            await anext(aiter(source))


async def test_the_reconnection_time_of_the_server_counts(serve):
    async def slow(source):
        await source.send("1")
        await source.wait_closed()

    async with (
        serve(streaming(slow, retry=77.0)) as site,
        event_source(site.url(scheme="http")) as source,
    ):
        await anext(aiter(source))
        assert source._retry == 77.0


async def test_tls_is_verified(serve, trusting):
    async def one(source):
        await source.send("one")
        await source.wait_closed()

    async with serve(streaming(one), tls=True) as site:
        url = site.url(scheme="https", host="localhost")
        async with event_source(url, ssl=trusting) as source:
            assert (await anext(aiter(source))).data == "one"
        with pytest.raises(OSError, match="certificate"):
            async with event_source(url):
                raise AssertionError("opened")

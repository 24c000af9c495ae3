import asyncio
import logging

import pytest

from beamfast.connection.eventsource import CLOSE_TIMEOUT, EventSource
from beamfast.errors import ConnectionClosed
from beamfast.http import EventStream, Response
from beamfast.protocol.eventsource import (
    comment,
    encode,
    encode_id,
    encode_retry,
)
from beamfast.pubsub.hub import Hub

GET = (
    b"GET /page HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
    b"Last-Event-ID: 7\r\n\r\n"
)


class Stream:
    """A browser that reads one event stream."""

    def __init__(self, client):
        self.client = client
        self.transport = client.transport
        self.source = None
        self.closed = []

    async def open(self, setup=None, **options):
        def on_open(source):
            self.source = source
            source.on_close = self.closed.append
            return None if setup is None else setup(source)

        stream = EventStream(on_open, **options)
        self.client.application = lambda _: Response(200, stream=stream)
        await self.client.send(GET)
        end = self.transport.written.index(b"\r\n\r\n") + 4
        del self.transport.written[:end]
        return self.source

    def text(self):
        data, self.transport.written = self.transport.written, bytearray()
        return bytes(data)

    async def time_out(self):
        self.source.deadline = float("inf")
        self.source.on_deadline(self.client.service.loop.time())
        await self.client.send()

    @property
    def seconds_left(self):
        return self.source.deadline - self.client.service.loop.time()


@pytest.fixture
async def stream(connect):
    return Stream(connect(None))


async def test_a_stream_begins_with_the_reconnection_time(stream):
    seen = []
    await stream.open(lambda source: seen.append((source.path, source.user)), retry=2)
    assert seen == [("/page", None)]
    assert stream.text() == encode_retry(2)


async def test_events_are_sent_in_order(stream):
    source = await stream.open()
    stream.text()
    assert source.send_nowait("one\ntwo")
    assert source.send_nowait("three", event="reset", id="8")
    source.send_id("9")
    assert stream.text() == (
        encode("one\ntwo") + encode("three", event="reset", id="8") + encode_id("9")
    )


async def test_a_field_that_could_forge_another_is_the_callers_fault(stream):
    source = await stream.open()
    stream.text()
    with pytest.raises(ValueError):
        source.send_nowait("data", event="a\ndata: forged")
    assert stream.text() == b""


async def test_an_item_is_an_event_with_the_version_as_its_id(stream):
    frame = EventSource.frame_item("<p>", "1-0123456789abcdef", "reset")
    assert frame == encode("<p>", event="reset", id="1-0123456789abcdef")


async def test_comments_keep_a_silent_stream_awake(stream):
    await stream.open()
    stream.text()
    for _ in range(3):
        assert 10 < stream.seconds_left <= 15
        await stream.time_out()
        assert stream.text() == comment()


async def test_a_stream_ends_when_everything_is_out(stream):
    source = await stream.open()
    stream.transport.block()
    stream.text()
    source.send_nowait("last")
    source.close(retry=3)
    source.close()
    assert not source.send_nowait("late")
    assert stream.text() == encode("last") + encode_retry(3)
    assert stream.seconds_left <= CLOSE_TIMEOUT
    assert stream.closed == []
    stream.transport.read()
    await stream.client.send()
    assert stream.closed == [source]


async def test_a_stream_can_end_without_a_new_reconnection_time(stream):
    source = await stream.open()
    stream.text()
    source.close()
    await stream.client.send()
    assert stream.text() == b""
    assert stream.closed == [source]


async def test_a_close_that_takes_too_long_is_cut(stream):
    source = await stream.open()
    stream.transport.block()
    source.send_nowait("last")
    source.close()
    await stream.time_out()
    assert stream.transport.aborted


async def test_a_server_that_stops_says_when_to_come_back(stream):
    source = await stream.open(retry=4)
    stream.text()
    source.on_drain()
    assert stream.text() == encode_retry(4)
    assert stream.transport.closing


async def test_a_plugin_that_fails_while_opening_ends_the_stream(stream, caplog):
    def setup(source):
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "beamfast.eventsource"):
        await stream.open(setup)
    assert "could not be opened" in caplog.text
    assert stream.transport.closing


@pytest.mark.parametrize("how", ["lose", "send_eof"])
async def test_a_lost_stream_is_reported_once(stream, how):
    source = await stream.open()
    await getattr(stream.client, how)()
    assert stream.closed == [source]
    assert not source.send_nowait("late")
    source.close()
    source.on_drain()
    assert len(stream.client.service.heartbeat) == 0


async def test_a_callback_that_fails_at_the_end_is_logged(stream, caplog):
    def fail(_):
        raise ZeroDivisionError

    source = await stream.open()
    source.on_close = fail
    with caplog.at_level(logging.ERROR, "beamfast.eventsource"):
        await stream.client.lose()
    assert "on_close" in caplog.text


async def test_without_on_close_the_end_is_silent(stream):
    source = await stream.open()
    source.on_close = None
    await stream.client.lose()
    assert source.is_closing


async def test_what_the_client_sends_is_ignored(stream):
    await stream.open()
    stream.text()
    await stream.client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert stream.text() == b""
    assert not stream.transport.closing


async def test_a_client_that_does_not_keep_up_is_told_to_come_back(stream, caplog):
    source = await stream.open()
    source.queue_items_limit = 10
    stream.transport.block()
    with caplog.at_level(logging.WARNING, "beamfast.eventsource"):
        for number in range(20):
            source.send_nowait(f"{number}")
    assert "too slow" in caplog.text
    assert stream.transport.closing
    assert stream.text().endswith(encode("0") + encode_retry(5))
    await stream.time_out()
    assert stream.transport.aborted
    await stream.client.send()
    assert stream.closed == [source]


async def test_a_client_that_does_not_read_at_all_is_cut_after_a_while(stream):
    source = await stream.open()
    stream.transport.block()
    source.send_nowait("x" * 100)
    stream.text()
    await stream.time_out()
    assert stream.text() == b""
    assert not stream.transport.aborted
    source.on_deadline(asyncio.get_running_loop().time() + 31)
    assert stream.transport.aborted


async def test_a_client_that_reads_slowly_is_not_cut(stream):
    source = await stream.open()
    for number in range(5):
        stream.transport.block()
        source.send_nowait(f"{number}")
        await stream.time_out()
        stream.transport.read()
    assert not stream.transport.aborted
    await stream.time_out()
    assert stream.text().endswith(encode("4") + comment())


async def test_publications_come_in_order_with_what_is_sent_to_one(stream):
    source = await stream.open()
    stream.text()
    hub = Hub(stream.client.service.loop)
    hub.registry = stream.client.service.registry
    hub.subscribe(source, "topic", encode)
    hub.publish("topic", "1")
    source.send_nowait("2")
    hub.publish("topic", "3")
    await stream.client.send()
    assert stream.text() == encode("1") + encode("2") + encode("3")
    await stream.client.lose()
    assert hub.subscribers("topic") == 0


# Handlers


async def test_a_handler_sends_until_it_returns(stream, tasks):
    known = []

    async def handler(source):
        known.append((source.url, source.last_event_id, source.closed))
        async with source:
            await source.send("1", "count", "a", 2.5)
            assert source.ping()
        assert not source.ping()
        assert not source.send_nowait("late")
        await source.wait_closed()
        await source.wait_closed()
        with pytest.raises(ConnectionClosed):
            await source.send("late")

    await stream.open(handler)
    assert known == [("http://a/page", "7", False)]
    assert stream.text().endswith(
        b"retry: 2500\r\nevent: count\r\nid: a\r\ndata: 1\r\n\r\n:\r\n\r\n"
    )
    await stream.client.send()
    assert stream.transport.closing
    assert tasks() == 0


async def test_a_subscriber_keeps_nothing_of_the_request(stream):
    source = await stream.open()
    assert (source.url, source.last_event_id) == (source.path, "")


async def test_a_handler_that_fails_ends_the_stream(stream, caplog):
    async def fail(source):
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR, "beamfast.eventsource"):
        await stream.open(fail)
    assert "handler" in caplog.text
    assert stream.transport.closing


async def test_a_handler_that_lets_the_end_pass_is_no_fault(stream, caplog, tasks):
    async def forever(source):
        while True:
            await source.send("tick")
            await asyncio.sleep(0)

    stream.transport.high = 0
    source = await stream.open(lambda source: None)
    source._service.start_handler(source._handle(forever(source)))
    stream.transport.block()
    await stream.client.send()
    assert tasks() == 1
    await stream.client.lose()
    assert tasks() == 0
    assert caplog.text == ""

"""The buffer of received messages, and whoever waits."""

import asyncio

import pytest

from beamfast.connection.conversation import BYTES, MESSAGES, Conversation
from beamfast.errors import ConnectionClosed
from beamfast.http import Headers, Request


@pytest.fixture
def conversation(transport):
    return Conversation(transport, transport.loop)


@pytest.mark.parametrize(
    ("is_secure", "host", "url"),
    [(False, "a:1", "ws://a:1/x?y=1"), (True, "b", "wss://b/x?y=1")],
)
async def test_the_url_is_what_the_client_asked_for(conversation, is_secure, host, url):
    request = Request("GET", "/x?y=1", url="/x", path="/x", query="y=1")
    request.headers = Headers([("Host", host)])
    request.is_secure = is_secure
    conversation.introduce(request)
    assert (conversation.url, conversation.request) == (url, request)


async def test_a_full_buffer_stops_the_reader_until_half_is_taken(
    conversation, transport
):
    for number in range(MESSAGES):
        assert transport.reading
        conversation.put(str(number))
    assert not transport.reading
    for number in range(MESSAGES // 2):
        assert not transport.reading
        assert conversation.take() == str(number)
    assert transport.reading


async def test_bytes_count_as_well(conversation, transport):
    conversation.put(b"x" * (BYTES - 1))
    assert transport.reading
    conversation.put(b"x")
    assert not transport.reading
    conversation.take()
    assert transport.reading


async def test_a_reader_that_waits_gets_a_whole_read_before_it_stops(
    conversation, transport
):
    waiting = asyncio.ensure_future(conversation.arrival())
    await asyncio.sleep(0)
    for _ in range(2 * MESSAGES):
        conversation.put("x")
    assert transport.reading
    await waiting
    conversation.put("x")
    assert not transport.reading


async def test_asked_pauses_and_a_full_buffer_are_counted_apart(
    conversation, transport
):
    conversation.pause()
    for _ in range(MESSAGES):
        conversation.put("x")
    conversation.resume()
    assert not transport.reading
    for _ in range(MESSAGES):
        conversation.take()
    assert transport.reading
    assert transport.faults == []


async def test_after_a_close_the_buffer_takes_no_more_than_its_limit(
    conversation, transport
):
    conversation.read_to_the_end()
    conversation.pause()
    for number in range(2 * MESSAGES):
        conversation.put(str(number))
    assert transport.reading
    taken = []
    while conversation.messages:
        taken.append(conversation.take())
    assert taken == [str(number) for number in range(MESSAGES)]


async def test_a_closing_transport_is_left_alone(conversation, transport):
    transport.closing = True
    conversation.pause()
    conversation.resume()
    assert transport.reading
    assert transport.faults == []


async def test_the_end_wakes_everybody(conversation):
    message = asyncio.ensure_future(conversation.arrival())
    pong = conversation.expect(b"1")
    ends = [asyncio.ensure_future(conversation.ended()) for _ in range(2)]
    await asyncio.sleep(0)
    ends[0].cancel()
    conversation.end(4000, "over")
    await asyncio.gather(message, ends[1])
    with pytest.raises(ConnectionClosed) as caught:
        await pong
    assert (caught.value.code, caught.value.reason) == (4000, "over")
    assert ends[0].cancelled()


async def test_a_pong_nobody_waits_for_is_harmless(conversation):
    conversation.expect(b"1").cancel()
    conversation.complete((b"1", b"2"))


async def test_one_message_in_pieces_at_a_time(conversation):
    assert not conversation.is_sending
    async with conversation.sending:
        assert conversation.is_sending
    assert not conversation.is_sending

"""The buffer of received messages, and whoever waits."""

import asyncio

import pytest

from beamfast.connection.conversation import Conversation
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

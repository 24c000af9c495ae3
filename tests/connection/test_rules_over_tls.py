"""
Every rule of frames and of closing (RFC 6455, 5 to 7) on real sockets, with TLS too.

The vectors of the drivers arrive here on connections, whole and byte by byte; in TLS
each byte is a record of its own. Behind them the rules that no vector can show.
"""

import asyncio
import contextlib
import json
import struct
from functools import partial
from pathlib import Path

import pytest

from beamfast.errors import ConnectionClosed

from .raw import Ends, frame

VECTORS = [
    vector
    for vector in json.loads(
        (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
    )["vectors"]
    if vector["group"]
    in ("frame_valid", "frame_invalid", "close", "close_invalid", "limits")
]
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL = struct.pack(">H", 1000)


def vectors(direction):
    return [
        pytest.param(one, id=f"{one['group']}-{one['name']}")
        for one in VECTORS
        if one["direction"] == direction
    ]


def wire_of(vector):
    return bytes.fromhex(vector.get("wire", "")) or b"".join(
        bytes.fromhex(part) * count for part, count in vector["wire_parts"]
    )


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def ends(request):
    return Ends(request.param)


def messages_of(expect):
    """Return the messages that a vector brings."""
    found = []
    for event in expect["events"]:
        match event["type"]:
            case "text":
                found.append(event["data"])
            case "binary":
                found.append(bytes.fromhex(event["data_hex"]))
            case "binary_len":
                found.append(bytes.fromhex(event["fill"]) * event["length"])
    return found


async def receive_all(websocket, received):
    """Receive until the end; return how it ended."""
    with contextlib.suppress(ConnectionClosed):
        async for message in websocket:
            received.append(message)
    await websocket.wait_closed()
    return websocket.close_code, websocket.close_reason


def answers_of(vector, frames):
    """Check that pongs and one close frame were sent; return the close codes."""
    *pongs, (first, _, payload) = frames
    pings = [one for one in vector["expect"]["events"] if one["type"] == "ping"]
    assert [(one[0], one[2]) for one in pongs] == [
        (0x80 | PONG, bytes.fromhex(ping["data_hex"])) for ping in pings
    ]
    assert first == 0x80 | CLOSE
    return int.from_bytes(payload[:2], "big") if payload else 1005


def play(peer, vector, *, masked, chopped):
    """Send a vector; return what came until the end."""
    expect, wire = vector["expect"], wire_of(vector)
    goodbye = frame(CLOSE, NORMAL, masked=masked)
    if "local_close_sent" in vector.get("setup", {}):
        assert peer.read_frame()[0] == 0x80 | CLOSE
    peer.send(wire, chopped=chopped and len(wire) < 1000)
    if expect.get("fail"):
        # What comes after a failure is not looked at.
        peer.send(frame(TEXT, b"ignored", masked=masked) + goodbye)
    elif expect["state"] == "open":
        peer.send(goodbye)
    return peer.read_to_the_end() if masked else peer.read_to_the_close()


def check(vector, frames, received, end):
    expect = vector["expect"]
    assert received == messages_of(expect)
    closes = [one for one in expect["events"] if one["type"] == "close"]
    if "local_close_sent" in vector.get("setup", {}):
        # Our close frame was the first, and there is no second one.
        assert frames == []
        assert end == (closes[0]["code"], closes[0]["reason"])
        return
    code = answers_of(vector, frames)
    if expect.get("fail"):
        assert code in (expect["close_code"], *expect.get("also_acceptable", ()))
        assert end == (1006, "")
    elif closes:
        assert code == closes[0]["code"]
        assert end == (closes[0]["code"], closes[0]["reason"])
    else:
        assert (code, end) == (1000, (1000, ""))


@pytest.mark.parametrize("vector", vectors("client_to_server"))
def test_a_server_keeps_each_rule(run, ends, vector):
    setup = vector.get("setup", {})
    noted = []

    async def handler(websocket):
        if code := setup.get("local_close_sent"):
            websocket.close_nowait(code)
        received = []
        noted.append((received, await receive_all(websocket, received)))

    async def main():
        limit = setup.get("max_size", 2**20)
        async with ends.server(handler, max_size=limit) as (_, port):
            plays = [
                partial(play, vector=vector, masked=True, chopped=chopped)
                for chopped in (False, True)
            ]
            return [await ends.talk(port, one) for one in plays]

    for frames, (received, end) in zip(run(main()), noted, strict=True):
        check(vector, frames, received, end)
        assert not any(key for _, key, _ in frames)


@pytest.mark.parametrize("vector", vectors("server_to_client"))
@pytest.mark.parametrize("chopped", [False, True], ids=["whole", "chopped"])
def test_a_client_keeps_each_rule(run, ends, vector, chopped):
    async def main():
        received = []

        def conversation(peer):
            return play(peer, vector, masked=False, chopped=chopped)

        async with ends.client(conversation) as (websocket, serving):
            end = await receive_all(websocket, received)
            return await serving, received, end

    frames, received, end = run(main())
    check(vector, frames, received, end)
    assert all(key for _, key, _ in frames)


# What no vector can show: frames of ours, and how connections end.


async def said_by(ends, scenario, side):
    """
    Run ``scenario`` with a socket of ours on that side, then close it.

    Return every frame that the peer got.
    """

    def listen(peer):
        frames = peer.read_to_the_close()
        peer.send(frame(CLOSE, NORMAL, masked=side == "server"))
        return frames

    async def handler(websocket):
        await scenario(websocket)
        await websocket.close()

    if side == "server":
        async with ends.server(handler) as (_, port):
            return await ends.talk(port, listen)
    async with ends.client(listen) as (websocket, serving):
        await handler(websocket)
        return await serving


@pytest.fixture(params=["server", "client"])
def said(run, ends, request):
    """Return what runs a scenario and returns the frames that the peer got."""
    return lambda scenario: run(said_by(ends, scenario, request.param))


def test_94_to_97_what_is_sent_is_one_frame_of_the_right_kind(said, request):
    async def scenario(websocket):
        for message in ("h\u00f6", b"\x00", "x" * 126, b"y" * 2**16, bytearray(b"z")):
            await websocket.send(message)
        for wrong in (7, None, object()):
            with pytest.raises(TypeError):
                await websocket.send(wrong)
        with pytest.raises(ValueError, match="surrogate"):
            await websocket.send("\ud800")

    *frames, _ = said(scenario)
    assert [(first & 15, payload) for first, _, payload in frames] == [
        *[(TEXT, "h\u00f6".encode()), (BINARY, b"\x00"), (TEXT, b"x" * 126)],
        *[(BINARY, b"y" * 2**16), (BINARY, b"z")],
    ]
    assert {first & 0xF0 for first, _, _ in frames} == {0x80}
    keys = {key for _, key, _ in frames}
    is_client = "client" in request.node.callspec.params.values()
    assert len(keys) == 5 if is_client else keys == {b""}


def test_98_and_117_what_may_not_be_sent_is_refused(said):
    async def scenario(websocket):
        with pytest.raises(ValueError, match="125"):
            await websocket.ping(bytes(126))
        for code in (999, 1004, 1005, 1006, 1015, 5000):
            with pytest.raises(ValueError, match=str(code)):
                await websocket.close(code)
        with pytest.raises(ValueError, match="123"):
            await websocket.close(1000, "x" * 124)

    ((first, _, payload),) = said(scenario)
    assert (first, payload) == (0x80 | CLOSE, NORMAL)


def test_104_an_iterable_goes_out_in_fragments(said):
    async def scenario(websocket):
        async def pieces():
            for piece in ("one ", "two ", "three"):
                yield piece

        await websocket.send(pieces())

    *frames, _ = said(scenario)
    assert [(first, payload) for first, _, payload in frames] == [
        (TEXT, b"one "),
        (0, b"two "),
        (0x80, b"three"),
    ]


def test_100_and_115_after_a_close_nothing_is_sent_and_nothing_hangs(said):
    async def scenario(websocket):
        closing = [asyncio.ensure_future(websocket.close(4000, "x")) for _ in range(3)]
        await asyncio.sleep(0)
        assert not websocket.close_nowait()
        assert not websocket.send_nowait("late")
        with pytest.raises(ConnectionClosed):
            await websocket.send("late")
        await asyncio.gather(*closing)
        with pytest.raises(ConnectionClosed):
            await websocket.ping()

    ((first, _, payload),) = said(scenario)
    assert (first, payload) == (0x80 | CLOSE, struct.pack(">H", 4000) + b"x")


def test_102_a_pong_answers_older_pings_and_an_unknown_one_none(run, ends):
    async def handler(websocket):
        one, two, three = [await websocket.ping(text) for text in (b"1", b"2", b"3")]
        assert await one >= 0
        assert await two >= 0
        assert not three.done()
        await websocket.close()
        with pytest.raises(ConnectionClosed):
            await three

    def conversation(peer):
        pings = [peer.read_frame()[2] for _ in range(3)]
        for payload in (b"unknown", b"2"):
            peer.send(frame(PONG, payload))
        assert peer.read_frame()[2] == NORMAL
        peer.send(frame(CLOSE, NORMAL))
        return pings

    async def main():
        async with ends.server(handler) as (service, port):
            pings = await ends.talk(port, conversation)
            await asyncio.gather(*service.handlers)
            return pings

    assert run(main()) == [b"1", b"2", b"3"]


def test_90_too_many_fragments_end_with_1008(run, ends):
    received = []

    async def handler(websocket):
        await receive_all(websocket, received)

    def conversation(peer):
        peer.send(frame(TEXT, b"a", fin=False) + frame(0, b"b", fin=False) * 9)
        return peer.read_to_the_end()

    async def main():
        async with ends.server(handler, max_fragments=8) as (_, port):
            return await ends.talk(port, conversation)

    ((first, _, payload),) = run(main())
    assert (first, payload[:2], received) == (0x80 | CLOSE, struct.pack(">H", 1008), [])


@pytest.mark.parametrize("is_reset", [False, True], ids=["FIN", "RST"])
def test_113_an_end_without_a_close_frame_is_1006(run, ends, is_reset):
    noted = []

    async def handler(websocket):
        received = []
        noted.append((await receive_all(websocket, received), received))

    def conversation(peer):
        peer.send(frame(TEXT, b"whole") + frame(TEXT, b"half", fin=False))
        if is_reset:
            # Not before the message was read: a reset takes back what was not.
            assert peer.read_frame() is not None
            peer.reset()

    async def answering(websocket):
        noted.append((None, [await websocket.recv()]))
        await websocket.send("read")
        await handler(websocket)

    async def main():
        async with ends.server(answering if is_reset else handler) as (_, port):
            await ends.talk(port, conversation)

    run(main())
    assert noted[-1][0] == (1006, "")
    assert noted[0][1] == ["whole"]


def test_114_a_close_that_is_not_answered_is_cut(run, ends):
    def conversation(peer):
        frames = [peer.read_frame()]
        return frames + peer.read_to_the_end()

    async def main():
        async with ends.client(conversation, close_timeout=0.05) as (
            websocket,
            serving,
        ):
            await websocket.close(4001, "bye")
            return await serving, websocket.close_code

    frames, code = run(main())
    assert [payload for _, _, payload in frames] == [struct.pack(">H", 4001) + b"bye"]
    assert code == 1006


def test_118_a_handler_that_fails_says_1011_and_no_more(run, ends):
    async def handler(websocket):
        raise RuntimeError("secret")

    async def main():
        async with ends.server(handler) as (_, port):
            return await ends.talk(port, lambda peer: peer.read_to_the_end())

    ((first, _, payload),) = run(main())
    assert (first, payload[:2]) == (0x80 | CLOSE, struct.pack(">H", 1011))
    assert b"secret" not in payload


@pytest.mark.parametrize("code", [1001, 1012])
def test_119_a_server_that_stops_says_so_to_everybody(run, ends, code):
    opened = []

    async def handler(websocket):
        opened.append(websocket)
        await websocket.wait_closed()

    def conversation(peer):
        told = peer.read_frame()
        peer.send(frame(CLOSE, told[2]))
        return [told, *peer.read_to_the_end()]

    async def main():
        async with ends.server(handler) as (service, port):
            talks = [ends.talk(port, conversation) for _ in range(5)]
            waiting = asyncio.gather(*talks)
            while len(opened) < 5:
                await asyncio.sleep(0)
            for connection in service.heartbeat.connections():
                connection.on_drain(code)
            return await waiting

    for ((first, _, payload),) in run(main()):
        assert (first, payload[:2]) == (0x80 | CLOSE, struct.pack(">H", code))

"""A message received piece by piece, from peers that send it so."""

import asyncio
import random
import ssl
import tracemalloc
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import websockets
from hypothesis import given, settings, strategies as st
from websockets.asyncio.server import serve as serve_peer

from beamfast import connect
from beamfast._fanout import TopicRegistry
from beamfast._frames import build_frame
from beamfast._inbox import BYTES, MESSAGES
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.errors import ConnectionClosed, InvalidState
from beamfast.http import Response, Upgrade
from beamfast.protocol.driver import State

CONTINUATION, TEXT, BINARY, CLOSE = 0x0, 0x1, 0x2, 0x8
CERTIFICATE = Path(__file__).parent.parent / "data" / "localhost.pem"


def masked(opcode, payload=b"", **options):
    return build_frame(opcode, payload, mask=b"mask", **options)


def close_payload(code, reason=b""):
    return code.to_bytes(2, "big") + reason


class Program:
    """A handler that does what the test tells it, one call after the other."""

    def __init__(self):
        self.websocket = None
        self.ended = None
        self._calls = asyncio.Queue()

    async def __call__(self, websocket):
        self.websocket = websocket
        while True:
            call, outcome = await self._calls.get()
            try:
                outcome.set_result(await call)
            except StopAsyncIteration:
                outcome.set_result("end")
            except Exception as error:
                outcome.set_exception(error)

    def do(self, call):
        outcome = asyncio.get_running_loop().create_future()
        self._calls.put_nowait((call, outcome))
        return outcome


@pytest.fixture
def program():
    return Program()


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_waiting(future):
    return not future.done()


# With a peer that the test plays.


async def test_pieces_come_as_frames_arrive(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    assert aiter(pieces) is pieces
    first = program.do(anext(pieces))
    await peer.send()
    assert is_waiting(first)
    await peer.send(masked(TEXT, "a", fin=False))
    assert first.result() == "a"
    second = program.do(anext(pieces))
    await peer.send(masked(CONTINUATION, b"\xc3", fin=False))
    assert is_waiting(second)
    await peer.send(masked(CONTINUATION, b"\xa9", fin=False))
    assert second.result() == "é"
    end = program.do(anext(pieces))
    await peer.send(masked(CONTINUATION, b""))
    assert end.result() == "end"
    again = program.do(anext(pieces))
    after = program.do(program.websocket.recv())
    await peer.send(masked(BINARY, b"next"))
    assert (again.result(), after.result()) == ("end", b"next")


async def test_a_message_that_waits_is_one_piece(peer, program):
    await peer.open(program)
    await peer.send(masked(TEXT, "é"), masked(TEXT, "two"))
    pieces = program.websocket.recv_streaming(decode=False)
    first, end = program.do(anext(pieces)), program.do(anext(pieces))
    after = program.do(program.websocket.recv())
    await peer.send()
    assert (first.result(), end.result()) == (b"\xc3\xa9", "end")
    assert after.result() == "two"


async def test_what_was_put_together_comes_first(peer, program):
    await peer.open(program)
    await peer.send(masked(TEXT, "a", fin=False), masked(CONTINUATION, "b", fin=False))
    pieces = program.websocket.recv_streaming()
    first, second = program.do(anext(pieces)), program.do(anext(pieces))
    await peer.send()
    assert first.result() == "ab"
    await peer.send(masked(CONTINUATION, "c"))
    assert second.result() == "c"


async def test_nothing_else_can_be_received_meanwhile(peer, program):
    await peer.open(program)
    websocket = program.websocket
    pieces = websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    assert first.result() == "a"
    with pytest.raises(InvalidState, match="in pieces"):
        websocket.recv_streaming()
    for call in (websocket.recv(), anext(websocket)):
        with pytest.raises(InvalidState, match="in pieces"):
            await call


async def test_only_one_task_waits(peer, program):
    await peer.open(program)
    websocket = program.websocket
    waiting = program.do(websocket.recv())
    await peer.send(masked(TEXT, "a", fin=False))
    with pytest.raises(RuntimeError, match="two tasks"):
        await anext(websocket.recv_streaming())
    await peer.send(masked(CONTINUATION, "b"))
    assert waiting.result() == "ab"
    pieces = websocket.recv_streaming()
    waiting = program.do(anext(pieces))
    await peer.send()
    with pytest.raises(RuntimeError, match="two tasks"):
        await anext(pieces)
    await peer.send(masked(TEXT, "c"))
    assert waiting.result() == "c"


async def test_who_has_a_callback_has_no_pieces(peer):
    websocket = await peer.open(lambda websocket: setattr(websocket, "on_message", id))
    with pytest.raises(InvalidState, match="no handler"):
        websocket.recv_streaming()


# Leaving early.


async def test_a_wait_that_is_cancelled_loses_nothing(peer, program):
    await peer.open(program)
    websocket = program.websocket
    pieces = websocket.recv_streaming()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(pieces), 0.001)
        whole = program.do(websocket.recv())
        await peer.send(masked(TEXT, "whole"))
        assert whole.result() == "whole"
    first = program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    assert first.result() == "a"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(pieces), 0.001)
    await peer.send(masked(CONTINUATION, "b"))
    assert [piece async for piece in pieces] == ["b"]


async def test_the_rest_can_be_given_up(peer, program):
    await peer.open(program)
    websocket = program.websocket

    async def first_piece():
        async with aclosing(websocket.recv_streaming()) as pieces:
            return await anext(pieces)

    first = program.do(first_piece())
    await peer.send(masked(TEXT, "a", fin=False))
    assert first.result() == "a"
    after = program.do(first_piece())
    # Nearly a megabyte of it stops no reader.
    for _ in range(15):
        await peer.send(masked(CONTINUATION, b"b" * BYTES, fin=False))
        assert peer.transport.reading
        assert is_waiting(after)
    await peer.send(masked(CONTINUATION), masked(TEXT, "next"))
    assert after.result() == "next"


async def test_an_iterator_that_was_never_begun_can_be_closed(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    await pieces.aclose()
    assert [piece async for piece in pieces] == []
    whole = program.do(program.websocket.recv())
    await peer.send(masked(TEXT, "a"))
    assert whole.result() == "a"


async def test_a_handler_may_leave_in_the_middle(peer):
    async def leave(websocket):
        async for _ in websocket.recv_streaming():
            return

    await peer.open(leave)
    await peer.send(masked(TEXT, "a", fin=False))
    assert peer.frames() == [(CLOSE, close_payload(1000))]
    conversation = peer.websocket._conversation
    await peer.send(*[masked(CONTINUATION, b"b" * BYTES, fin=False)] * 10)
    assert conversation.stream.size == 0
    await peer.send(masked(CLOSE, close_payload(1000)))
    assert peer.closes == [(1000, "")]


async def test_listeners_that_come_later_get_messages(peer, program):
    websocket = await peer.open(program)
    pieces = websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    heard = []
    websocket.on("message", heard.append)
    rest = program.do(anext(pieces))
    end = program.do(anext(pieces))
    await peer.send(masked(CONTINUATION, "b") + masked(TEXT, "c"))
    assert (first.result(), rest.result(), end.result()) == ("a", "b", "end")
    assert heard == ["c"]
    with pytest.raises(InvalidState, match="no handler"):
        await websocket.recv()


# Ends.


async def test_a_close_in_the_middle_comes_after_what_arrived(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    await peer.send(
        masked(CONTINUATION, "b", fin=False), masked(CLOSE, close_payload(1000, b"x"))
    )
    second, end = program.do(anext(pieces)), program.do(anext(pieces))
    after = program.do(program.websocket.recv())
    await peer.client.send()
    assert (first.result(), second.result()) == ("a", "b")
    for call in (end, after):
        assert isinstance(call.exception(), ConnectionClosed)
    assert (end.exception().code, end.exception().reason) == (1000, "x")
    assert await program.do(anext(pieces)) == "end"


async def test_tcp_that_ends_in_the_middle_is_1006(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first, second = program.do(anext(pieces)), program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    assert first.result() == "a"
    await peer.client.lose()
    assert second.exception().code == 1006


async def test_bad_text_fails_when_what_came_before_was_taken(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(TEXT, "a", fin=False))
    await peer.send(
        masked(CONTINUATION, b"b", fin=False) + masked(CONTINUATION, b"\xff")
    )
    assert first.result() == "a"
    assert peer.frames() == []
    second, end = program.do(anext(pieces)), program.do(anext(pieces))
    await peer.send()
    assert second.result() == "b"
    assert isinstance(end.exception(), ConnectionClosed)
    assert peer.frames() == [(CLOSE, close_payload(1007, b"text is not UTF-8"))]


async def test_a_message_over_the_limit_fails(peer, program):
    await peer.open(program, max_size=3)
    pieces = program.websocket.recv_streaming()
    first, end = program.do(anext(pieces)), program.do(anext(pieces))
    await peer.send()
    await peer.send(masked(BINARY, b"ab", fin=False), masked(CONTINUATION, b"cd"))
    assert first.result() == b"ab"
    assert isinstance(end.exception(), ConnectionClosed)
    assert peer.frames() == [(CLOSE, close_payload(1009, b"message is too big"))]


async def test_what_is_compressed_wrongly_fails_when_it_is_read(
    peer, program, monkeypatch
):
    shake = type(peer).open.__globals__
    offer = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    head = shake["HANDSHAKE"].removesuffix(b"\r\n\r\n")
    monkeypatch.setitem(shake, "HANDSHAKE", head + offer)
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(BINARY, b"\xff\xff", rsv=4))
    assert isinstance(first.exception(), ConnectionClosed)
    assert peer.frames() == [(CLOSE, close_payload(1007, b"compressed data is broken"))]
    assert program.websocket.state is State.CLOSED


# Back-pressure.


@pytest.mark.parametrize(
    ("payload", "count"), [(b"x", MESSAGES), (b"x" * (BYTES // 4), 4)]
)
async def test_pieces_that_wait_stop_the_reader(peer, program, payload, count):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(BINARY, payload, fin=False))
    assert first.result() == payload
    for _ in range(count):
        assert peer.transport.reading
        await peer.send(masked(CONTINUATION, payload, fin=False))
    assert not peer.transport.reading
    for _ in range(count // 2):
        assert not peer.transport.reading
        assert await program.do(anext(pieces)) == payload
    assert peer.transport.reading
    await program.do(pieces.aclose())
    assert peer.transport.reading


async def test_who_does_not_read_does_not_stop_a_close(peer, program):
    await peer.open(program)
    pieces = program.websocket.recv_streaming()
    first = program.do(anext(pieces))
    await peer.send(masked(BINARY, b"a", fin=False))
    assert first.result() == b"a"
    program.websocket.close_nowait()
    stream = peer.websocket._conversation.stream
    for _ in range(10):
        await peer.send(masked(CONTINUATION, bytes(BYTES), fin=False))
        assert peer.transport.reading
    assert stream.size == BYTES
    await peer.send(masked(CONTINUATION), masked(CLOSE, close_payload(1000)))
    assert await program.do(anext(pieces)) == bytes(BYTES)
    with pytest.raises(ConnectionClosed):
        await program.do(anext(pieces))


# With peers of another make, on real sockets.


@asynccontextmanager
async def our_server(handler, *, tls=False, **options):
    loop = asyncio.get_running_loop()

    def answer(request):
        return Response(101, upgrade=Upgrade(handler, **options))

    service = Service(answer, loop, TopicRegistry(loop))
    server = await loop.create_server(
        lambda: HttpConnection(service), "127.0.0.1", 0, ssl=server_context(tls)
    )
    scheme = "wss" if tls else "ws"
    try:
        yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await service.cancel_handlers()
        service.heartbeat.close()


def server_context(tls):
    if not tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client_context(tls):
    return ssl.create_default_context(cafile=CERTIFICATE) if tls else None


WORDS = ["höre ", "", " ".join(map(str, range(20_000))), "𝄞"]
BLOCKS = [bytes(range(256)), b"", b"\xff", random.Random(1).randbytes(100_000)]
TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
CODED = pytest.mark.parametrize("coded", [False, True], ids=["as-is", "deflate"])


async def gather(pieces):
    return [piece async for piece in pieces]


@TLS
@CODED
def test_our_server_reads_what_a_client_sends_in_fragments(run, tls, coded):
    seen = []

    async def handler(websocket):
        while True:
            seen.append(await gather(websocket.recv_streaming()))
            await websocket.send(str(len(seen)))

    async def scenario():
        options = {"compression": "deflate" if coded else None}
        async with (
            our_server(handler, tls=tls) as url,
            websockets.connect(url, ssl=client_context(tls), **options) as client,
        ):
            for message in (WORDS, BLOCKS, "whole", b""):
                await client.send(message)
                await client.recv()

    run(scenario())
    expected = ["".join(WORDS), b"".join(BLOCKS), "whole", b""]
    assert [type(pieces[0])().join(pieces) for pieces in seen] == expected
    assert len(seen[0]) > 1
    assert seen[2:] == [["whole"], [b""]]


@TLS
@CODED
def test_our_client_reads_what_a_server_sends_in_fragments(run, tls, coded):
    async def handler(websocket):
        async for _ in websocket:
            await websocket.send(WORDS)
            await websocket.send(BLOCKS)
            await websocket.send("whole")

    async def scenario():
        peer = serve_peer(
            handler,
            "127.0.0.1",
            0,
            ssl=server_context(tls),
            compression="deflate" if coded else None,
        )
        async with peer as server:
            port = server.sockets[0].getsockname()[1]
            url = f"{'wss' if tls else 'ws'}://localhost:{port}/"
            async with connect(url, ssl=client_context(tls)) as websocket:
                for _ in range(2):
                    await websocket.send("go")
                    text = await gather(websocket.recv_streaming())
                    data = await gather(websocket.recv_streaming(decode=False))
                    assert "".join(text) == "".join(WORDS)
                    assert b"".join(data) == b"".join(BLOCKS)
                    assert await websocket.recv() == "whole"

    run(scenario())


@TLS
def test_a_message_is_passed_on_while_it_arrives(run, tls):
    """Only when a piece has come back, the one after the next two is sent."""

    async def handler(websocket):
        await websocket.send(websocket.recv_streaming())

    async def scenario():
        # Both sides keep a piece back until they know whether it is the last.
        allowed = asyncio.Semaphore(3)

        async def pieces():
            for number in range(20):
                await allowed.acquire()
                yield b"%d." % number

        async with (
            our_server(handler, tls=tls) as url,
            connect(url, ssl=client_context(tls), compression=None) as websocket,
        ):
            sending = asyncio.create_task(websocket.send(pieces()))
            received = []
            async for piece in websocket.recv_streaming():
                received.append(piece)
                allowed.release()
            await sending
            assert received == [b"%d." % number for number in range(20)]

    run(scenario())


def test_a_message_of_64_mib_never_stands_in_memory(run):
    frame = bytes(16 * 1024)
    frames = 4096
    held = []

    async def handler(websocket):
        size = 0
        conversation = websocket._conversation
        async for piece in websocket.recv_streaming():
            stream = conversation.stream
            held.append(len(piece) + (0 if stream is None else stream.size))
            size += len(piece)
            if size % 2**20 < len(piece):
                # The sender is much faster than this.
                await asyncio.sleep(0.001)
        await websocket.send(str(size))

    async def scenario():
        async with (
            our_server(handler, max_size=2**26) as url,
            connect(url, compression=None) as websocket,
        ):
            await websocket.send(frame for _ in range(frames))
            assert await websocket.recv() == str(2**26)

    tracemalloc.start()
    try:
        run(scenario())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One read may bring 256 KiB; what two of them bring is more than ever waits.
    assert max(held) <= 2 * 256 * 1024
    assert peak < 8 * 2**20


@settings(max_examples=25, deadline=None)
@given(st.data(), st.booleans())
def test_fragments_and_reads_of_any_size_are_the_message(
    on_fake, peer_of, data, is_text
):
    payload = data.draw(st.text(max_size=60)).encode() if is_text else b""
    payload = payload or data.draw(st.binary(max_size=100))
    is_text = is_text and is_utf8(payload)
    places = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    edges = [0, *places, len(payload)]
    wire = b"".join(
        masked(
            CONTINUATION if at else (TEXT if is_text else BINARY),
            payload[edges[at] : edges[at + 1]],
            fin=at == len(edges) - 2,
        )
        for at in range(len(edges) - 1)
    )
    step = data.draw(st.integers(1, len(wire)))
    seen = []

    async def handler(websocket):
        seen.append(await gather(websocket.recv_streaming()))
        seen.append(await websocket.recv())

    async def scenario(open_connection):
        peer = peer_of(open_connection(None))
        await peer.open(handler)
        for at in range(0, len(wire), step):
            await peer.send(wire[at : at + step])
        await peer.send(masked(BINARY, b"after"))

    on_fake(scenario)
    message = payload.decode() if is_text else payload
    assert (type(message)().join(seen[0]), seen[1]) == (message, b"after")

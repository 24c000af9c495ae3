import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from beamfast._outbound import Outbound
from beamfast._wire import LoopState

CERTIFICATE = Path(__file__).parent / "data" / "localhost.pem"


class Peer(Outbound):
    """Attaches itself when the loop has connected it."""

    def __init__(self, state):
        self.state = state
        self.pauses = 0
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.attach(transport, self.state)

    def data_received(self, data):
        pass

    def eof_received(self):
        return False

    def pause_writing(self):
        self.pauses += 1
        super().pause_writing()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.lost.set_result(exc)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def run(request):
    def run(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


async def connected(secure=False):
    """Return a served Outbound and the client's stream, over loopback TCP."""
    loop = asyncio.get_running_loop()
    peers = asyncio.Queue()
    state = LoopState(loop)

    def serve():
        peer = Peer(state)
        peers.put_nowait(peer)
        return peer

    ours = theirs = None
    if secure:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(CERTIFICATE)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.check_hostname = False
        theirs.verify_mode = ssl.CERT_NONE
    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=ours)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs)
    peer = await peers.get()
    while peer.transport is None:
        await asyncio.sleep(0)
    server.close()
    return peer, reader, writer


@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_reader_gets_every_byte_in_order(run, secure):
    async def main():
        peer, reader, writer = await connected(secure)
        peer.queue_bytes_limit = peer.queue_items_limit = 1 << 30
        pieces = [b"%7d," % index * (1 + index % 40 * 100) for index in range(1200)]
        expected = b"".join(pieces)

        async def write():
            for index, piece in enumerate(pieces):
                if index % 7 == 0:
                    peer.cork()
                peer.write(piece)
                if index % 7 == 5:
                    peer.uncork()
                if index % 50 == 0:
                    await (peer.wait_writable() or asyncio.sleep(0))
            peer.uncork()
            await (peer.wait_writable() or asyncio.sleep(0))
            assert not peer.is_paused
            peer.close_transport()

        writing = asyncio.ensure_future(write())
        received = await reader.read(-1)
        await writing
        assert received == expected
        assert len(expected) > 15 << 20
        assert peer.pauses > 1
        writer.close()
        assert await peer.lost is None

    run(main())


@pytest.mark.parametrize("secure", [False, True])
def test_closing_delivers_what_is_pending(run, secure):
    async def main():
        peer, reader, writer = await connected(secure)
        for _ in range(100):
            peer.write(b"0123456789" * 1000)
        peer.close_transport()
        assert len(await reader.read(-1)) == 1_000_000
        writer.close()
        await peer.lost

    run(main())


def test_a_vanished_peer_ends_in_connection_lost(run):
    async def main():
        peer, _reader, writer = await connected()
        writer.transport.abort()
        while not peer.is_closing:
            peer.write(b"x" * 1000)
            await asyncio.sleep(0)
        await peer.lost
        peer.write(b"late")

    run(main())


def test_a_peer_that_does_not_read_is_noticed_early(run):
    async def main():
        peer, reader, writer = await connected()
        writer.transport.pause_reading()
        peer.queue_bytes_limit = 1 << 20
        written = 0
        while not peer.is_closing:
            peer.write(b"x" * 10_000)
            written += 10_000
            await asyncio.sleep(0)
        await peer.lost
        # Mostly what a loopback socket's receive buffer swallows.
        assert written < 10 << 20
        writer.transport.abort()
        del reader

    run(main())

"""
Peers that are not ours: blocking sockets in threads, plain and with TLS.

They send bytes as they are told and take apart by themselves what they get.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from pathlib import Path

from beamfast import connect
from beamfast._fanout import TopicRegistry
from beamfast.connection.http import HttpConnection
from beamfast.connection.service import Service
from beamfast.http import Response, Upgrade
from beamfast.protocol.handshake import accept_key

CERTIFICATE = Path(__file__).parents[1] / "data" / "localhost.pem"
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
CLOSE = 8


def frame(opcode, payload, *, masked=True, fin=True):
    """Build a short frame by hand."""
    assert len(payload) < 126
    head = bytes([opcode | (0x80 if fin else 0), len(payload) | (0x80 * masked)])
    key = b"\x37\xfa\x21\x3d" if masked else bytes(4)
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return head + (key if masked else b"") + body


def next_frame(data):
    """Return first byte, key and payload of a frame, and the rest; None if short."""
    if len(data) < 2:
        return None, data
    length, at = data[1] & 0x7F, 2
    if length > 125:
        at = 4 if length == 126 else 10
        if len(data) < at:
            return None, data
        length = int.from_bytes(data[2:at], "big")
        # The shortest form that does (RFC 6455, 5.2).
        assert length > (125 if at == 4 else 0xFFFF)
    key = data[at : at + 4] if data[1] & 0x80 else b""
    at += len(key)
    if len(data) < at + length:
        return None, data
    payload = data[at : at + length]
    if key:
        payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return (data[0], key, payload), data[at + length :]


class Peer:
    """The other end: a blocking socket, used in threads."""

    def __init__(self, sock):
        self.socket, self.unread = sock, b""
        self.socket.settimeout(20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def of_client(cls, port, context):
        """Connect, and shake hands as a client."""
        sock = socket.create_connection(("127.0.0.1", port))
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        peer = cls(sock)
        peer.send(HANDSHAKE)
        assert peer.read_head().startswith(b"HTTP/1.1 101 ")
        return peer

    @classmethod
    def of_server(cls, listener, context):
        """Accept, and shake hands as a server."""
        sock, _ = listener.accept()
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
        peer = cls(sock)
        key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", peer.read_head())[1]
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
            % accept_key(key.decode()).encode()
        )
        return peer

    def read_head(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        return head

    def send(self, data, *, chopped=False):
        """Send what the other end still takes."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for piece in (data,) if not chopped else map(bytes, zip(data, strict=True)):
                self.socket.sendall(piece)

    def read_frame(self):
        """Return the next frame; None at the end, which comes between two frames."""
        while (found := next_frame(self.unread))[0] is None:
            try:
                chunk = self.socket.recv(2**16)
            except (ConnectionError, ssl.SSLError):
                chunk = b""
            if not chunk:
                assert not self.unread
                return None
            self.unread += chunk
        frame, self.unread = found
        return frame

    def read_to_the_end(self):
        """Return all frames that come."""
        return list(iter(self.read_frame, None))

    def read_to_the_close(self):
        """Return the frames up to a close frame, after which a server hangs up."""
        frames = [self.read_frame()]
        while frames[-1][0] != 0x80 | CLOSE:
            frames.append(self.read_frame())
        return frames

    def reset(self):
        """End TCP at once, without a word."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        socket.socket(fileno=self.socket.detach()).close()


class Ends:
    """How both ends are made, plain or with TLS."""

    def __init__(self, is_tls):
        self.server_context = self.client_context = None
        self.scheme = "ws"
        if is_tls:
            self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.server_context.load_cert_chain(CERTIFICATE)
            self.client_context = ssl.create_default_context(cafile=CERTIFICATE)
            self.scheme = "wss"

    @contextlib.asynccontextmanager
    async def server(self, handler, **options):
        """Run a server of ours; give service and port; nothing may be left of it."""
        loop = asyncio.get_running_loop()
        upgrade = Upgrade(handler, ping_interval=0, **options)
        service = Service(
            lambda request: Response(101, upgrade=upgrade), loop, TopicRegistry(loop)
        )
        server = await loop.create_server(
            lambda: HttpConnection(service), "127.0.0.1", 0, ssl=self.server_context
        )
        try:
            yield service, server.sockets[0].getsockname()[1]
            while len(service.heartbeat) or service.handlers:
                await asyncio.sleep(0)
        finally:
            server.close()
            service.heartbeat.close()

    async def talk(self, port, conversation):
        """Run ``conversation`` as a client in a thread."""

        def run():
            peer = Peer.of_client(port, self.client_context)
            with peer.socket:
                return conversation(peer)

        return await asyncio.to_thread(run)

    @contextlib.asynccontextmanager
    async def client(self, conversation, **options):
        """Connect our client to a server that runs ``conversation`` in a thread."""
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def run():
                peer = Peer.of_server(listener, self.server_context)
                with peer.socket:
                    return conversation(peer)

            options = {"compression": None, "ping_interval": 0} | options
            port = listener.getsockname()[1]
            serving = asyncio.ensure_future(asyncio.to_thread(run))
            if self.client_context is not None:
                options["ssl"] = self.client_context
            url = f"{self.scheme}://localhost:{port}/"
            yield await connect(url, **options), serving
            await serving

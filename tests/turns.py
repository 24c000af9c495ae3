"""What tests of the core share: an event loop run by hand, and transports for it."""

import asyncio
import socket

from beamfast._outbound import Outbound
from beamfast._wire import LoopState


def shout(message):
    """Frame a message so that it is seen which wire form did it."""
    return message.upper()


class Loop:
    """Stands for an event loop: runs what was scheduled, one turn at a time."""

    def __init__(self):
        self.scheduled = []
        self.errors = []

    def call_soon(self, callback, *arguments):
        self.scheduled.append((callback, arguments))

    def turn(self):
        scheduled, self.scheduled = self.scheduled, []
        for callback, arguments in scheduled:
            callback(*arguments)

    def run(self):
        turns = 0
        while self.scheduled:
            self.turn()
            turns += 1
        return turns

    def create_future(self):
        return asyncio.Future(loop=asyncio.new_event_loop())

    def call_exception_handler(self, context):
        self.errors.append(context)


class RoomTransport:
    """Takes ``room`` bytes at once and keeps the rest until told to drain."""

    def __init__(self, *, room=0, kept=b"", extra=()):
        self.extra = dict(extra)
        self.room, self.kept = room, kept
        self.writes, self.calls = [], []
        self.protocol = None
        self.closing = False

    def get_extra_info(self, name):
        return self.extra.get(name)

    def set_write_buffer_limits(self, high, low):
        self.limits = (high, low)

    def get_write_buffer_size(self):
        return len(self.kept)

    def is_closing(self):
        return self.closing

    def write(self, data):
        if isinstance(self.room, Exception):
            raise self.room
        data = bytes(data)
        self.writes.append(data)
        taken = min(self.room, len(data)) if not self.kept else 0
        self.room -= taken
        was_empty, self.kept = not self.kept, self.kept + data[taken:]
        if self.kept and was_empty:
            self.protocol.pause_writing()

    def drain(self, room=0):
        self.kept, self.room = b"", room
        self.protocol.resume_writing()

    def close(self):
        self.calls.append("close")

    def abort(self):
        self.calls.append("abort")


def attached(transport, kind=Outbound, state=None):
    outbound = kind()
    transport.protocol = outbound
    outbound.attach(transport, state or LoopState(Loop()))
    return outbound


def full(sock):
    """Fill a socket's buffers; return how many bytes that took."""
    size = 0
    try:
        while True:
            size += sock.send(b"." * 65536)
    except BlockingIOError:
        return size


def read(sock, size=1 << 20):
    data = b""
    try:
        while len(data) < size and (chunk := sock.recv(size - len(data))):
            data += chunk
    except BlockingIOError:
        pass
    return data


class SocketTransport:
    """A real socket pair behind a transport that sends only when told to."""

    def __init__(self, *, direct=True, buffer=None):
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.peer.setblocking(False)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.direct = direct
        self.kept = b""
        self.writes = []
        self.protocol = None
        self.closing = self.aborted = False

    def get_extra_info(self, name):
        return self.socket if name == "socket" and self.direct else None

    def set_write_buffer_limits(self, high, low):
        pass

    def get_write_buffer_size(self):
        return len(self.kept)

    def is_closing(self):
        return self.closing

    def write(self, data):
        self.writes.append(bytes(data))
        if self.kept:
            self.kept += data
            return
        self.kept = bytes(data)
        self._send()
        if self.kept:
            self.protocol.pause_writing()

    def _send(self):
        try:
            self.kept = self.kept[self.socket.send(self.kept) :]
        except BlockingIOError:
            pass
        except OSError:
            self.aborted = True

    def pump(self):
        """Do what the loop would do now that the socket is writable."""
        if self.kept and not self.aborted:
            self._send()
            if not self.kept:
                self.protocol.resume_writing()
        if self.aborted or (self.closing and not self.kept):
            self.lose()

    def lose(self):
        if self.protocol is not None:
            protocol, self.protocol = self.protocol, None
            protocol.connection_lost(None)
            self.socket.close()

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = self.aborted = True

    def read(self):
        data = b""
        try:
            while chunk := self.peer.recv(1 << 20):
                data += chunk
        except (BlockingIOError, ConnectionResetError):
            pass
        return data


class Subscriber(Outbound):
    def __init__(self, registry, **options):
        self.wire = SocketTransport(**options)
        self.wire.protocol = self
        self.overflows = 0
        self.attach(self.wire, registry.state)

    def on_overflow(self):
        self.overflows += 1

    def received(self):
        return self.wire.read()


def fill(subscriber):
    """Write until the peer's side is full; return what it will read first."""
    count = 0
    while not subscriber.is_paused:
        subscriber.write(b"-" * 1000)
        count += 1000
    return b"-" * count

"""
The bus between the workers of one machine: Unix datagrams, each to each.

Every worker binds a socket in a folder that only they may use, and finds the
others by their slot. A ring is one byte. What one turn of the loop forwards
leaves together, numbered per worker, so that whoever gets it sees what is
missing. Nothing waits: what a worker does not take in time is bounded and then
dropped, and a worker that is not there gets nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from beamfast.errors import BusError
from beamfast.pubsub.bus import Bus

logger: logging.Logger = logging.getLogger("beamfast.bus")

RING: Final = b"\x07"
#: Origin's slot, its start (random), number of the datagram, first and last piece.
HEAD: Final = struct.Struct("!HQQ??")
#: Kind, length of the topic, length of the payload.
RECORD: Final = struct.Struct("!?II")

#: Bytes of one datagram, below what any kernel of ours takes by default.
PIECE: Final = 32 * 2**10
BUFFER: Final = 4 * PIECE
#: Bytes that may wait for one worker.
WAITING_BYTES: Final = 4 * 2**20
#: Seconds after which a full socket is tried again. A poll would not help: the
#: kernel calls a datagram socket writable whatever the state of the other end.
RETRY: Final = 0.002
#: Datagrams that are taken in one turn of the loop.
TURN: Final = 64

FULL: Final = (errno.EAGAIN, errno.ENOBUFS)
GONE: Final = (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET)


class Peer:
    """What waits for one other worker."""

    __slots__ = ("path", "rings", "size", "waiting")

    def __init__(self, path: str) -> None:
        self.path: str = path
        self.waiting: deque[bytes] = deque()
        self.size: int = 0
        self.rings: bool = False

    def send(self, own: socket.socket) -> bool:
        """Send until nothing waits (True), or until the other's queue is full."""
        try:
            if self.rings:
                own.sendto(RING, self.path)
                self.rings = False
            while self.waiting:
                own.sendto(self.waiting[0], self.path)
                self.size -= len(self.waiting.popleft())
        except OSError as error:
            if error.errno in FULL:
                return False
            if error.errno not in GONE:
                raise
            # It starts with an empty memory: from the log, and without old news.
            self.clear()
        return True

    def clear(self) -> None:
        """Forget what waits."""
        self.waiting.clear()
        self.size = 0
        self.rings = False


class Origin:
    """How far one other worker has been heard."""

    __slots__ = ("expected", "pieces", "start")

    def __init__(self, start: int, expected: int) -> None:
        self.start: int = start
        self.expected: int = expected
        self.pieces: list[bytes] | None = None


class UnixBus(Bus):
    """
    One worker's place on the bus.

    Args:
        folder: where the sockets are; only the workers' user may write there.
        slot: of this worker, from 0.
        slots: how many there are.

    Raises:
        BusError: the socket cannot be bound.
    """

    def __init__(self, folder: Path, slot: int, slots: int) -> None:
        self._path = folder / str(slot)
        self._slot = slot
        self._start = int.from_bytes(os.urandom(8))
        self._sequence = 0
        self._outgoing: list[bytes] = []
        self._flush: asyncio.Handle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._peers = [Peer(str(folder / str(n))) for n in range(slots) if n != slot]
        self._origins: dict[int, Origin] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rang: Callable[[], None]
        self._received: Callable[[str, str | bytes], None]
        self.lost: int = 0
        """Datagrams of others that never came."""
        self.dropped: int = 0
        """Datagrams that another worker was too slow for."""
        # The predecessor in this slot was killed and left its socket behind.
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        try:
            self._socket.bind(str(self._path))
        except OSError as error:
            self._socket.close()
            raise BusError(f"bus socket {self._path}: {error}") from error

    def listen(
        self,
        on_ring: Callable[[], None],
        on_message: Callable[[str, str | bytes], None],
    ) -> None:
        """Name who takes what the others send; called once, on the loop."""
        self._rang, self._received = on_ring, on_message
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    async def close(self) -> None:
        """Send what can be sent at once, then leave the bus."""
        self._send()
        for handle in (self._flush, self._retry):
            if handle is not None:
                handle.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    # Sending.

    def ring(self) -> None:
        """Tell the others that the log has grown; once per turn of the loop."""
        for peer in self._peers:
            peer.rings = True
        self._arm()

    def forward(self, topic: str, message: str | bytes) -> None:
        """Hand a publication to the others at the end of this turn."""
        name = topic.encode()
        is_text = isinstance(message, str)
        payload = message.encode() if isinstance(message, str) else message
        head = RECORD.pack(is_text, len(name), len(payload))
        self._outgoing += (head, name, payload)
        self._arm()

    def _arm(self) -> None:
        if self._flush is None and self._loop is not None:
            self._flush = self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._flush = None
        if self._outgoing:
            datagrams = list(self._number(b"".join(self._outgoing)))
            self._outgoing.clear()
            for peer in self._peers:
                self._queue(peer, datagrams)
        # All of them, whoever is full.
        done = [peer.send(self._socket) for peer in self._peers]
        if not all(done) and self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(RETRY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._send()

    def _number(self, batch: bytes) -> Iterator[bytes]:
        """Cut a batch into numbered datagrams."""
        for offset in range(0, len(batch), PIECE):
            piece = batch[offset : offset + PIECE]
            is_last = offset + PIECE >= len(batch)
            self._sequence += 1
            yield (
                HEAD.pack(self._slot, self._start, self._sequence, offset == 0, is_last)
                + piece
            )

    def _queue(self, peer: Peer, datagrams: list[bytes]) -> None:
        size = sum(map(len, datagrams))
        # The whole batch or nothing, but never nothing for ever: a batch above the
        # bound goes when nothing else waits.
        if peer.size and peer.size + size > WAITING_BYTES:
            if not self.dropped:
                logger.warning("worker at %s is too slow for its topics", peer.path)
            self.dropped += len(datagrams)
            return
        peer.waiting += datagrams
        peer.size += size

    # Receiving.

    def _read(self) -> None:
        rang = False
        for _ in range(TURN):
            try:
                data = self._socket.recv(HEAD.size + PIECE)
            except BlockingIOError:
                break
            if data == RING:
                rang = True
            else:
                self._take(data)
        # Many rings say no more than one: look at the log.
        if rang:
            self._rang()

    def _take(self, data: bytes) -> None:
        """Take one datagram in: in order, each once, or not at all."""
        slot, start, sequence, is_first, is_last = HEAD.unpack_from(data)
        origin = self._origins.get(slot)
        if origin is None or origin.start != start:
            # A worker that was (re)started, or that knew us before we were: what
            # went before was not for us.
            origin = self._origins[slot] = Origin(start, sequence)
        if sequence != origin.expected:
            self.lost += sequence - origin.expected
            origin.pieces = None
        origin.expected = sequence + 1
        if is_first:
            origin.pieces = []
        if origin.pieces is None:
            return
        origin.pieces.append(data[HEAD.size :])
        if is_last:
            batch = b"".join(origin.pieces)
            origin.pieces = None
            for topic, message in records(batch):
                self._received(topic, message)


def records(batch: bytes) -> Iterator[tuple[str, str | bytes]]:
    """Return the topics and messages of a batch, in order."""
    position = 0
    while position < len(batch):
        is_text, name_size, size = RECORD.unpack_from(batch, position)
        position += RECORD.size
        topic = batch[position : position + name_size].decode()
        position += name_size
        payload = batch[position : position + size]
        position += size
        yield topic, payload.decode() if is_text else payload

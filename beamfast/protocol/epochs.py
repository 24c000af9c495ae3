"""
What many subscribers get, compressed once: windows that they share.

The messages of an epoch refer to earlier ones of the same epoch, so each of its
members has to get them all, in order, and nothing else that enters the window of
its peer. Topics see to that; here are the bytes, of permessage-deflate (RFC 7692)
and of event streams with the content coding gzip (RFC 1952).
"""

from __future__ import annotations

import zlib
from typing import Final

from beamfast._frames import build_frame
from beamfast.protocol.deflate import RSV1, Agreement, Deflate, PerMessageDeflate
from beamfast.protocol.inflate import TAIL, Inflation

#: Messages after which a window begins anew, so that others can join.
LENGTH: Final = 64
#: Of shared windows, as powers of two and as zlib counts memory: 32 KiB each.
WINDOW_BITS: Final = 12
MEM_LEVEL: Final = 5
#: Bytes that a message may grow by for the sake of those after it.
TOLERANCE: Final = 16

#: How a server negotiates the extension for sockets that share windows.
SHARED: Final = PerMessageDeflate(
    max_window_bits=WINDOW_BITS, mem_level=MEM_LEVEL, request_no_context_takeover=True
)
#: The same for sockets that have windows of their own.
DEDICATED: Final = PerMessageDeflate(max_window_bits=WINDOW_BITS, mem_level=MEM_LEVEL)

#: The start of a gzip stream, without name and time (RFC 1952, 2.3).
GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: A block without content: bytes that tell proxies and nobody else (RFC 1951, 3.2.4).
EMPTY_BLOCK: Final = b"\x00\x00\x00\xff\xff"
_BLOCK: Final = 0xFFFF


class Epochs:
    """
    A window that begins anew from time to time.

    Args:
        bits: of the window.
        length: messages of an epoch; 1 for messages that stand alone.

    Attributes:
        messages: since the epoch began.
    """

    def __init__(self, bits: int, length: int) -> None:
        self.messages: int = 0
        self._bits = bits
        self._length = length
        self._compressor: zlib._Compress | None = None
        self._level = 0

    @property
    def is_over(self) -> bool:
        """True when the next message begins an epoch."""
        return self.messages >= self._length

    @property
    def stands_alone(self) -> bool:
        """True when no message refers to another."""
        return self._length == 1

    def begin(self) -> None:
        """Let the next message refer to nothing before it."""
        self._compressor = None
        self.messages = 0

    def compress(self, data: bytes) -> bytes:
        """Return the blocks of one message, which end at a byte (RFC 1951)."""
        level = SHARED.level_for(len(data))
        compressor = self._compressor
        if compressor is None or self.is_over or level != self._level:
            self.begin()
            compressor = zlib.compressobj(level, zlib.DEFLATED, -self._bits, MEM_LEVEL)
            self._compressor, self._level = compressor, level
        self.messages += 1
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


class FrameEpochs(Epochs):
    """For WebSockets: whole frames in, frames with RSV1 out."""

    def encode(self, frame: bytes) -> bytes:
        """Return an unmasked frame with its payload compressed, if that helps."""
        length = frame[1]
        payload = frame[2 if length < 126 else 4 if length == 126 else 10 :]
        if self.stands_alone and len(payload) < SHARED.min_size:
            return frame
        data = self.compress(payload)[: -len(TAIL)]
        if len(data) < len(payload) + (0 if self.stands_alone else TOLERANCE):
            return build_frame(frame[0] & 0xF, data, rsv=RSV1)
        # What the peers do not get cannot be referred to.
        self.begin()
        return frame


class StreamEpochs(Epochs):
    """For gzip streams: bytes in, blocks out."""

    def encode(self, data: bytes) -> bytes:
        """Return the blocks of ``data``."""
        return self.compress(data)


class StoredBlocks:
    """For gzip streams: what is not compressed enters the window as well."""

    def encode(self, data: bytes) -> bytes:
        """Return ``data`` as stored blocks (RFC 1951, 3.2.4)."""
        blocks = bytearray()
        for start in range(0, len(data), _BLOCK):
            piece = data[start : start + _BLOCK]
            blocks += b"\x00"
            blocks += len(piece).to_bytes(2, "little")
            blocks += (len(piece) ^ _BLOCK).to_bytes(2, "little")
            blocks += piece
        return bytes(blocks)


class SharedDeflate:
    """
    permessage-deflate of all sockets with the same agreement.

    Topics compress for them; what goes to one alone goes as it is, and what they
    send refers to nothing before it. So it holds nothing of any of them.

    Args:
        agreement: in which the peer has no context takeover.

    Attributes:
        has_takeover: their peers keep a window between messages.
    """

    rsv: int = RSV1

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self.has_takeover: bool = agreement.own_takeover

    def shared(self) -> FrameEpochs:
        """Return a window to share."""
        return FrameEpochs(self._agreement.own_bits, LENGTH)

    def single(self) -> FrameEpochs:
        """Return what compresses each message by itself."""
        return FrameEpochs(self._agreement.own_bits, 1)

    def outside(self) -> None:
        """Return nothing: a message without RSV1 does not enter the window."""

    # As an extension of a driver.

    def encode(self, payload: bytes) -> tuple[bytes, int]:
        """Return the message as it is."""
        return payload, 0

    def decode(self, payload: bytes, max_size: int) -> bytes:
        """
        Return the message of a peer; see :meth:`Deflate.decode`.

        Raises:
            PayloadTooBig: it is over ``max_size``, or suspiciously dense.
            ProtocolError: 1007, the data is broken.
        """
        return Deflate(self._agreement, SHARED).decode(payload, max_size)

    def decoder(self, max_size: int) -> Inflation:
        """Return what undoes the compression of one message piece by piece."""
        return Deflate(self._agreement, SHARED).decoder(max_size)

    def close(self) -> None:
        """Do nothing: others still use it."""


class SharedGzip:
    """Content coding gzip of all event streams that have it."""

    has_takeover: bool = True

    def __init__(self) -> None:
        self._stored = StoredBlocks()

    def shared(self) -> StreamEpochs:
        """Return a window to share."""
        return StreamEpochs(WINDOW_BITS, LENGTH)

    def single(self) -> StreamEpochs:
        """Return what compresses each event by itself."""
        return StreamEpochs(WINDOW_BITS, 1)

    def outside(self) -> StoredBlocks:
        """Return what leaves events as they are."""
        return self._stored


class Codings:
    """The codings in use: the same object for all that can share windows."""

    def __init__(self) -> None:
        self.gzip: SharedGzip = SharedGzip()
        self._deflate: dict[Agreement, SharedDeflate] = {}

    def deflate(self, agreement: Agreement) -> SharedDeflate:
        """Return the one of all sockets with this agreement."""
        # What the peer's window is does not matter for what it gets.
        key = Agreement(agreement.own_bits, agreement.own_takeover, 15, False)
        return self._deflate.setdefault(key, SharedDeflate(key))

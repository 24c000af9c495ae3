"""
Compressed messages of a peer (RFC 7692, 7.2.2), inflated as far as somebody asks.

A message can be read while it arrives, and never becomes larger in memory than
what is asked for at a time.
"""

from __future__ import annotations

import zlib
from typing import Final

from beamfast.errors import CloseCode, PayloadTooBig, ProtocolError

#: The end of a flushed block, which stays at home (RFC 7692, 7.2.1).
TAIL: Final = b"\x00\x00\xff\xff"

# Below this much output every ratio is allowed.
_RATIO_FREE: Final = 64 * 1024

# A sender ends a message with one; each costs a copy of what follows.
_FINAL_BLOCKS: Final = 16


class Past:
    """
    What the messages of a peer with context takeover may refer to.

    Attributes:
        inflater: in the middle of a stream; None at the start of one.
        window: the last bytes, up to the size of the peer's window.
    """

    __slots__ = ("inflater", "window")

    def __init__(self) -> None:
        self.inflater: zlib._Decompress | None = None
        self.window: bytes = b""


class Inflation:
    """
    One message of the peer: compressed pieces in, pieces of the message out.

    Args:
        past: to which it may refer and of which it becomes part; None without
            context takeover.
        window: bytes of the peer's window.
        max_size: bytes that it may have.
        max_ratio: greatest ratio to what has arrived of its compressed form, once
            it is over 64 KiB; None for any.

    Attributes:
        is_over: all of it was read.
    """

    __slots__ = (
        "_blocks",
        "_data",
        "_given",
        "_has_end",
        "_inflater",
        "_max_ratio",
        "_max_size",
        "_past",
        "_received",
        "_seen",
        "_window",
        "is_over",
    )

    def __init__(
        self, past: Past | None, window: int, max_size: int, max_ratio: int | None
    ) -> None:
        self.is_over: bool = False
        self._past = past
        self._window = window
        self._max_size = max_size
        self._max_ratio = max_ratio
        self._inflater = None if past is None else past.inflater
        self._seen = b"" if past is None else past.window
        self._data = b""
        self._received = 0
        self._given = 0
        self._blocks = 0
        self._has_end = False

    def feed(self, payload: bytes, *, is_last: bool) -> None:
        """Take the next piece of the compressed form."""
        self._received += len(payload)
        self._has_end = is_last
        self._data += payload + TAIL if is_last else payload
        if self._blocks:
            self._end_exactly()

    def read(self, limit: int) -> bytes:
        """
        Return what follows, at most ``limit`` bytes.

        Returns:
            nothing when more of the compressed form has to arrive, or at the end.

        Raises:
            PayloadTooBig: the message is over ``max_size``, or too dense.
            ProtocolError: 1007, the data is broken.
        """
        allowed = self._max_size
        if self._max_ratio is not None:
            dense = max(_RATIO_FREE, self._max_ratio * self._received)
            allowed = min(allowed, dense)
        allowed -= self._given
        output = b""
        try:
            while self._data and not output:
                # One byte more than is allowed is all that a bomb gets.
                output = self._inflate(min(limit, allowed + 1))
        except zlib.error:
            raise ProtocolError(
                "compressed data is broken", CloseCode.INVALID_PAYLOAD_DATA
            ) from None
        if len(output) > allowed:
            raise PayloadTooBig("message is too big when decompressed")
        self._given += len(output)
        self.is_over = self._has_end and not self._data
        if self.is_over and self._past is not None:
            self._past.inflater, self._past.window = self._inflater, self._seen
        return output

    def _inflate(self, limit: int) -> bytes:
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = _new_inflater(self._window, self._seen)
        output = inflater.decompress(self._data, limit)
        self._data = inflater.unconsumed_tail
        if inflater.eof:
            # A final block ends the stream for zlib, but not the connection
            # (RFC 7692, 7.2.3.4): another stream goes on with the same window.
            self._data = inflater.unused_data
            self._inflater = None
            self._blocks += 1
            if self._blocks == _FINAL_BLOCKS:
                raise zlib.error("too many final blocks")
            self._end_exactly()
        if self._past is not None or self._data or not self._has_end:
            self._seen = (self._seen + output)[-self._window :]
        return output

    def _end_exactly(self) -> None:
        # What follows a final block is no block of another stream.
        if self._inflater is None and self._data == TAIL:
            self._data = b""


def _new_inflater(window: int, seen: bytes) -> zlib._Decompress:
    # zlib reads a window of 256 bytes as one of 512.
    bits = max(window.bit_length() - 1, 9)
    if seen:
        return zlib.decompressobj(-bits, zdict=seen)
    return zlib.decompressobj(-bits)

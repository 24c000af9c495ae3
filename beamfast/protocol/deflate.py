"""
permessage-deflate: messages compressed one by one.

Standard: RFC 7692, section 7. Windows of 256 bytes are read but not promised,
because zlib has none. What all subscribers get is compressed once, by
:func:`compress_shared`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from beamfast.errors import HandshakeError
from beamfast.protocol.extensions import Parameters
from beamfast.protocol.inflate import TAIL, Inflation, Past

#: The reserved bit of the extension (RFC 7692, 6).
RSV1: Final = 4

#: Level for messages up to ``_LONG`` bytes, and above.
_LEVEL: Final = 6
_FAST_LEVEL: Final = 1
_LONG: Final = 8 * 1024

# An empty message is one empty block (RFC 7692, 7.2.3.6).
_EMPTY: Final = b"\x00"

_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")
_BITS: Final = re.compile("[89]|1[0-5]")


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    What both sides keep to, seen from one of them.

    Attributes:
        own_bits: our window, as a power of two.
        own_takeover: our messages may refer to earlier ones.
        peer_bits: window of the peer.
        peer_takeover: messages of the peer may refer to earlier ones.
    """

    own_bits: int = 15
    own_takeover: bool = True
    peer_bits: int = 15
    peer_takeover: bool = True


class Deflate:
    """
    permessage-deflate at work on one connection.

    Both halves are created by the first message that needs them.
    """

    __slots__ = (
        "_compressor",
        "_level",
        "_options",
        "_past",
        "agreement",
        "rsv",
    )

    def __init__(self, agreement: Agreement, options: PerMessageDeflate) -> None:
        self.rsv: int = RSV1
        self.agreement: Agreement = agreement
        self._options = options
        self._compressor: zlib._Compress | None = None
        self._level = 0
        self._past: Past | None = None

    def encode(self, payload: bytes) -> tuple[bytes, int]:
        """Return the message to send and RSV1, or as it was and 0."""
        if len(payload) < self._options.min_size:
            return payload, 0
        if not payload:
            return _EMPTY, RSV1
        takeover = self.agreement.own_takeover
        level = self._options.level_for(len(payload))
        compressor = self._compressor
        if compressor is None or level != self._level:
            compressor = _new_compressor(
                self.agreement.own_bits, level, self._options.mem_level
            )
            self._compressor, self._level = compressor, level
        data = compressor.compress(payload)
        # A full flush forgets, which is what a peer without takeover does too.
        data += compressor.flush(zlib.Z_SYNC_FLUSH if takeover else zlib.Z_FULL_FLUSH)
        if len(data) - len(TAIL) >= len(payload):
            # The peer will not see these bytes, so nothing may refer to them.
            self.forget()
            return payload, 0
        return data[: -len(TAIL)], RSV1

    def decode(self, payload: bytes, max_size: int) -> bytes:
        """
        Return the message of the peer.

        Raises:
            PayloadTooBig: it is over ``max_size``, or denser than ``max_ratio``.
            ProtocolError: 1007, the data is broken.
        """
        inflation = self.decoder(max_size)
        inflation.feed(payload, is_last=True)
        message = inflation.read(max_size + 1)
        while not inflation.is_over:
            message += inflation.read(max_size + 1)
        return message

    def decoder(self, max_size: int) -> Inflation:
        """Return what undoes the compression of the next message piece by piece."""
        agreement = self.agreement
        if agreement.peer_takeover and self._past is None:
            self._past = Past()
        ratio = self._options.max_ratio
        return Inflation(self._past, 1 << agreement.peer_bits, max_size, ratio)

    def forget(self) -> None:
        """
        Begin anew before the next message.

        Needed whenever the peer got a compressed message that did not come from
        here, such as a shared one: what ours refers to is not where it was.
        """
        self._compressor = None

    def close(self) -> None:
        """Free both halves; up to 300 KiB."""
        self._compressor = self._past = None


@dataclass(frozen=True, slots=True)
class PerMessageDeflate:
    """
    The extension as it is offered and accepted, for either side.

    Args:
        no_context_takeover: our messages do not refer to earlier ones.
        max_window_bits: of our window, 9 to 15.
        request_no_context_takeover: ask the same of the peer.
        request_max_window_bits: ask the peer for a window, 8 to 15.
        level: of zlib; None for 6, and 1 for long messages.
        mem_level: of zlib, 1 to 9.
        min_size: bytes below which messages stay as they are.
        max_ratio: greatest ratio of a message above 64 KiB to its compressed form;
            None for any, as what a message may become is bounded by ``max_size``
            and honest ones that repeat themselves reach 1,000.

    Raises:
        ValueError: a window is out of range.
    """

    no_context_takeover: bool = False
    max_window_bits: int = 15
    request_no_context_takeover: bool = False
    request_max_window_bits: int | None = None
    level: int | None = None
    mem_level: int = 8
    min_size: int = 128
    max_ratio: int | None = None

    name: ClassVar[str] = "permessage-deflate"
    rsv: ClassVar[int] = RSV1

    def __post_init__(self) -> None:
        if not 9 <= self.max_window_bits <= 15:
            raise ValueError("max_window_bits is 9 to 15")
        if not 8 <= (self.request_max_window_bits or 15) <= 15:
            raise ValueError("request_max_window_bits is 8 to 15")

    def level_for(self, size: int) -> int:
        """Return the level of zlib for a message of ``size`` bytes."""
        if self.level is not None:
            return self.level
        return _LEVEL if size <= _LONG else _FAST_LEVEL

    # As a server.

    def accept(self, offers: Sequence[Parameters]) -> tuple[Parameters, Deflate] | None:
        """Take the first acceptable offer (RFC 7692, 7.1)."""
        for offer in offers:
            asked = _parse(offer)
            # A promise of 8 bits could not be kept by every zlib.
            if asked is not None and asked.get("server_max_window_bits") != 8:
                return self._answer(asked)
        return None

    def _answer(self, asked: dict[str, int | None]) -> tuple[Parameters, Deflate]:
        answer: list[tuple[str, str | None]] = []
        takeover = not (self.no_context_takeover or _FLAGS[0] in asked)
        peer_takeover = not (self.request_no_context_takeover or _FLAGS[1] in asked)
        if not takeover:
            answer.append((_FLAGS[0], None))
        if not peer_takeover:
            answer.append((_FLAGS[1], None))
        bits = self.max_window_bits
        # Unasked it would be legal, but browsers have stumbled over it; a
        # smaller window than announced is legal too.
        if _WINDOWS[0] in asked:
            bits = min(bits, asked[_WINDOWS[0]] or 15)
            answer.append((_WINDOWS[0], str(bits)))
        peer_bits = 15
        if _WINDOWS[1] in asked:
            wanted = asked[_WINDOWS[1]]
            peer_bits = min(wanted or 15, self.request_max_window_bits or 15)
            if wanted is not None or peer_bits < 15:
                answer.append((_WINDOWS[1], str(peer_bits)))
        return answer, Deflate(
            Agreement(bits, takeover, peer_bits, peer_takeover), self
        )

    # As a client.

    def offers(self) -> Sequence[Parameters]:
        """Return the one offer to make."""
        offer: list[tuple[str, str | None]] = []
        if self.request_no_context_takeover:
            offer.append((_FLAGS[0], None))
        if self.no_context_takeover:
            offer.append((_FLAGS[1], None))
        if self.request_max_window_bits is not None:
            offer.append((_WINDOWS[0], str(self.request_max_window_bits)))
        bits = self.max_window_bits
        offer.append((_WINDOWS[1], None if bits == 15 else str(bits)))
        return [offer]

    def activate(self, parameters: Parameters) -> Deflate:
        """
        Keep to what the server answered (RFC 7692, 7.1).

        Raises:
            HandshakeError: it answered something else than was offered.
        """
        answer = _parse(parameters)
        if answer is None or answer.get(_WINDOWS[1], 15) is None:
            raise HandshakeError(400, f"invalid parameters of {self.name}")
        takeover = not (self.no_context_takeover or _FLAGS[1] in answer)
        peer_takeover = _FLAGS[0] not in answer
        bits = answer.get(_WINDOWS[1]) or self.max_window_bits
        peer_bits = answer.get(_WINDOWS[0]) or 15
        if (
            bits > self.max_window_bits
            or peer_bits > (self.request_max_window_bits or 15)
            or (self.request_no_context_takeover and peer_takeover)
        ):
            raise HandshakeError(400, f"unacceptable parameters of {self.name}")
        return Deflate(Agreement(bits, takeover, peer_bits, peer_takeover), self)


def _parse(parameters: Parameters) -> dict[str, int | None] | None:
    """Return flags with None and windows with their bits; None if one is wrong."""
    parsed: dict[str, int | None] = {}
    for name, value in parameters:
        if name in parsed:
            return None
        if name in _WINDOWS and value is not None and _BITS.fullmatch(value):
            parsed[name] = int(value)
        # Only this window may be asked for without a number (RFC 7692, 7.1.2.2).
        elif value is None and name in (*_FLAGS, _WINDOWS[1]):
            parsed[name] = None
        else:
            return None
    return parsed


def _new_compressor(bits: int, level: int, mem_level: int) -> zlib._Compress:
    # zlib refers back at most 250 bytes in a window of 512, so 9 bits serve a
    # peer that asks for 8.
    return zlib.compressobj(level, zlib.DEFLATED, -max(bits, 9), mem_level)


def compress_shared(
    payload: bytes, *, window_bits: int = 12, level: int | None = None
) -> bytes:
    """
    Compress a message for many peers at once; it goes out with RSV1.

    It refers to nothing before it, so every peer decodes it whose server window
    has at least ``window_bits``, with and without context takeover. Who gets
    it must :meth:`Deflate.forget` before its own next message.
    """
    chosen = PerMessageDeflate(level=level).level_for(len(payload))
    compressor = _new_compressor(window_bits, chosen, 5)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data[: -len(TAIL)]

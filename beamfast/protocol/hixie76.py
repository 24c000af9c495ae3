"""
WebSocket before version 4: draft hixie-76, with a closing handshake.

Standard: draft-ietf-hybi-thewebsocketprotocol-00, which is hixie-76: sections
1.3 and 5.2 (challenge), 5.3 (closing). Frames are those of
:mod:`beamfast.protocol.hixie75`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from beamfast.errors import CloseCode, HandshakeError
from beamfast.http import Headers
from beamfast.protocol.driver import State, Step
from beamfast.protocol.hixie75 import Hixie75Driver

#: Bytes after the head of the request that belong to the challenge.
BODY_SIZE: Final = 8

_CLOSING: Final = b"\xff\x00"


class Hixie76Driver(Hixie75Driver):
    """One open connection of draft 76."""

    __slots__ = ()

    def __init__(
        self,
        *,
        max_size: int = 2**20,
        version: str = "hixie-76",
        subprotocol: str | None = None,
    ) -> None:
        super().__init__(max_size=max_size, version=version, subprotocol=subprotocol)

    def send_close(
        self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = ""
    ) -> bool:
        """Start the closing handshake; neither code nor reason can be told."""
        if self.state is not State.OPEN:
            return False
        self._move(Step.CLOSE_SENT)
        self._put(_CLOSING)
        return True

    def _receive_close(self) -> None:
        by = self._initiator()
        self._move(Step.CLOSE_RECEIVED)
        if by == "remote":
            self._move(Step.CLOSE_SENT)
            self._put(_CLOSING)
        self._end(CloseCode.NO_STATUS_RECEIVED, clean=True, by=by)


def key_numbers(headers: Headers) -> bytes:
    """
    Return the first eight bytes of the challenge: a number from each key.

    Raises:
        HandshakeError: 400, a key is missing or no client wrote it.
    """
    return b"".join(
        _key_number(headers.get(name) or "")
        for name in ("sec-websocket-key1", "sec-websocket-key2")
    )


def _key_number(key: str) -> bytes:
    digits = "".join(char for char in key if char in "0123456789")
    spaces = key.count(" ")
    # The client multiplied by the number of spaces, so a remainder is a forgery,
    # and the product has 32 bits (draft 76, 4.1, step 18, and 5.2, step 5).
    if 0 < len(digits) < 11 and spaces:
        number, remainder = divmod(int(digits), spaces)
        if not remainder and int(digits) < 2**32:
            return number.to_bytes(4, "big")
    raise HandshakeError(400, "Invalid Sec-WebSocket-Key1 or Sec-WebSocket-Key2")


def challenge_digest(numbers: bytes, body: bytes) -> bytes:
    """Return the 16 bytes that prove the challenge was understood."""
    return hashlib.md5(numbers + body, usedforsecurity=False).digest()

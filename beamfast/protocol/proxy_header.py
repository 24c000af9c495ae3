"""
The header of the PROXY protocol: who connected to the proxy in front of us.

Standard: "The PROXY protocol", versions 1 and 2 (haproxy.org). Bytes are taken one
header at most, so that what follows it, TLS too, is left for whoever comes next.
Addresses only; the extensions of version 2 are skipped.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from beamfast.errors import ProxyHeaderError

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: Bytes of a line of version 1, at most.
LINE: Final = 107
#: Bytes in front of the addresses of version 2.
HEAD: Final = struct.Struct("!12sBBH")
#: Bytes of addresses and extensions, at most.
EXTENSIONS: Final = 2048

_VERSION_AND_COMMAND: Final = {0x20: "local", 0x21: "proxy"}
_STREAMS: Final = {0x11: 4, 0x21: 16}


class ProxyHeader:
    """
    Takes a header from the start of a stream.

    Attributes:
        is_complete: nothing more belongs to it.
        address: of the client; None when the proxy speaks for itself, or does not
            say.
    """

    def __init__(self) -> None:
        self.is_complete: bool = False
        self.address: str | None = None
        self._taken = b""

    def take(self, data: bytes) -> int:
        """
        Return how many bytes of ``data``, which comes next, belong to the header.

        Raises:
            ProxyHeaderError: it is none.
        """
        before = len(self._taken)
        seen = self._taken + data
        if seen.startswith(b"PROXY "):
            end = self._line(seen)
        elif seen.startswith(SIGNATURE):
            end = self._binary(seen)
        elif b"PROXY ".startswith(seen) or SIGNATURE.startswith(seen):
            end = len(seen)
        else:
            raise ProxyHeaderError("the connection does not begin with a PROXY header")
        self._taken = seen[:end]
        return end - before

    def _line(self, seen: bytes) -> int:
        end = seen.find(b"\r\n", 0, LINE)
        if end < 0:
            if len(seen) >= LINE:
                raise ProxyHeaderError("the PROXY line is too long")
            return len(seen)
        words = seen[:end].decode("latin-1").split(" ")
        if words[1] != "UNKNOWN":
            if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
                raise ProxyHeaderError("the PROXY line is malformed")
            try:
                found = ipaddress.ip_address(words[2])
            except ValueError as error:
                raise ProxyHeaderError(str(error)) from error
            if found.version != int(words[1][-1]):
                raise ProxyHeaderError(f"{words[2]} is not of {words[1]}")
            self.address = str(found)
        self.is_complete = True
        return end + 2

    def _binary(self, seen: bytes) -> int:
        if len(seen) < HEAD.size:
            return len(seen)
        length: int
        _, version, family, length = HEAD.unpack_from(seen)
        command = _VERSION_AND_COMMAND.get(version)
        if command is None or length > EXTENSIONS:
            raise ProxyHeaderError("the PROXY header is of an unknown kind")
        end = HEAD.size + length
        if len(seen) < end:
            return len(seen)
        size = _STREAMS.get(family)
        if command == "proxy" and size is not None:
            if length < 2 * size + 4:
                raise ProxyHeaderError("the PROXY header is cut short")
            raw = seen[HEAD.size : HEAD.size + size]
            self.address = str(ipaddress.ip_address(raw))
        self.is_complete = True
        return end

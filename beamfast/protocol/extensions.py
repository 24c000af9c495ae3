r"""
WebSocket extensions: the grammar of their field, negotiation, reserved bits.

Standard: RFC 6455, sections 5.2 and 9. An extension that changes messages owns
at least one reserved bit, by which the peer tells the messages that it changed.
The only extension at home here is :mod:`beamfast.protocol.deflate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from beamfast.errors import HandshakeError
from beamfast.http import Headers

#: Parameters in order; a flag has the value None.
Parameters = Sequence[tuple[str, str | None]]

FIELD: Final = "Sec-WebSocket-Extensions"
#: The same as :meth:`Headers.has` takes it.
OFFERS: Final = b"sec-websocket-extensions"

# Possessive, so that no field is read more than once (CVE-2020-7663 was a parser
# that went back in unclosed quoted strings).
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_SPACE: Final = re.compile(r"[ \t]*+")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


class Offer(NamedTuple):
    """One element of the field: a name and its parameters."""

    name: str
    parameters: Parameters = ()

    def __str__(self) -> str:
        parts = [
            name if value is None else f"{name}={value}"
            for name, value in self.parameters
        ]
        return "; ".join([self.name, *parts])


class Extension(Protocol):
    """An extension at work on one connection."""

    #: Reserved bits that it owns, RSV1 = 4.
    rsv: int

    def encode(self, payload: bytes) -> tuple[bytes, int]:
        """Return what to send and the bits that say so, 0 if nothing changed."""
        ...

    def decode(self, payload: bytes, max_size: int) -> bytes:
        """
        Undo ``encode`` of the peer.

        Raises:
            ProtocolError: the payload is broken, or is over ``max_size`` when
                decoded.
        """
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class PieceDecoder(Protocol):
    """
    Undoes ``encode`` of the peer for one message, piece by piece.

    Attributes:
        is_over: all of the message was read.
    """

    is_over: bool

    def feed(self, payload: bytes, *, is_last: bool) -> None:
        """Take the next piece of what the peer sent."""
        ...

    def read(self, limit: int) -> bytes:
        """
        Return at most ``limit`` bytes of the message; none until more is fed.

        Raises:
            ProtocolError: as :meth:`Extension.decode`.
        """
        ...


@runtime_checkable
class Piecewise(Extension, Protocol):
    """An extension that need not have all of a message to decode its start."""

    def decoder(self, max_size: int) -> PieceDecoder:
        """Return what decodes the next message, of at most ``max_size`` bytes."""
        ...


class ServerExtension(Protocol):
    """What a server can negotiate."""

    @property
    def name(self) -> str:
        """Name in the field."""
        ...

    @property
    def rsv(self) -> int:
        """Reserved bits that it wants, RSV1 = 4."""
        ...

    def accept(
        self, offers: Sequence[Parameters]
    ) -> tuple[Parameters, Extension] | None:
        """Take the first acceptable offer, or decline them all."""
        ...


class ClientExtension(Protocol):
    """What a client can negotiate."""

    @property
    def name(self) -> str:
        """Name in the field."""
        ...

    @property
    def rsv(self) -> int:
        """Reserved bits that it wants, RSV1 = 4."""
        ...

    def offers(self) -> Sequence[Parameters]:
        """Return the alternatives to offer, best first."""
        ...

    def activate(self, parameters: Parameters) -> Extension:
        """
        Begin to work with the parameters of the response.

        Raises:
            HandshakeError: they do not fit the offer.
        """
        ...


def parse_extensions(headers: Headers) -> list[Offer]:
    """
    Read all fields of ``headers`` (RFC 6455, 9.1).

    Raises:
        HandshakeError: 400, the grammar is broken.
    """
    # A field without anything is written by clients that offer nothing.
    fields = [field for field in headers.get_all(FIELD) if field.strip(" \t")]
    return _Reader(", ".join(fields)).read() if fields else []


class _Reader:
    """Reads one field from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> list[Offer]:
        offers = [self.element()]
        while self.take(","):
            offers.append(self.element())
        if self.at < len(self.text):
            raise self.error()
        return offers

    def element(self) -> Offer:
        name = self.token()
        parameters: list[tuple[str, str | None]] = []
        while self.take(";"):
            key = self.token()
            parameters.append((key, self.value() if self.take("=") else None))
        return Offer(name, parameters)

    def value(self) -> str:
        self.skip_space()
        quoted = _QUOTED.match(self.text, self.at)
        if quoted is None:
            return self.token()
        self.at = quoted.end()
        value = _ESCAPE.sub(r"\1", quoted[1])
        # Unquoted it must be a token too (RFC 6455, 9.1).
        if not _TOKEN.fullmatch(value):
            raise self.error()
        return value

    def token(self) -> str:
        self.skip_space()
        token = _TOKEN.match(self.text, self.at)
        if token is None:
            raise self.error()
        self.at = token.end()
        return token[0]

    def take(self, separator: str) -> bool:
        self.skip_space()
        found = self.text.startswith(separator, self.at)
        self.at += found
        return found

    def skip_space(self) -> None:
        space = _SPACE.match(self.text, self.at)
        assert space is not None
        self.at = space.end()

    def error(self) -> HandshakeError:
        return HandshakeError(400, f"Invalid {FIELD} header: at character {self.at}")


def check_registered(extensions: Sequence[ServerExtension | ClientExtension]) -> None:
    """
    Check a list of extensions before it is used.

    Raises:
        ValueError: two have the same name, or one owns no reserved bit.
    """
    names = [extension.name for extension in extensions]
    if len(set(names)) < len(names):
        raise ValueError(f"an extension is registered twice: {names}")
    if not all(0 < extension.rsv < 8 for extension in extensions):
        raise ValueError(f"an extension without reserved bits: {names}")


def negotiate(
    offers: Sequence[Offer], registered: Sequence[ServerExtension]
) -> tuple[list[Offer], tuple[Extension, ...]]:
    """
    Choose what a server uses, in the order of registration.

    An extension whose reserved bit is taken is passed over (RFC 6455, 9.1); if
    the other one declined, the bit is free.

    Returns:
        What the response says, and the extensions at work.
    """
    answers: list[Offer] = []
    active: list[Extension] = []
    taken = 0
    for extension in registered:
        wanted = [offer.parameters for offer in offers if offer.name == extension.name]
        if not wanted or extension.rsv & taken:
            continue
        accepted = extension.accept(wanted)
        if accepted is not None:
            taken |= extension.rsv
            answers.append(Offer(extension.name, accepted[0]))
            active.append(accepted[1])
    return answers, tuple(active)


def activate(
    answers: Sequence[Offer], registered: Sequence[ClientExtension]
) -> tuple[Extension, ...]:
    """
    Begin to use what a server chose, in its order.

    Raises:
        HandshakeError: it chose something else than was offered (RFC 6455, 9.1).
    """
    known = {extension.name: extension for extension in registered}
    active: list[Extension] = []
    taken = 0
    for answer in answers:
        # Each name once: pop() makes the second one unknown.
        extension = known.pop(answer.name, None)
        if extension is None:
            raise HandshakeError(400, f"unexpected extension {answer.name}")
        if extension.rsv & taken:
            raise HandshakeError(400, f"extension {answer.name} claims a taken bit")
        taken |= extension.rsv
        active.append(extension.activate(answer.parameters))
    return tuple(active)

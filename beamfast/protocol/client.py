"""
A whole WebSocket client connection without I/O.

Standard: RFC 6455, section 4.1. Connecting, TLS, redirects and proxies are the
business of the layer above; :mod:`beamfast.protocol.proxy` speaks to the latter.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Unpack

from beamfast.errors import CloseCode, HandshakeError, ProtocolError
from beamfast.http import Headers
from beamfast.protocol.driver import Side, State
from beamfast.protocol.events import Failed
from beamfast.protocol.extensions import (
    ClientExtension,
    Offer,
    activate,
    check_registered,
    parse_extensions,
)
from beamfast.protocol.handshake import VERSION, accept_key, further_fields
from beamfast.protocol.opening import OpeningDriver
from beamfast.protocol.response import ResponseReader, ServerResponse
from beamfast.protocol.rfc6455 import DriverOptions, Rfc6455Driver
from beamfast.protocol.url import parse_websocket_url

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: Bytes of the content of a refusal that are kept.
BODY_LIMIT: Final = 64 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class ClientDriver(OpeningDriver):
    """
    Handshake of a client, then the driver of the version.

    Args:
        url: ``ws``, ``wss``, ``http`` or ``https``; user information is sent.
        subprotocols: to offer, best first.
        require_subprotocol: fail when the server chooses none.
        extensions: to offer, in order of preference.
        origin: of the page on whose behalf we connect; None for no page.
        headers: further fields.
        max_queued_bytes: of what is sent before the connection is open.
        options: of :class:`~beamfast.protocol.rfc6455.Rfc6455Driver`.

    Attributes:
        response: what the server answered, refusals included; None until then.

    Raises:
        ValueError: the URL or a field is invalid.
    """

    __slots__ = (
        "_extensions",
        "_fields",
        "_key",
        "_offered",
        "_reader",
        "_require_subprotocol",
        "_started",
        "_url",
        "response",
    )

    def __init__(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        require_subprotocol: bool = False,
        extensions: Sequence[ClientExtension] = (),
        origin: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        max_queued_bytes: int = 2**20,
        **options: Unpack[DriverOptions],
    ) -> None:
        super().__init__(max_queued_bytes, options)
        check_registered(extensions)
        self._url = parse_websocket_url(url)
        self._offered = _checked(subprotocols)
        self._require_subprotocol = require_subprotocol
        self._extensions = tuple(extensions)
        self._fields = further_fields(headers)
        if origin is not None:
            self._fields.add("Origin", origin)
        if self._url.authorization and "authorization" not in self._fields:
            self._fields.add("Authorization", self._url.authorization)
        self._key = base64.b64encode(secrets.token_bytes(16)).decode()
        self._started = False
        self._reader: ResponseReader | None = ResponseReader()
        self.response: ServerResponse | None = None

    @property
    def redirect(self) -> str | None:
        """Where the server sends us instead, as it says so; None if it does not."""
        response = self.response
        if response is None or response.status not in _REDIRECTS:
            return None
        return response.headers.get("location")

    def start(self) -> bool:
        """Write the request; False if that was done, or the end came first."""
        if self._started or self.state is not State.CONNECTING:
            return False
        self._started = True
        fields = [
            ("Host", self._url.host_field),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key),
            ("Sec-WebSocket-Version", VERSION),
        ]
        if self._offered:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(self._offered)))
        fields += self._fields
        offers = [
            str(Offer(extension.name, parameters))
            for extension in self._extensions
            for parameters in extension.offers()
        ]
        if offers:
            fields.append(("Sec-WebSocket-Extensions", ", ".join(offers)))
        lines = [f"GET {self._url.resource} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields]
        self._put("\r\n".join([*lines, "\r\n"]).encode("latin-1"))
        return True

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes; see :meth:`Driver.receive_data`."""
        if self._inner is not None:
            self._inner.receive_data(data)
        elif self._reader is not None and self._ended is None:
            self._read_head(self._reader, bytes(data))
        elif self.response is not None:
            room = BODY_LIMIT - len(self.response.body)
            self.response.body += bytes(data)[:room]

    def receive_eof(self) -> None:
        """Note that TCP ended; before the response that is a failure."""
        if self.state is State.CONNECTING:
            self._refuse("Connection ended before the response")
        else:
            super().receive_eof()

    def _read_head(self, reader: ResponseReader, data: bytes) -> None:
        try:
            answer = reader.feed(data)
            if answer is None:
                return
            self._reader = None
            self.response, rest = answer
            driver, names = self._check_response(self.response)
        except (ProtocolError, HandshakeError) as error:
            self._refuse(str(error))
            if self.response is not None:
                self.response.body += rest[:BODY_LIMIT]
        else:
            self._open(driver, rest, names)

    def _check_response(
        self, response: ServerResponse
    ) -> tuple[Rfc6455Driver, tuple[str, ...]]:
        """Check what RFC 6455, 4.1, lists, in its order."""
        headers = response.headers
        if response.status != 101:
            raise ProtocolError(f"Unexpected response code: {response.status}")
        if response.http_version != "1.1":
            raise ProtocolError("Invalid HTTP response: version is not 1.1")
        if [one.lower() for one in headers.get_all("upgrade")] != ["websocket"]:
            raise ProtocolError("'Upgrade' header is missing or not 'websocket'")
        if "upgrade" not in headers.tokens("connection"):
            raise ProtocolError("'Connection' header is missing or not 'Upgrade'")
        if headers.get_all("sec-websocket-accept") != [accept_key(self._key)]:
            raise ProtocolError("Sec-WebSocket-Accept mismatch")
        subprotocol = self._check_subprotocol(headers.get_all("sec-websocket-protocol"))
        answers = parse_extensions(headers)
        driver = Rfc6455Driver(
            Side.CLIENT,
            subprotocol=subprotocol,
            extensions=activate(answers, self._extensions),
            **self._options,
        )
        return driver, tuple(answer.name for answer in answers)

    def _check_subprotocol(self, chosen: list[str]) -> str | None:
        if not chosen:
            if self._require_subprotocol:
                raise ProtocolError("Sec-WebSocket-Protocol missing")
            return None
        # One name, and one of ours, or none at all (RFC 6455, 4.1).
        if len(chosen) > 1 or chosen[0] not in self._offered:
            raise ProtocolError("Sec-WebSocket-Protocol mismatch")
        return chosen[0]

    def _refuse(self, why: str) -> None:
        message = f"Error during WebSocket handshake: {why}"
        self._emit(Failed(message, CloseCode.ABNORMAL_CLOSURE))
        self._end("remote")


def _checked(subprotocols: Sequence[str]) -> tuple[str, ...]:
    # Names are tokens, each at most once (RFC 6455, 4.1).
    for name in subprotocols:
        Headers([(name, "")])
    if len(set(subprotocols)) < len(subprotocols):
        raise ValueError("a subprotocol is offered twice")
    return tuple(subprotocols)

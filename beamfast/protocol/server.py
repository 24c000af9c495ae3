"""
A whole WebSocket server connection without I/O, from the first byte of HTTP.

Standard: RFC 6455, section 4.2, and if asked for the drafts before it. The first
event is :class:`~beamfast.protocol.events.Requested`; the host answers it with
:meth:`ServerDriver.accept` or :meth:`ServerDriver.reject`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack

from beamfast.errors import CloseCode, HandshakeError, RequestError
from beamfast.http import Headers, Request
from beamfast.protocol import hixie75, hixie76
from beamfast.protocol.driver import Driver, Side, State
from beamfast.protocol.events import Failed, Requested
from beamfast.protocol.extensions import (
    ServerExtension,
    check_registered,
    negotiate,
    parse_extensions,
)
from beamfast.protocol.handshake import (
    LEGACY_VERSIONS,
    OLD_ORIGIN,
    VERSION,
    Subprotocols,
    check_upgrade,
    choose_subprotocol,
    further_fields,
    is_hixie,
    offered_subprotocols,
    origin_allowed,
    upgrade_fields,
)
from beamfast.protocol.http11 import Limits, RequestParser, response_head
from beamfast.protocol.opening import OpeningDriver
from beamfast.protocol.rfc6455 import DriverOptions, Rfc6455Driver

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PHRASE_75: Final = "Web Socket Protocol Handshake"
_PHRASE_76: Final = "WebSocket Protocol Handshake"
#: Bytes that a client may send before it is answered.
_EARLY_LIMIT: Final = 64 * 1024


class ServerDriver(OpeningDriver):
    """
    Handshake of a server, then the driver of the version.

    Args:
        subprotocols: names, best first, or a function of the offered names.
        subprotocol_preference: whose order counts.
        require_subprotocol: refuse clients that share none.
        extensions: to negotiate, in order of preference.
        headers: further fields of the response.
        allowed_origins: beside the own host; ``*`` for any.
        require_origin: refuse clients that send none.
        legacy_drafts: speak versions 7 and 8, hixie-76 and hixie-75 too.
        limits: of the request.
        max_queued_bytes: of what is sent before the connection is open.
        options: of :class:`~beamfast.protocol.rfc6455.Rfc6455Driver`.

    Attributes:
        refused_with: status of the refusal, None unless there was one.
    """

    __slots__ = (
        "_allowed_origins",
        "_challenge",
        "_extensions",
        "_headers",
        "_legacy_drafts",
        "_parser",
        "_preference",
        "_request",
        "_require_origin",
        "_require_subprotocol",
        "_subprotocols",
        "_waiting",
        "refused_with",
    )

    def __init__(
        self,
        *,
        subprotocols: Subprotocols = (),
        subprotocol_preference: Literal["client", "server"] = "client",
        require_subprotocol: bool = False,
        extensions: Sequence[ServerExtension] = (),
        headers: Iterable[tuple[str, str]] = (),
        allowed_origins: Collection[str] = (),
        require_origin: bool = False,
        legacy_drafts: bool = False,
        limits: Limits | None = None,
        max_queued_bytes: int = 2**20,
        **options: Unpack[DriverOptions],
    ) -> None:
        super().__init__(max_queued_bytes, options)
        check_registered(extensions)
        self._subprotocols = subprotocols
        self._preference = subprotocol_preference
        self._require_subprotocol = require_subprotocol
        self._extensions = tuple(extensions)
        self._headers = list(further_fields(headers))
        self._allowed_origins = allowed_origins
        self._require_origin = require_origin
        self._legacy_drafts = legacy_drafts
        self._request: Request | None = None
        self._parser: RequestParser | None = RequestParser(
            self._receive_request, _drop, _pass, limits=limits
        )
        #: Digits of a draft 76 challenge whose last bytes are still to come.
        self._challenge: tuple[bytes, hixie76.Hixie76Driver] | None = None
        self._waiting = bytearray()
        self.refused_with: int | None = None

    @classmethod
    def from_request(cls, request: Request, rest: bytes = b"", **options: Any) -> Self:
        """
        Return a driver for a request that was parsed elsewhere.

        Args:
            request: not yet answered.
            rest: what was read after its head.
            options: as for the class.
        """
        driver = cls(**options)
        driver._request = request
        driver._waiting += rest
        return driver

    @property
    def request(self) -> Request | None:
        """The request, once its head is complete."""
        return self._request

    def receive_data(self, data: Buffer) -> None:
        """Read the next bytes; see :meth:`Driver.receive_data`."""
        if self._inner is not None:
            self._inner.receive_data(data)
        elif self._ended is not None:
            return
        elif self._request is None:
            self._read_head(bytes(data))
        else:
            self._waiting += data
            if self._challenge is not None:
                self._answer_challenge()
            elif len(self._waiting) > _EARLY_LIMIT:
                self._refuse(400, "Too much before the handshake")

    def accept(self, *, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """
        Answer the request with 101 if it is a valid one.

        Args:
            headers: further fields, after those given to the class.

        Returns:
            True if the connection is open, or will be when a draft 76 client
            has sent its last bytes. False if it was refused, or answered before.

        Raises:
            ValueError: as :func:`~beamfast.protocol.handshake.further_fields`.
        """
        request = self._request
        fields = further_fields([*self._headers, *headers])
        if request is None or self._challenge or self.state is not State.CONNECTING:
            return False
        try:
            if self._legacy_drafts and is_hixie(request.headers):
                self._accept_hixie(request, fields)
            else:
                self._accept_hybi(request, fields)
        except HandshakeError as error:
            self._refuse(error.status, str(error), error.headers)
            return False
        except Exception:
            # Of a function that chooses: the client is not left waiting.
            self._refuse(500, "Internal Server Error")
            raise
        return True

    def reject(
        self,
        status: int = 403,
        headers: Iterable[tuple[str, str]] = (),
        body: str = "",
    ) -> bool:
        """
        Answer the request with something else; False if it was answered.

        Raises:
            ValueError: a header could end its line.
        """
        fields = Headers(headers)
        if self._inner is not None or self._challenge or not self._end("local"):
            return False
        self._write_refusal(status, fields, body)
        return True

    # The request.

    def _read_head(self, data: bytes) -> None:
        parser = self._parser
        assert parser is not None
        try:
            parser.feed(data)
        except RequestError as error:
            self._refuse(error.status, str(error))
        if parser.upgrade_pending:
            self._waiting += parser.take_rest()
        if self._request is not None or self.state is State.CLOSED:
            # It refers back to this object.
            self._parser = None

    def _receive_request(self, request: Request) -> None:
        # Whatever follows a request that is no handshake is not read.
        if self._request is None:
            self._request = request
            self._emit(Requested(request))

    # The answer.

    def _accept_hybi(self, request: Request, fields: Headers) -> None:
        versions = LEGACY_VERSIONS if self._legacy_drafts else (VERSION,)
        key = check_upgrade(request, versions=versions)
        version = request.headers["sec-websocket-version"]
        self._check_origin(request, "origin" if version == VERSION else OLD_ORIGIN)
        subprotocol = self._choose_subprotocol(request, "sec-websocket-protocol")
        answers, active = negotiate(parse_extensions(request.headers), self._extensions)
        fields = upgrade_fields(
            key,
            subprotocol=subprotocol,
            extensions=", ".join(map(str, answers)),
            headers=fields,
        )
        self._put(response_head(101, fields))
        driver = Rfc6455Driver(
            Side.SERVER,
            version=f"hybi-{version}",
            subprotocol=subprotocol,
            extensions=active,
            **self._options,
        )
        self._start(driver, tuple(answer.name for answer in answers))

    def _accept_hixie(self, request: Request, fields: Headers) -> None:
        headers = request.headers
        is_76 = "sec-websocket-key1" in headers or "sec-websocket-key2" in headers
        numbers = hixie76.key_numbers(headers) if is_76 else b""
        self._check_origin(request, "origin")
        prefix = "Sec-" if is_76 else ""
        subprotocol = self._choose_subprotocol(request, f"{prefix}websocket-protocol")
        fields = hixie75.response_fields(request, subprotocol, fields, prefix=prefix)
        size = self._options.get("max_size", 2**20)
        if is_76:
            # Proxies pass on the last eight bytes of the request only when they
            # have seen the head of the response, so it goes out at once.
            self._put(response_head(101, fields, phrase=_PHRASE_76))
            driver = hixie76.Hixie76Driver(max_size=size, subprotocol=subprotocol)
            self._challenge = numbers, driver
            self._answer_challenge()
        else:
            self._put(response_head(101, fields, phrase=_PHRASE_75))
            self._start(
                hixie75.Hixie75Driver(max_size=size, subprotocol=subprotocol), ()
            )

    def _answer_challenge(self) -> None:
        if self._challenge is None or len(self._waiting) < hixie76.BODY_SIZE:
            return
        numbers, driver = self._challenge
        body = bytes(self._waiting[: hixie76.BODY_SIZE])
        del self._waiting[: hixie76.BODY_SIZE]
        self._put(hixie76.challenge_digest(numbers, body))
        self._start(driver, ())

    def _start(self, driver: Driver, extensions: tuple[str, ...]) -> None:
        rest = bytes(self._waiting)
        self._waiting.clear()
        self._open(driver, rest, extensions)

    def _check_origin(self, request: Request, field: str) -> None:
        headers = request.headers
        if self._require_origin and field not in headers:
            raise HandshakeError(403, "Origin required")
        if not origin_allowed(
            headers, self._allowed_origins, is_secure=request.is_secure, field=field
        ):
            raise HandshakeError(403, "Origin not allowed")

    def _choose_subprotocol(self, request: Request, field: str) -> str | None:
        return choose_subprotocol(
            offered_subprotocols(request.headers, field=field),
            self._subprotocols,
            preference=self._preference,
            require=self._require_subprotocol,
        )

    def _refuse(
        self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        self._write_refusal(status, Headers(headers), reason)
        self._emit(Failed(reason, CloseCode.ABNORMAL_CLOSURE))
        self._end("local")

    def _write_refusal(self, status: int, fields: Headers, body: str) -> None:
        self.refused_with = status
        content = body.encode()
        if "content-type" not in fields:
            fields.add("Content-Type", "text/plain; charset=utf-8")
        fields.set("Content-Length", str(len(content)))
        connection = [*fields.get_all("connection"), "close"]
        fields.set("Connection", ", ".join(connection))
        self._put(response_head(status, fields) + content)


def _drop(data: bytes) -> None:
    """No handshake has content."""


def _pass() -> None:
    """The end of the head was enough."""

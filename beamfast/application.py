"""
ASGI applications that are called from here: lifespan, requests, WebSockets.

Standard: ASGI 3.0 with HTTP and WebSocket message format 2.3, extension
``websocket.http.response``, and lifespan 2.0. What calls them, and for which
requests, is :mod:`beamfast.plugins.asgi_mount`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    MutableMapping,
)
from typing import Any, Final

from beamfast.errors import CloseCode, ConnectionClosed, HandshakeError
from beamfast.http import Headers, Request, Response, Upgrade
from beamfast.protocol.handshake import further_fields

Message = MutableMapping[str, Any]
Application = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[Message]],
        Callable[[Message], Awaitable[None]],
    ],
    Awaitable[None],
]

#: Pieces of a body that wait for a client that reads slowly.
WAITING: Final = 16
#: Seconds for an application to end in.
SHUTDOWN: Final = 10.0
#: What the connection decides by itself.
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"transfer-encoding", b"keep-alive", b"upgrade"}
)

logger: logging.Logger = logging.getLogger("beamfast.asgi_mount")


class Lifespan:
    """From the start of an application to its end."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._asked = False

    async def run(self) -> None:
        """Call the application; one that knows no lifespan just has none."""
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            logger.info("the application has no lifespan: %s", error)
        finally:
            if not self._started.done():
                self._started.set_result(None)
            self._ended.set()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._ending.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.failed":
            text = message.get("message") or "no reason given"
            logger.error("the application could not start: %s", text)
            self._started.set_exception(HandshakeError(503, "Not available"))
            # Whoever asks is told; nobody has to.
            self._started.exception()
        elif kind == "lifespan.startup.complete":
            self._started.set_result(None)
        elif kind.startswith("lifespan.shutdown"):
            self._ended.set()

    async def started(self) -> dict[str, Any]:
        """
        Return the state of the application once it has started.

        Raises:
            HandshakeError: 503, it could not.
        """
        await asyncio.shield(self._started)
        return self._state

    def end(self) -> None:
        """Let the application finish."""
        self._ending.set()

    async def ended(self) -> None:
        """Return when it has, or does not for too long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), SHUTDOWN)


class HttpExchange:
    """One request for an application, and its answer."""

    def __init__(self, request: Request) -> None:
        self._body = request.chunks()
        self._is_complete = False
        self._is_over = asyncio.Event()
        self._head: asyncio.Future[Response] = (
            asyncio.get_running_loop().create_future()
        )
        self._start: Message = {"status": 500, "headers": ()}
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)

    async def run(self, app: Application, scope: Message) -> None:
        """Call the application."""
        try:
            await app(scope, self._receive, self._send)
            if not self._head.done():
                raise RuntimeError("there was no answer")
        except Exception:
            logger.exception("the application failed at %s", scope["path"])
            if not self._head.done():
                self._head.set_result(Response(500, "Internal server error"))
        finally:
            # A body that was not ended breaks off here, as what sends it will see.
            self._is_over.set()
            await self._body.aclose()

    async def response(self) -> Response:
        """Return the answer once its head, and the first of its body, are known."""
        return await self._head

    async def _receive(self) -> Message:
        if not self._is_complete:
            async for chunk in self._body:
                return {"type": "http.request", "body": chunk, "more_body": True}
            self._is_complete = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._is_over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        body = bytes(message.get("body", b""))
        more = message.get("more_body", False)
        if not self._head.done():
            content = self._stream(body) if more else body
            self._head.set_result(_response(self._start, content))
        elif not self._is_over.is_set():
            # The application waits while the client is slow.
            await self._pieces.put(body)
            if not more:
                await self._pieces.put(None)

    async def _stream(self, first: bytes) -> AsyncGenerator[bytes, None]:
        if first:
            yield first
        try:
            while (piece := await self._next()) is not None:
                if piece:
                    yield piece
        finally:
            # The client has it all, or is gone: whoever waits to send may go on.
            self._is_over.set()
            while not self._pieces.empty():
                self._pieces.get_nowait()

    async def _next(self) -> bytes | None:
        getting = asyncio.ensure_future(self._pieces.get())
        over = asyncio.ensure_future(self._is_over.wait())
        try:
            await asyncio.wait({getting, over}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            raise RuntimeError("the application did not end its answer")
        finally:
            getting.cancel()
            over.cancel()


def _response(start: Message, body: bytes | AsyncGenerator[bytes, None]) -> Response:
    raw = [(bytes(name), bytes(value)) for name, value in start["headers"]]
    kept = [pair for pair in raw if pair[0].lower() not in _HOP_BY_HOP]
    return Response(start["status"], body, headers=_fields(kept))


def _fields(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return what an application sends as fields; they are checked here."""
    return Headers([(n.decode("latin-1"), v.decode("latin-1")) for n, v in raw])


class Talk:
    """One WebSocket for an application."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._head: asyncio.Future[Response] = (
            asyncio.get_running_loop().create_future()
        )
        self._opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._done = asyncio.Event()
        self._start: Message | None = None
        self._body = b""
        self._is_asked = False

    async def run(self, app: Application, scope: Message) -> None:
        """Call the application; when it returns the socket closes."""
        code = CloseCode.NORMAL_CLOSURE
        try:
            await app(scope, self._receive, self._send)
            if not self._head.done():
                self._head.set_exception(HandshakeError(403, "Refused"))
        except Exception:
            logger.exception("the application failed at %s", scope["path"])
            code = CloseCode.INTERNAL_ERROR
            if not self._head.done():
                self._head.set_result(Response(500, "Internal server error"))
        finally:
            if self._opened.done() and not self._opened.cancelled():
                self._opened.result().close_nowait(code)
            self._done.set()

    async def response(self) -> Response:
        """Return what the application decided."""
        return await self._head

    async def handle(self, websocket: Any) -> None:
        """Be the handler of the socket: it lasts as long as the application talks."""
        self._opened.set_result(websocket)
        await self._done.wait()

    async def _receive(self) -> Message:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "websocket.connect"}
        websocket = await self._opened
        try:
            message = await websocket.recv()
        except ConnectionClosed as end:
            kind = "websocket.disconnect"
            return {"type": kind, "code": end.code, "reason": end.reason}
        key = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", key: message}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._head.done():
            await self._send_open(kind, message)
        elif kind == "websocket.accept":
            upgrade = Upgrade(
                self.handle,
                subprotocol=message.get("subprotocol"),
                max_size=self._max_size,
            )
            headers = further_fields(_fields(message.get("headers") or ()))
            self._head.set_result(Response(101, headers=headers, upgrade=upgrade))
        elif kind == "websocket.close":
            self._head.set_exception(HandshakeError(403, "Refused"))
        elif kind == "websocket.http.response.start":
            self._start = message
        elif kind == "websocket.http.response.body" and self._start is not None:
            self._body += bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._head.set_result(_response(self._start, self._body))

    async def _send_open(self, kind: str, message: Message) -> None:
        websocket = await self._opened
        if kind == "websocket.send":
            text = message.get("text")
            content = bytes(message["bytes"]) if text is None else text
            try:
                await websocket.send(content)
            except ConnectionClosed as end:
                # What applications expect, and take for the end.
                raise OSError("the client is gone") from end
        elif kind == "websocket.close":
            code = message.get("code", CloseCode.NORMAL_CLOSURE)
            websocket.close_nowait(code, message.get("reason") or "")

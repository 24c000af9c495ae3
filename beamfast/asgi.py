"""
beamfast as an ASGI application, inside uvicorn, hypercorn, granian and others.

Standard: ASGI 3.0 with HTTP and WebSocket message format 2.3, extension
``websocket.http.response``, and lifespan 2.0. The other server accepts
connections and does the framing, so what belongs to it is out of reach here:
pings, drafts before RFC 6455, limits, compression of messages. Documents, edits,
live streams, plugins and handlers are the same.
"""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    MutableMapping,
)
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from beamfast.connection.eventsource import EventSource
from beamfast.connection.foreign import (
    ForeignTransport,
    ForeignWebSocket,
    MessagePeer,
)
from beamfast.connection.reply import describe_stream, start
from beamfast.errors import ConfigError, RequestError, Unsupported
from beamfast.http import Headers, Request, Response
from beamfast.protocol.handshake import VERSION
from beamfast.protocol.target import parse_target
from beamfast.server.embedding import Embedding, Source
from beamfast.server.guest import Guest
from beamfast.server.plugin_types import load_plugins

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: A key for handshakes whose own the server keeps (HTTP/2 has none at all).
_ANY_KEY: Final = b"AAAAAAAAAAAAAAAAAAAAAA=="
#: Fields of the handshake; the server writes its own.
_SERVERS_OWN: Final = frozenset(
    {
        *(b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-version"),
        *(b"sec-websocket-protocol", b"sec-websocket-accept", b"transfer-encoding"),
    }
)

logger: logging.Logger = logging.getLogger("beamfast.asgi")


class App(Embedding):
    """
    An ASGI application that serves a configuration, and Python handlers.

    It starts with the lifespan of the server around it, or with the first request
    where there is none. Several server processes cannot share a document root this
    way; beamfast's own server has workers that can.

    Args:
        source: a configuration; a folder, for the default pipeline on it; or None
            for handlers alone. Its address is not bound, it says who may connect:
            on a loopback address, which is the default, only local names are
            answered to, and on others writes need the authorization plugin.
        ordered: one order over all topics, instead of what the configuration says.

    Raises:
        ConfigError: the configuration is unsafe or names what does not exist.
    """

    def __init__(self, source: Source = None, *, ordered: bool | None = None) -> None:
        super().__init__(source, ordered=ordered)
        self.config.check()
        for host in self.config.hosts:
            load_plugins(host.plugins)
        self._guest: Guest | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server around us."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "http":
            await Exchange(self._start(), scope, receive, send).run()
        elif kind == "websocket":
            await Opening(self._start(), scope, receive, send).run()
        else:
            raise Unsupported(f"ASGI connections of type {kind!r} are not served")

    def _start(self) -> Guest:
        if self._guest is None:
            self._guest = Guest(self.insert(self.config))
            self._hub = self._guest.hub
        return self._guest

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._start()
                except (ConfigError, OSError) as error:
                    failed = {"type": "lifespan.startup.failed", "message": str(error)}
                    await send(failed)
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def close(self) -> None:
        """End open streams, and finish the edits that wait."""
        guest, self._guest, self._hub = self._guest, None, None
        if guest is not None:
            await guest.stop()


class Connection:
    """What requests and WebSockets have in common: a scope becomes a request."""

    def __init__(
        self, guest: Guest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._guest = guest
        self._scope = scope
        self._receive = receive
        self._send = send

    @property
    def peername(self) -> tuple[str, int] | None:
        """Address of the client, where the server knows it."""
        client = self._scope.get("client")
        return None if client is None else (str(client[0]), int(client[1] or 0))

    def request(self, method: str, headers: Headers, version: str) -> Request:
        """
        Return the request of the scope.

        Raises:
            RequestError: 400, its target cannot be read.
        """
        scope = self._scope
        # The path that is left when the mount point is taken away.
        prefix = scope.get("root_path", "")
        raw = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        path = raw.decode("latin-1").partition("?")[0].removeprefix(quote(prefix))
        query = scope.get("query_string", b"").decode("latin-1")
        text = (path or "/") + ("?" + query if query else "")
        target = parse_target(method, text)
        request = Request(
            method,
            text,
            url=target.url,
            path=target.path,
            query=target.query,
            headers=headers,
            http_version=version,
        )
        request.is_secure = scope.get("scheme", "http") in ("https", "wss")
        request.started = self._guest.loop.time()
        if (peer := self.peername) is not None:
            request.remote_addr = peer[0]
        return request

    async def answer(self, request: Request) -> Response:
        """Take ``request`` through the pipeline of its host."""
        answer = self._guest.service.application(request)
        return answer if isinstance(answer, Response) else await answer


class Exchange(Connection):
    """One HTTP request and its answer."""

    async def run(self) -> None:
        """Answer."""
        scope = self._scope
        headers = Headers.from_raw([(bytes(n), bytes(v)) for n, v in scope["headers"]])
        method = scope["method"].upper()
        try:
            request = self.request(method, headers, scope.get("http_version", "1.1"))
        except RequestError as error:
            await self._respond(method, Response(error.status, str(error)))
            return
        request.attach(self)
        response = await self.answer(request)
        if response.stream is not None:
            await self._stream(request, response)
        elif response.upgrade is not None:
            # Here an upgrade comes as a connection of its own kind, or not at all.
            await self._respond(method, Response(400, "Not a WebSocket connection"))
        else:
            await self._respond(method, response)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body of the request."""
        limit = self._guest.service.limits.max_body
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise RequestError(400, "The client went away")
            data = message.get("body", b"")
            size += len(data)
            if limit is not None and size > limit:
                raise RequestError(413, "Request body too large")
            if data:
                yield bytes(data)
            if not message.get("more_body", False):
                return

    async def _begin(self, response: Response) -> None:
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        start = "http.response.start"
        await self._send({"type": start, "status": response.status, "headers": headers})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send(
            {"type": "http.response.body", "body": data, "more_body": more}
        )

    async def _respond(self, method: str, response: Response) -> None:
        body = response.body
        is_bare = method == "HEAD" or response.status in (204, 304)
        if isinstance(body, bytes):
            if response.status not in (204, 304):
                response.headers.set("Content-Length", str(len(body)))
            await self._begin(response)
            await self._body(b"" if is_bare else body, more=False)
            return
        await self._begin(response)
        if not is_bare:
            async for piece in body:
                await self._body(piece, more=True)
        await self._body(b"", more=False)

    async def _stream(self, request: Request, response: Response) -> None:
        stream = response.stream
        assert stream is not None
        describe_stream(response.headers)
        await self._begin(response)
        service = self._guest.service
        transport = ForeignTransport(
            service.loop, lambda data: self._body(data, more=True), self.peername
        )
        source = EventSource(request, stream, service)
        start(source, transport, service, request, stream.on_open)
        listening = service.loop.create_task(self._until_gone(transport))
        try:
            await transport.run()
            await self._body(b"", more=False)
        finally:
            listening.cancel()

    async def _until_gone(self, transport: ForeignTransport) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        transport.abort()


class Opening(Connection):
    """One WebSocket, from its handshake to its end."""

    async def run(self) -> None:
        """Accept or refuse, then carry messages until one side closes."""
        if (await self._receive())["type"] != "websocket.connect":
            return
        try:
            request = self.request("GET", self._handshake(), "1.1")
        except RequestError as error:
            await self._refuse(Response(error.status, str(error)))
            return
        response = await self.answer(request)
        upgrade = response.upgrade
        if upgrade is None:
            await self._refuse(response)
            return
        fields = [(name.lower(), value) for name, value in response.headers.raw]
        await self._send(
            {
                "type": "websocket.accept",
                "subprotocol": upgrade.subprotocol,
                "headers": [pair for pair in fields if pair[0] not in _SERVERS_OWN],
            }
        )
        service = self._guest.service
        peer = MessagePeer(self._send_message, self._close)
        transport = ForeignTransport(service.loop, peer.deliver, self.peername)
        # Pings are the business of the server around us.
        upgrade = replace(upgrade, ping_interval=0.0)
        websocket = ForeignWebSocket.of_request(request, upgrade, service)
        peer.attach(websocket)
        start(websocket, transport, service, request, upgrade.on_open)
        listening = service.loop.create_task(self._listen(transport, peer))
        try:
            await transport.run()
        finally:
            listening.cancel()

    def _handshake(self) -> Headers:
        """Return the fields of the request as a client of HTTP/1.1 sends them."""
        raw = [(bytes(name), bytes(value)) for name, value in self._scope["headers"]]
        # The server has checked them, and some servers keep them to themselves.
        kept = [pair for pair in raw if pair[0].lower() not in _SERVERS_OWN]
        kept += [
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"websocket"),
            (b"Sec-WebSocket-Version", VERSION.encode()),
            (b"Sec-WebSocket-Key", _ANY_KEY),
        ]
        if offered := self._scope.get("subprotocols"):
            kept.append((b"Sec-WebSocket-Protocol", ", ".join(offered).encode()))
        return Headers.from_raw(kept)

    async def _refuse(self, response: Response) -> None:
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            # All that is left to say is 403.
            await self._send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        body = response.body
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        response.headers.set("Content-Length", str(len(body)))
        prefix = "websocket.http.response"
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        await self._send(
            {"type": f"{prefix}.start", "status": response.status, "headers": headers}
        )
        await self._send({"type": f"{prefix}.body", "body": body, "more_body": False})

    async def _listen(self, transport: ForeignTransport, peer: MessagePeer) -> None:
        while True:
            await transport.readable()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code") or 1005
                peer.receive_close(code, message.get("reason") or "")
                return
            text = message.get("text")
            peer.receive(bytes(message["bytes"]) if text is None else text)

    async def _send_message(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def _close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

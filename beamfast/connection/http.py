"""
HTTP/1.1 connections: from bytes to requests, from responses to bytes.

Reads with ``data_received``; one request is in work at a time and the followers
of a pipeline wait. The application is called at the end of the head. Deadlines
are kept by the heartbeat, so an idle connection owns no timer and no parser.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable

from beamfast._head import IDLE, UPGRADE
from beamfast.connection import reply
from beamfast.connection.exchange import HIGH_WATER, Exchange
from beamfast.connection.http_endings import HttpEndings
from beamfast.connection.service import Service
from beamfast.errors import RequestError
from beamfast.http import Request, Response
from beamfast.protocol.http11 import RequestParser


class HttpConnection(HttpEndings):
    """One client's connection until it becomes a WebSocket or an event stream."""

    __slots__ = (
        "_current",
        "_feeding",
        "_head_due",
        "_is_secure",
        "_parser",
        "_peer",
        "_refusal",
        "_upgrade",
        "_waiting",
        "_working",
    )

    def __init__(self, service: Service) -> None:
        # By name: super() is an object of its own each time.
        HttpEndings.__init__(self, service)
        self._parser: RequestParser | None = None
        self._peer = "-"
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] | None = None
        self._working: asyncio.Task[None] | None = None
        self._refusal: RequestError | None = None
        self._upgrade: Response | None = None
        self._feeding = self._head_due = self._is_secure = False

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self._transport = transport
        self._is_secure = transport.get_extra_info("ssl_object") is not None
        peer = transport.get_extra_info("peername")
        # One object for all connections of an address, such as a proxy's.
        self._peer = sys.intern(peer[0]) if isinstance(peer, tuple) else "-"
        service = self.service
        service.heartbeat.watch_for(self, service.head_timeout)

    def data_received(self, data: bytes) -> None:
        """Parse; the application is called from here for each complete head."""
        if self._closing or self._refusal is not None:
            return
        service, parser = self.service, self._parser
        if parser is None:
            if self._current is None and not self._reading_paused:
                served = service.serve(
                    self, data, self._transport, self._peer, self._is_secure
                )
                if served is True:
                    return
                if served is not None:
                    self._serve(*served)
                    return
            parser = self._parser = self._new_parser()
            self._head_due = True
        elif self._current is not None and not self._current.is_complete:
            self._watch(service.body_timeout)
        self._feeding = True
        try:
            parser.feed(data)
        except RequestError as error:
            self._refuse(error)
        finally:
            self._feeding = False
        if self._upgrade is not None:
            self._open_websocket(self._upgrade)
        elif (exchange := self._current) is None:
            self._rest()
        elif exchange.is_discarded and not (exchange.keep_alive or self._closing):
            self._linger()

    def eof_received(self) -> bool:
        """The client will send nothing more; an answer in work still goes out."""
        exchange = self._receiving()
        # TLS has no half-closed connections.
        if exchange is None or exchange.is_discarded or self._is_secure:
            self._closing = True
            self._stop_sending()
            return False
        exchange.keep_alive = False
        if not exchange.is_complete:
            exchange.fail(RequestError(400, "The request ended early"))
            exchange.finish()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Free everything; whoever reads a body is told, whoever sends one stops."""
        self.service.heartbeat.forget(self)
        self._closing = True
        exchange, self._current = self._current, None
        self._parser = self._waiting = self._upgrade = self._refusal = None
        self._stop_sending()
        if exchange is not None and not exchange.is_complete:
            exchange.fail(RequestError(400, "The client went away"))

    def pause_writing(self) -> None:
        """Write and read nothing more until the client has read."""
        self._sending().pause()
        self._watch(self.service.body_timeout)
        self.flow_changed()

    def resume_writing(self) -> None:
        """Go on with what waits for the client."""
        self._sending().resume()
        if self._current is None and self._waiting:
            self._next()
        self.flow_changed()

    # Requests.

    def _serve(self, request: Request, answer: Response | Awaitable[Response]) -> None:
        """Answer what came alone and complete, and takes more than one write."""
        if isinstance(answer, Response) and answer.upgrade is not None:
            taken = reply.become_websocket(
                self._transport, self.service, request, answer
            )
            if not isinstance(taken, Response):
                self._let_go()
                return
            answer = taken
        exchange = Exchange(self, request, keep_alive=True)
        exchange.is_complete = True
        self._current = exchange
        if request.is_websocket:
            # What comes before it is decided is kept for whoever takes over.
            self._parser = self._new_parser()
            self._parser.expect_decision()
        self._take(exchange, answer)

    def _new_parser(self) -> RequestParser:
        return RequestParser(
            *(self._on_request, self._on_body, self._on_end),
            limits=self.service.limits,
        )

    def _on_request(self, request: Request) -> None:
        if self._closing:
            return
        parser = self._parser
        assert parser is not None
        request.remote_addr = self._peer
        request.is_secure = self._is_secure
        request.started = time.monotonic()
        exchange = Exchange(self, request, keep_alive=parser.should_keep_alive)
        exchange.is_complete = not request.has_content
        request.attach(exchange)
        # A client that asks and does not read gets no further answers.
        if self._current is None and not self._waiting and not self._is_full:
            self._begin(exchange)
            return
        self._waiting = self._waiting or deque()
        self._waiting.append(exchange)
        self.flow_changed()

    def _receiving(self) -> Exchange | None:
        """Return the request whose body is arriving."""
        if self._closing:
            return None
        return self._waiting[-1] if self._waiting else self._current

    def _on_body(self, data: bytes) -> None:
        exchange = self._receiving()
        if exchange is not None:
            exchange.feed(data)
            if exchange.is_endless:
                self._linger()

    def _on_end(self) -> None:
        exchange = self._receiving() if self._current or self._waiting else None
        if exchange is not None:
            exchange.finish()
            if exchange.is_discarded:
                self._finish(exchange)

    def send_continue(self) -> None:
        """Tell the client to send its body (RFC 9110, 15.2.1)."""
        if not self._closing:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def flow_changed(self) -> None:
        """Read from the socket only while somebody has room for more."""
        exchange, parser = self._current, self._parser
        paused = (
            bool(self._waiting)
            or self._is_full
            or (exchange is not None and exchange.buffered >= HIGH_WATER)
            or (parser is not None and parser.upgrade_pending)
        )
        if not self._closing:
            self._pause_reading(paused)

    # One request after the other.

    def _begin(self, exchange: Exchange) -> None:
        if not self._closing:
            self._current = exchange
            self._take(exchange, self.service.application(exchange.request))

    def _take(self, exchange: Exchange, answer: Response | Awaitable[Response]) -> None:
        if isinstance(answer, Response):
            self._respond(exchange, answer)
        else:
            self._watch(self.service.body_timeout)
            self._working = self.service.loop.create_task(self._wait(exchange, answer))
            self.flow_changed()

    async def _wait(self, exchange: Exchange, answer: Awaitable[Response]) -> None:
        try:
            response = await answer
        except asyncio.CancelledError:
            # Nobody is left to answer, and no deadline would notice.
            self._cut()
            raise
        self._working = None
        if not self._closing:
            self._respond(exchange, response)

    def _respond(self, exchange: Exchange, response: Response) -> None:
        if response.upgrade is not None:
            self._open_websocket(response)
            return
        parser = self._parser
        if parser is not None and parser.part == UPGRADE and not self._waiting:
            # Not taken: what follows the head is HTTP again (RFC 9110, 7.8).
            try:
                parser.resume()
            except RequestError as error:
                self._refuse(error)
            self.flow_changed()
        if response.stream is not None:
            reply.become_event_source(self._transport, self.service, exchange, response)
            self._let_go()
            return
        exchange.answer()
        if self.service.is_draining:
            exchange.keep_alive = False
        self._sending().send(exchange, response, self._finish)

    def _finish(self, exchange: Exchange) -> None:
        """The answer is out: go on, or close without losing it."""
        if exchange.is_complete and exchange.keep_alive:
            self._next()
        elif exchange.is_complete:
            self._close()
        elif exchange.keep_alive or self._feeding:
            # The rest of the body may stand in the read that is being parsed.
            exchange.discard()
            self._watch(self.service.body_timeout)
        else:
            self._linger()

    def _next(self) -> None:
        self._current = None
        if self._waiting:
            if not self._is_full:
                exchange = self._current = self._waiting.popleft()
                # From a fresh stack: a long pipeline must not recurse.
                self.service.loop.call_soon(self._begin, exchange)
        elif self._refusal is not None:
            self._answer_refusal(self._refusal)
        else:
            self._waiting = None
            self._head_due = True
            if not self._feeding:
                self._rest()
        if self._reading_paused:
            self.flow_changed()

    def _rest(self) -> None:
        """Wait for the next head, of which the first part may be here already."""
        if self._waiting or self._closing:
            return
        if self._parser is None or self._parser.part == IDLE:
            self._parser = None  # 0.8 KiB, and a new one costs nothing
            self._watch(self.service.idle_timeout)
        elif self._head_due:
            self._head_due = False  # the bytes that follow move it no more
            self._watch(self.service.head_timeout)

    # Ways out.

    def _refuse(self, error: RequestError) -> None:
        """Read nothing more; answer when it is its turn."""
        if self._closing:
            return
        self._refusal = error
        exchange = self._receiving()
        if exchange is None:
            self._answer_refusal(error)
        elif exchange.is_discarded:
            self._linger()
        elif not exchange.is_complete:
            exchange.keep_alive = False
            exchange.fail(error)

    def _answer_refusal(self, error: RequestError) -> None:
        unread = Request("-", "-", url="-", path="-")
        self._current = Exchange(self, unread, keep_alive=False)
        self._respond(self._current, Response(error.status, str(error)))

    def on_drain(self) -> None:
        """Close if nothing is in work; a request in work is answered first."""
        if self._current is None and not self._waiting and not self._closing:
            self._close()

    def abort(self) -> None:
        """Cut the connection, whatever is in work."""
        if self._working is not None:
            self._working.cancel()
        self._cut()

    def on_deadline(self, now: float) -> None:
        """Head, body, idle time or close took too long."""
        exchange = self._current
        if self._sending().is_moving():
            self._watch(self.service.body_timeout)
        elif self._closing or self._is_full:
            self._cut()
        elif exchange is None and self._parser is None:
            self._close()
        elif exchange is None:
            self._refuse(RequestError(408, "The request head took too long"))
        elif exchange.is_discarded:
            self._linger()
        elif exchange.is_awaited:
            exchange.keep_alive = False
            exchange.fail(RequestError(408, "The request body took too long"))
        elif not exchange.is_complete:
            # It is not the client who lets the body wait.
            self._watch(self.service.body_timeout)

    # Turning into something else.

    def _open_websocket(self, response: Response) -> None:
        """Answer 101 and give the transport to a WebSocket."""
        if self._feeding:
            # The parser still holds what came behind the head.
            self._upgrade = response
            return
        exchange, parser, self._upgrade = self._current, self._parser, None
        assert exchange is not None
        taken = reply.become_websocket(
            self._transport, self.service, exchange.request, response
        )
        if isinstance(taken, Response):
            self._respond(exchange, taken)
            return
        exchange.answer()
        assert parser is not None
        rest = parser.take_rest()
        self._let_go()
        if rest:
            taken.data_received(rest)

    def _let_go(self) -> None:
        """Keep nothing alive: the transport has another protocol now."""
        self._closing = True
        self._parser = self._current = self._waiting = None
        self.service.heartbeat.forget(self)
        if self._reading_paused:
            self._pause_reading(False)

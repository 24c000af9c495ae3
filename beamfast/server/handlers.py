"""
Python functions at addresses of a server: what a program adds to a configuration.

A handler stands in the pipeline of every host behind what decides who may do what,
and in front of what answers for files. It cannot be written in a configuration
file; there, a plugin of one's own does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from beamfast.errors import InvalidState
from beamfast.http import EventStream, Request, Response, Upgrade
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import (
    accept_upgrade,
    check_origin,
    choose_subprotocol,
    further_fields,
    offered_subprotocols,
)
from beamfast.server.config import HostConfig, PluginConfig, ServerConfig

#: Gets a WebSocket or an EventSource; a coroutine function is done when it returns.
Handler = TypeVar("Handler", bound=Callable[[Any], object])

#: Plugins that answer for documents; handlers stand in front of the first of them.
_ANSWERING: Final = frozenset(
    {"websocket", "eventsource", "selector-handler", "file-handler", "directory"}
)
_NAME: Final = "python:beamfast.server.handlers:HandlerPlugin"


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """
    What answers handshakes at one address.

    Attributes:
        upgrade: with the handler, and what it wants of its sockets.
        protocols: subprotocols that it speaks, best first.
        headers: further fields of the response.
        allowed_origins: foreign origins that may connect, beside the host's own.
    """

    upgrade: Upgrade
    protocols: Sequence[str] = ()
    headers: tuple[tuple[str, str], ...] = ()
    allowed_origins: tuple[str, ...] = ()

    def answer(self, request: Request, context: Context) -> Response | None:
        """Return the 101; None when the request is no handshake."""
        if not request.is_websocket:
            return None
        offered = offered_subprotocols(request.headers)
        subprotocol = choose_subprotocol(offered, self.protocols)
        return accept_upgrade(
            request,
            replace(self.upgrade, subprotocol=subprotocol),
            allowed_origins=(*self.allowed_origins, *context.allowed_origins),
            headers=self.headers,
        )


@dataclass(frozen=True, slots=True)
class EventSourceRoute:
    """
    What answers requests for an event stream at one address.

    Attributes:
        stream: with the handler, and how the stream behaves.
        headers: further fields of the response.
        allowed_origins: foreign origins that may connect, beside the host's own.
    """

    stream: EventStream
    headers: tuple[tuple[str, str], ...] = ()
    allowed_origins: tuple[str, ...] = ()

    def answer(self, request: Request, context: Context) -> Response | None:
        """Return the stream; None when the request is not for one."""
        if request.method != "GET" or not request.accepts_event_stream:
            return None
        check_origin(request, (*self.allowed_origins, *context.allowed_origins))
        return Response(200, stream=self.stream, headers=self.headers)


class Handlers:
    """The handlers of a server, by address; registered before it starts."""

    def __init__(self) -> None:
        self._routes: dict[str, list[WebSocketRoute | EventSourceRoute]] = {}
        self._is_inserted = False

    def websocket(
        self,
        path: str,
        *,
        protocols: Sequence[str] = (),
        headers: Iterable[tuple[str, str]] = (),
        allowed_origins: Iterable[str] = (),
        max_size: int = 2**20,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
    ) -> Callable[[Handler], Handler]:
        """
        Have a function called with each WebSocket that opens at ``path``.

        A coroutine function receives with ``async for``, and the connection closes
        when it returns. A plain function sets ``on_message``, or subscribes the
        socket to a topic.

        Args:
            path: of the URL, without the query.
            protocols: subprotocols, best first.
            headers: further fields of the response.
            allowed_origins: foreign origins that may connect.
            max_size: bytes of a message; above it close 1009.
            ping_interval: seconds between pings, 0 for none.
            ping_timeout: seconds to wait for the pong.

        Raises:
            ValueError: the path does not begin with a slash, or a field belongs
                to the handshake.
            InvalidState: the server has started.
        """

        def register(handler: Handler) -> Handler:
            upgrade = Upgrade(
                handler,
                max_size=max_size,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
            )
            route = WebSocketRoute(upgrade, tuple(protocols), fields, origins)
            self._add(path, route)
            return handler

        fields = tuple(further_fields(headers))
        origins = tuple(allowed_origins)
        return register

    def event_source(
        self,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        allowed_origins: Iterable[str] = (),
        retry: float = 5.0,
        ping_interval: float = 15.0,
    ) -> Callable[[Handler], Handler]:
        """
        Have a function called with each event stream that opens at ``path``.

        Arguments as :meth:`websocket`.

        Args:
            path: of the URL, without the query.
            headers: further fields of the response.
            allowed_origins: foreign origins that may connect.
            retry: seconds until a client comes back.
            ping_interval: seconds between comments.

        Raises:
            ValueError: the path does not begin with a slash.
            InvalidState: the server has started.
        """

        def register(handler: Handler) -> Handler:
            stream = EventStream(handler, retry=retry, ping_interval=ping_interval)
            self._add(path, EventSourceRoute(stream, fields, origins))
            return handler

        fields = tuple(further_fields(headers))
        origins = tuple(allowed_origins)
        return register

    def _add(self, path: str, route: WebSocketRoute | EventSourceRoute) -> None:
        if not path.startswith("/"):
            raise ValueError(f"{path!r} does not begin with a slash")
        if self._is_inserted:
            raise InvalidState("handlers are registered before the server starts")
        self._routes.setdefault(path, []).append(route)

    def answer(self, request: Request, context: Context) -> Response | None:
        """Return what a handler answers; None when there is none for the request."""
        for route in self._routes.get(request.path, ()):
            if (response := route.answer(request, context)) is not None:
                return response
        return None

    def insert(self, config: ServerConfig) -> ServerConfig:
        """Return ``config`` with these handlers, if any, in every host's pipeline."""
        self._is_inserted = True
        if not self._routes:
            return config
        hosts = tuple(self._insert(host) for host in config.hosts)
        return replace(config, hosts=hosts)

    def _insert(self, host: HostConfig) -> HostConfig:
        plugins = list(host.plugins)
        place = next(
            (index for index, one in enumerate(plugins) if one.name in _ANSWERING),
            len(plugins),
        )
        plugins.insert(place, PluginConfig(_NAME, {"handlers": self}))
        return replace(host, plugins=tuple(plugins))


@dataclass(frozen=True)
class Options:
    """
    Options of the plugin, which only programs can give.

    Attributes:
        handlers: of the server.
    """

    handlers: Handlers


class HandlerPlugin(Plugin[Options]):
    """Ask the handlers of the program."""

    name = "handlers"

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Answer what a handler is registered for."""
        return self.options.handlers.answer(request, context)

"""
Live documents over EventSource: ``Accept: text/event-stream`` on a page.

The same items as over WebSocket, each with the document's version as its id.
The stream begins with an id without data, so that a client which never
received an item knows what it has seen. One that names a version in
``Last-Event-ID`` or ``?since=`` gets what came after it first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, Literal

from beamfast.commit.publication import ItemForm
from beamfast.documents.store import Location
from beamfast.documents.streamitem import LEGACY_TYPE, SCHEMA_TYPE
from beamfast.errors import CloseCode
from beamfast.http import NAMES_EVENT_STREAM, EventStream, Request, Response
from beamfast.pipeline import Context, Needs, Plugin
from beamfast.protocol.handshake import origin_allowed
from beamfast.protocol.target import query_parameter
from beamfast.rights import MayRead, Streams

#: How this plugin knows its own probes.
_ACCEPT: Final = (("Accept", "text/event-stream"),)

logger: logging.Logger = logging.getLogger("beamfast.eventsource")


@dataclass(frozen=True)
class Options:
    """
    Options of the eventsource plugin.

    Attributes:
        stream_item: itemtype of the items: ``schema``, ``legacy``, or ``auto``.
        allowed_origins: foreign origins that may connect, beside the host's own.
        retry: seconds that a client waits before it reconnects.
        ping_interval: seconds between comments.
        slow_consumer: what happens to a reader with more items waiting than
            ``broadcast_buffer_size``: ``resync`` sends the whole document instead,
            ``close`` ends the stream, and it comes back and resumes.
        broadcast_buffer_size: items that may wait for a reader, at most 1 MiB.
        stall_timeout: seconds for which a client may read nothing at all.
    """

    stream_item: Literal["auto", "schema", "legacy"] = "auto"
    allowed_origins: tuple[str, ...] = ()
    retry: float = 5.0
    ping_interval: float = 15.0
    slow_consumer: Literal["resync", "close"] = "resync"
    broadcast_buffer_size: int = 1000
    stall_timeout: float = 30.0


class EventSourcePlugin(Plugin[Options]):
    """Answer requests for an event stream, subscribe it to its document."""

    name = "eventsource"
    needs_fields: ClassVar[Needs] = NAMES_EVENT_STREAM

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        legacy = self.options.stream_item == "legacy"
        self._form = ItemForm(
            LEGACY_TYPE if legacy else SCHEMA_TYPE,
            slow_consumer=self.options.slow_consumer,
        )
        self._streams = Streams(_ACCEPT, _end, self._forget)
        self._context: Context

    def reload(self, previous: EventSourcePlugin) -> None:
        """Have the streams of ``previous`` once it stops."""
        self._streams.succeed(previous._streams)

    def stop(self) -> None:
        """Leave the streams to whoever comes after, or let them end."""
        self._streams.stop()

    def start(self, context: Context) -> None:
        """Have rules that change counted for open streams too."""
        self._context = context
        self._streams.start(context.rights)

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Return an endless response for a GET that accepts one."""
        if request.method != "GET" or not request.accepts_event_stream:
            return None
        if request.probe:
            return MayRead()
        allowed = (*self.options.allowed_origins, *context.allowed_origins)
        if not origin_allowed(request.headers, allowed, is_secure=request.is_secure):
            return Response(403, "Origin not allowed")
        location = context.store.find(request.path)
        # The field comes with each reconnection of a browser, the parameter with the
        # first connection of a page that knows its version: the newer one wins.
        after = request.headers.get("last-event-id") or query_parameter(
            request.query, "since"
        )
        wants_presence = query_parameter(request.query, "presence") is not None
        stream = EventStream(
            partial(
                self._begin,
                *(context, location, after, wants_presence),
                *(request.roles, request.expires),
            ),
            retry=self.options.retry,
            ping_interval=self.options.ping_interval,
            stall_timeout=self.options.stall_timeout,
        )
        return Response(200, stream=stream)

    def _begin(
        self,
        context: Context,
        location: Location,
        after: str | None,
        wants_presence: bool,
        roles: frozenset[str],
        expires: float | None,
        source: Any,
    ) -> None:
        logger.info("[eventsource] connect %s", location.key)
        self._streams.add(source, roles, expires)
        source.queue_items_limit = self.options.broadcast_buffer_size
        context.committer.subscribe(
            source,
            location,
            self._form,
            after=after,
            greet=lambda version: source.send_id(str(version)),
        )
        if wants_presence and (audience := context.committer.audience) is not None:
            audience.attend(source, location, self._form)
        logger.info("[eventsource] subscribe %s", location.key)

    def _forget(self, source: Any) -> None:
        self._streams.discard(source)
        self._context.committer.forget(source)
        logger.info("[eventsource] clean-up %s", source.path)


def _end(source: Any, code: CloseCode) -> None:
    """End a stream that may not be read any more; who comes back is told why."""
    source.close()

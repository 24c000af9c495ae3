"""
Live documents over WebSocket: connecting to a page subscribes to its edits.

Each edit arrives as one text message holding a StreamItem. The URL may name a
document that does not exist yet. A client may narrow what it gets, by JSON messages
that name selectors and documents (:mod:`beamfast.protocol.subscribing`); the first
one takes the place of what connecting has subscribed.

A socket that was opened with ``?since=`` gets what came after that version first,
and resets. Subprotocol ``beam.v1`` has versions in its items, and begins with one.

Whoever may not read a document any more is told so by close code 4403, or by 4401
if logging in again would help.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, Literal

from beamfast.commit.publication import ItemForm, version_frame
from beamfast.commit.subscriptions import Subscriptions
from beamfast.documents.selector import Selector
from beamfast.documents.store import Location
from beamfast.documents.streamitem import LEGACY_TYPE, SCHEMA_TYPE
from beamfast.entry import Version
from beamfast.errors import CloseCode, DocumentError, HandshakeError
from beamfast.http import Request, Response, Upgrade
from beamfast.pipeline import Context, Needs, Plugin
from beamfast.protocol.delivery import CommonHandler
from beamfast.protocol.handshake import (
    LEGACY_VERSIONS,
    VERSION,
    check_origin,
    check_upgrade,
    choose_subprotocol,
    is_hixie,
    offered_subprotocols,
)
from beamfast.protocol.subscribing import EVERYTHING, Refused, Wish, read_wish
from beamfast.protocol.target import query_parameter
from beamfast.rights import MayRead, Streams
from beamfast.runstate import Bucket

#: Documents whose usual subscribers are remembered.
USUAL: Final = 256
_NOTHING: Final = (None, None)
#: Subprotocol of items that carry versions.
SUBPROTOCOL: Final = "beam.v1"
#: How this plugin knows its own probes.
_UPGRADE: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"))

_REASONS: Final = {
    CloseCode.AUTHENTICATION_EXPIRED: "authentication expired",
    CloseCode.RIGHTS_REMOVED: "rights removed",
}

logger: logging.Logger = logging.getLogger("beamfast.websocket")


@dataclass(frozen=True)
class Options:
    """
    Options of the websocket plugin.

    Attributes:
        stream_item: itemtype of the items: ``schema``, ``legacy``, or ``auto``: the
            first, and the second once the client has sent a JSON subscribe.
        strict_handshake: refuse a wrong version or key with 426 or 400 instead
            of leaving the request to the next plugin.
        allowed_origins: foreign origins that may connect, beside the host's own.
        legacy_drafts: speak the drafts of browsers before 2012 too: hixie-75,
            hixie-76, versions 7 and 8. They have weaknesses that were their end.
        ping_interval: seconds between server pings, 0 for none.
        ping_timeout: seconds to wait for the pong.
        message_size_limit: bytes of an inbound message; above it close 1009.
        max_connections: sockets of one process; above it 503, 0 for any number.
        max_connections_per_ip: of them from one address.
        max_messages_per_second: of one client; above it an error, 0 for any number.
        max_subscriptions: of one client.
        broadcast_documents: also send plain sockets what changes a whole document.
        url_form: ``url`` of items: by their ``writer``, or path of the ``subscriber``.
        compression: of items, ``shared`` by all; of replies, ``dedicated``; or ``off``.
        slow_consumer: send who reads too slowly the whole document (``resync``, if it
            knows resets), or ``close`` with 1013.
        broadcast_buffer_size: items that may wait for a reader, at most 1 MiB.
        stall_timeout: seconds for which a peer may read nothing at all.
    """

    stream_item: Literal["auto", "schema", "legacy"] = "auto"
    strict_handshake: bool = False
    allowed_origins: tuple[str, ...] = ()
    legacy_drafts: bool = False
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    message_size_limit: int = 2**20
    max_connections: int = 0
    max_connections_per_ip: int = 0
    max_messages_per_second: float = 0.0
    max_subscriptions: int = 128
    broadcast_documents: bool = False
    url_form: Literal["writer", "subscriber"] = "writer"
    compression: Literal["shared", "dedicated", "off"] = "shared"
    slow_consumer: Literal["resync", "close"] = "resync"
    broadcast_buffer_size: int = 1000
    stall_timeout: float = 30.0


class WebSocketPlugin(Plugin[Options]):
    """Answer upgrade requests, subscribe the socket to its document."""

    name = "websocket"
    needs_fields: ClassVar[Needs] = ((b"upgrade", b""),)

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        legacy = self.options.stream_item == "legacy"
        itemtype = LEGACY_TYPE if legacy else SCHEMA_TYPE
        form = partial(ItemForm, itemtype, slow_consumer=self.options.slow_consumer)
        self._versioned = form(is_versioned=True)
        # Clients of the original know no resets; one that says what it has seen does.
        whole = self.options.broadcast_documents
        self._bare = form(takes_resets=whole, reset_selector="html")
        self._resuming = form(reset_selector="html")
        self._numbers = itertools.count(1)
        # One object for all sockets, so that each costs a reference.
        self._receiver = CommonHandler(self._receive)
        self._streams = Streams(_UPGRADE, _end, self._forget, self._paths)
        # Few have these.
        self._asked: dict[Any, Subscriptions] = {}
        self._buckets: dict[Any, Bucket] = {}
        self._addresses: dict[Any, str] = {}
        self._per_address: Counter[str] = Counter()
        self._context: Context
        self._allowed: tuple[str, ...] = ()
        # What most agree on, by path.
        self._usual: dict[str, tuple[Location | None, Upgrade | None]] = {}
        # Otherwise it depends on who asks, or on how a document is called.
        options = self.options
        self._is_personal = (
            options.max_connections_per_ip > 0 or options.url_form == "subscriber"
        )
        self._heir: WebSocketPlugin | None = None

    def reload(self, previous: WebSocketPlugin) -> None:
        """Share the sockets of ``previous``, and have them once it stops."""
        self._asked = previous._asked
        self._buckets = previous._buckets
        self._addresses = previous._addresses
        self._per_address = previous._per_address
        self._streams.succeed(previous._streams)
        previous._heir = self

    def stop(self) -> None:
        """Leave the sockets to whoever comes after, or let them end."""
        self._streams.stop()

    def start(self, context: Context) -> None:
        """Have rules that change counted for open sockets too."""
        self._context = context
        self._allowed = (*self.options.allowed_origins, *context.allowed_origins)
        self._streams.start(context.rights)

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Return 101 for a valid handshake; leave other requests to the next."""
        if not request.is_websocket:
            return None
        if request.probe:
            return MayRead()
        versions = LEGACY_VERSIONS if self.options.legacy_drafts else (VERSION,)
        try:
            if not (self.options.legacy_drafts and is_hixie(request.headers)):
                check_upgrade(request, versions=versions)
        except HandshakeError:
            if self.options.strict_handshake:
                raise
            return None
        check_origin(request, self._allowed)
        self._check_room(request.remote_addr)
        location = context.store.find(request.path)
        if self._is_usual(request):
            found, upgrade = self._usual.get(request.path, _NOTHING)
            if found is not location or upgrade is None:
                # Clients choose the documents, which need not exist.
                if len(self._usual) >= USUAL:
                    self._usual.clear()
                upgrade = self._upgrade(request, context, location)
                self._usual[request.path] = location, upgrade
        else:
            upgrade = self._upgrade(request, context, location)
        return Response(101, upgrade=upgrade)

    def _is_usual(self, request: Request) -> bool:
        """Tell whether nothing but the document matters in what was asked for."""
        return not (
            request.query
            or request.roles
            or request.expires is not None
            or self._is_personal
            or request.headers.has(b"sec-websocket-protocol")
        )

    def _upgrade(
        self, request: Request, context: Context, location: Location
    ) -> Upgrade:
        """Return what is agreed with the sender of a request."""
        options = self.options
        after = query_parameter(request.query, "since")
        offered = offered_subprotocols(request.headers)
        subprotocol = choose_subprotocol(offered, (SUBPROTOCOL,))
        bare = self._bare if after is None else self._resuming
        form = bare if subprotocol is None else self._versioned
        # Clients of the original would apply these items to the page.
        wants_presence = (
            subprotocol is not None
            and query_parameter(request.query, "presence") is not None
        )
        if options.url_form == "subscriber":
            form = form._replace(url=request.url)
        return Upgrade(
            partial(
                self._begin,
                *(context, location, form, after, wants_presence),
                *(request.roles, request.expires, request.remote_addr),
            ),
            subprotocol=subprotocol,
            legacy_drafts=options.legacy_drafts,
            max_size=options.message_size_limit,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            stall_timeout=options.stall_timeout,
            compression=None if options.compression == "off" else options.compression,
        )

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Tell a client of another version which one is spoken (RFC 6455, 4.4)."""
        if response.status != 101 and request.is_websocket:
            response.headers.set("Sec-WebSocket-Version", "13")

    def _check_room(self, address: str) -> None:
        options = self.options
        is_full = 0 < options.max_connections <= len(self._streams)
        limit = options.max_connections_per_ip
        if is_full or 0 < limit <= self._per_address[address]:
            raise HandshakeError(503, "Too many connections", [("Retry-After", "5")])

    # From opening to closing.

    def _begin(
        self,
        context: Context,
        location: Location,
        form: ItemForm,
        after: str | None,
        wants_presence: bool,
        roles: frozenset[str],
        expires: float | None,
        address: str,
        websocket: Any,
    ) -> None:
        number = 0
        if logger.isEnabledFor(logging.INFO):
            number = next(self._numbers)
            logger.info("[websocket] connect %d %s", number, location.key)
        self._streams.add(websocket, roles, expires, number)
        if self.options.max_connections_per_ip:
            self._addresses[websocket] = address
            self._per_address[address] += 1
        websocket.on_message = self._receiver
        websocket.queue_items_limit = self.options.broadcast_buffer_size
        greet = None
        if form.is_versioned:
            greet = partial(_greet, websocket, form, location.key)
        context.committer.subscribe(websocket, location, form, after=after, greet=greet)
        if wants_presence and (audience := context.committer.audience) is not None:
            audience.attend(websocket, location, form)
        if number:
            logger.info("[websocket] subscribe %d %s", number, location.key)

    def _forget(self, websocket: Any, code: int, reason: str) -> None:
        number = self._streams.discard(websocket)
        self._asked.pop(websocket, None)
        self._buckets.pop(websocket, None)
        self._context.committer.forget(websocket)
        address = self._addresses.pop(websocket, None)
        if address is not None:
            self._per_address[address] -= 1
            if not self._per_address[address]:
                del self._per_address[address]
        if number:
            logger.info(
                "[websocket] clean-up %d %s (%d %s)",
                *(number, websocket.path, code, reason),
            )

    # Messages.

    async def _receive(self, websocket: Any, message: str | bytes) -> None:
        """Do what a client asks for; messages of one client come one by one."""
        if self._streams.is_handed_over and self._heir is not None:
            # What a socket calls with its messages is fixed when it opens.
            await self._heir._receive(websocket, message)
            return
        try:
            if not self._takes_message(websocket):
                raise Refused("too-many-messages", "Too many messages per second")
            wish = read_wish(message)
            await self._follow(websocket, self._subscriptions(websocket), wish)
        except Refused as refused:
            websocket.send_nowait(refused.reply())

    def _takes_message(self, websocket: Any) -> bool:
        rate = self.options.max_messages_per_second
        if not rate:
            return True
        bucket, now = self._buckets.get(websocket), time.monotonic()
        if bucket is None:
            bucket = self._buckets[websocket] = Bucket(rate, max(rate, 1.0), now)
        return bucket.take(now)

    def _subscriptions(self, websocket: Any) -> Subscriptions:
        subscriptions = self._asked.get(websocket)
        if subscriptions is None:
            form = self._versioned if websocket.subprotocol else self._bare
            if self.options.stream_item == "auto":
                form = form._replace(itemtype=LEGACY_TYPE)
            if self.options.url_form == "subscriber":
                form = form._replace(url=websocket.path)
            context = self._context
            own = context.store.find(websocket.path)
            subscriptions = self._asked[websocket] = Subscriptions(
                context.committer, websocket, form, own, websocket.path
            )
        return subscriptions

    async def _follow(
        self, websocket: Any, subscriptions: Subscriptions, wish: Wish
    ) -> None:
        """
        Carry out one message.

        Raises:
            Refused: nothing has changed.
        """
        about = {"action": wish.action, "selector": wish.selector}
        path = wish.path(websocket.path, self._context.host_names)
        try:
            location = self._context.store.find(path)
            selector = None
            if wish.selector != EVERYTHING:
                selector = Selector.parse(wish.selector)
            if wish.action == "unsubscribe":
                if selector is None and wish.url is None:
                    subscriptions.remove_all()
                else:
                    await subscriptions.remove(location, selector)
                websocket.send_nowait(wish.reply(path))
                return
            if len(subscriptions) >= self.options.max_subscriptions:
                raise Refused(
                    "too-many-subscriptions", "No more subscriptions", **about, url=path
                )
            refusal = self._streams.refusal(websocket, path)
            if inspect.isawaitable(refusal):
                refusal = await refusal
            if refusal is not None:
                raise Refused("forbidden", "You may not read that", **about, url=path)

            def acknowledge(version: Version) -> None:
                websocket.send_nowait(wish.reply(path))
                if subscriptions.form.is_versioned:
                    _greet(websocket, subscriptions.form, location.key, version)

            await subscriptions.add(location, path, selector, acknowledge)
        except DocumentError as error:
            raise Refused(error.code, str(error), **about, url=path) from error
        logger.info("[websocket] subscribe %s %s", location.key, wish.selector)

    def _paths(self, websocket: Any) -> list[str]:
        """Return the paths of what a socket follows."""
        asked = self._asked.get(websocket)
        return (asked.paths if asked is not None else None) or [websocket.path]


def _end(websocket: Any, code: CloseCode) -> None:
    """Close a socket that may not follow its document any more."""
    websocket.close_nowait(code, _REASONS[code])


def _greet(websocket: Any, form: ItemForm, url: str, version: Version) -> None:
    """Say what to resume from."""
    websocket.write(version_frame(websocket, form, url, version))

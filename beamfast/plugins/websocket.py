"""
Live documents over WebSocket: connecting to a page subscribes to its edits.

Each edit arrives as one text message holding a StreamItem. The URL may name a
document that does not exist yet. What the client sends is checked and dropped.

A socket that was opened with ``?since=`` gets what came after that version first,
and resets. Subprotocol ``beam.v1`` has versions in its items, and begins with one.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from beamfast.commit.publication import (
    DocumentSubscriber,
    ItemForm,
    version_frame,
)
from beamfast.documents.store import Location
from beamfast.documents.streamitem import LEGACY_TYPE, SCHEMA_TYPE
from beamfast.entry import Version
from beamfast.errors import HandshakeError
from beamfast.http import Request, Response, Upgrade
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import (
    check_origin,
    check_upgrade,
    choose_subprotocol,
    offered_subprotocols,
)
from beamfast.protocol.target import query_parameter

#: Subprotocol of items that carry versions.
SUBPROTOCOL: Final = "beam.v1"

logger: logging.Logger = logging.getLogger("beamfast.websocket")


@dataclass(frozen=True)
class Options:
    """
    Options of the websocket plugin.

    Attributes:
        stream_item: itemtype of the items: ``schema``, ``legacy``, or ``auto``.
        strict_handshake: refuse a wrong version or key with 426 or 400 instead
            of leaving the request to the next plugin.
        allowed_origins: foreign origins that may connect, beside the host's own.
        ping_interval: seconds between server pings, 0 for none.
        ping_timeout: seconds to wait for the pong.
        message_size_limit: bytes of an inbound message; above it close 1009.
    """

    stream_item: Literal["auto", "schema", "legacy"] = "auto"
    strict_handshake: bool = False
    allowed_origins: tuple[str, ...] = ()
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    message_size_limit: int = 2**20


class WebSocketPlugin(Plugin[Options]):
    """Answer upgrade requests, subscribe the socket to its document."""

    name = "websocket"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        legacy = self.options.stream_item == "legacy"
        itemtype = LEGACY_TYPE if legacy else SCHEMA_TYPE
        self._versioned = ItemForm(itemtype, is_versioned=True)
        # Clients of the original know no resets; one that says what it has seen
        # does.
        self._bare = ItemForm(itemtype, takes_resets=False, reset_selector="html")
        self._resuming = ItemForm(itemtype, takes_resets=True, reset_selector="html")
        self._numbers = itertools.count(1)

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Return 101 for a valid handshake; leave other requests to the next."""
        if not request.is_websocket:
            return None
        try:
            check_upgrade(request)
        except HandshakeError:
            if self.options.strict_handshake:
                raise
            return None
        allowed = (*self.options.allowed_origins, *context.allowed_origins)
        check_origin(request, allowed)
        location = context.store.find(request.path)
        options = self.options
        after = query_parameter(request.query, "since")
        subprotocol = choose_subprotocol(
            offered_subprotocols(request.headers), (SUBPROTOCOL,)
        )
        if subprotocol is not None:
            form = self._versioned
        else:
            form = self._bare if after is None else self._resuming
        upgrade = Upgrade(
            partial(self._open, context, location, form, after),
            subprotocol=subprotocol,
            max_size=options.message_size_limit,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
        )
        return Response(101, upgrade=upgrade)

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Tell a client of another version which one is spoken (RFC 6455, 4.4)."""
        if response.status != 101 and request.is_websocket:
            response.headers.set("Sec-WebSocket-Version", "13")

    def _open(
        self,
        context: Context,
        location: Location,
        form: ItemForm,
        after: str | None,
        websocket: DocumentSubscriber,
    ) -> None:
        number = next(self._numbers)
        logger.info("[websocket] connect %d %s", number, location.key)
        if logger.isEnabledFor(logging.INFO):
            # Nobody else asks, and it is kept for as long as the connection.
            websocket.on_close = partial(self._close, number, location.key)
        greet = partial(_greet, websocket, form, location.key)
        context.committer.subscribe(
            websocket,
            location,
            form,
            after=after,
            greet=greet if form.is_versioned else None,
        )
        logger.info("[websocket] subscribe %d %s", number, location.key)

    def _close(
        self,
        number: int,
        key: str,
        websocket: DocumentSubscriber,
        code: int,
        reason: str,
    ) -> None:
        logger.info("[websocket] clean-up %d %s (%d %s)", number, key, code, reason)


def _greet(
    websocket: DocumentSubscriber, form: ItemForm, url: str, version: Version
) -> None:
    """Say what to resume from."""
    websocket.write(version_frame(websocket, form, url, version))

"""
Echo: a WebSocket that sends back what it gets, and a page to try it from.

For those who test clients, proxies and networks. A text comes back as a text,
binary as binary. Nothing happens unless addresses are configured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from beamfast.http import Request, Response, Upgrade
from beamfast.pages import CONNECT, check_urls, find_place, page_response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import accept_upgrade


@dataclass(frozen=True)
class Options:
    """
    Options of the echo plugin.

    Attributes:
        urls: paths that echo; a browser that opens one gets the page.
        allowed_origins: foreign origins that may connect, beside the host's own.
        message_size_limit: bytes of a message; above it close 1009.
    """

    urls: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    message_size_limit: int = 2**20

    def __post_init__(self) -> None:
        """Refuse paths that no request could have."""
        check_urls(self.urls)


class Echo(Plugin[Options]):
    """Answer handshakes on the configured paths; send messages back."""

    name = "echo"

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Open an echo, or return the page."""
        options = self.options
        place = find_place(request.path, options.urls)
        if place is None:
            return None
        if request.is_websocket and place[1] in ("", CONNECT):
            return accept_upgrade(
                request,
                Upgrade(_open, max_size=options.message_size_limit),
                allowed_origins=(*options.allowed_origins, *context.allowed_origins),
            )
        return page_response(request, place, "echo", {})


def _open(websocket: Any) -> None:
    websocket.on_message = websocket.send_nowait

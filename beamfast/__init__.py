"""
Live HTML documents over HTTP, WebSocket and EventSource.

The public names load on first use (PEP 562), so importing one layer does not
pull in the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from beamfast.client.eventsource import event_source as event_source
    from beamfast.client.websocket import connect as connect
    from beamfast.connection.eventsource import EventSource as EventSource
    from beamfast.connection.websocket import WebSocket as WebSocket
    from beamfast.errors import (
        BeamfastError as BeamfastError,
        CloseCode as CloseCode,
        ConnectError as ConnectError,
        ConnectionClosed as ConnectionClosed,
        ProtocolError as ProtocolError,
    )
    from beamfast.http import (
        Headers as Headers,
        Request as Request,
        Response as Response,
    )

__version__: Final = "0.1.0"

_HOMES: Final = {
    "BeamfastError": "errors",
    "CloseCode": "errors",
    "ConnectError": "errors",
    "ConnectionClosed": "errors",
    "EventSource": "connection.eventsource",
    "Headers": "http",
    "ProtocolError": "errors",
    "Request": "http",
    "Response": "http",
    "WebSocket": "connection.websocket",
    "connect": "client.websocket",
    "event_source": "client.eventsource",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one table for names and homes


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]

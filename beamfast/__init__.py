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
    from beamfast.context import Context as Context
    from beamfast.documents.document import Document as Document
    from beamfast.documents.edit import Edit as Edit
    from beamfast.documents.selector import Selector as Selector
    from beamfast.documents.store import DocumentStore as DocumentStore
    from beamfast.errors import (
        BeamfastError as BeamfastError,
        BusError as BusError,
        CloseCode as CloseCode,
        ConfigError as ConfigError,
        ConnectError as ConnectError,
        ConnectionClosed as ConnectionClosed,
        DocumentError as DocumentError,
        HandshakeError as HandshakeError,
        InvalidState as InvalidState,
        ProtocolError as ProtocolError,
        RequestError as RequestError,
        Unsupported as Unsupported,
    )
    from beamfast.http import (
        EventStream as EventStream,
        Headers as Headers,
        Request as Request,
        Response as Response,
        Upgrade as Upgrade,
    )
    from beamfast.pipeline import (
        Pipeline as Pipeline,
        Plugin as Plugin,
    )
    from beamfast.pubsub.hub import Hub as Hub
    from beamfast.server.config import (
        HostConfig as HostConfig,
        PluginConfig as PluginConfig,
        ServerConfig as ServerConfig,
    )
    from beamfast.server.host import Host as Host
    from beamfast.server.server import Server as Server

__version__: Final = "0.1.0"

_HOMES: Final = {
    "BeamfastError": "errors",
    "BusError": "errors",
    "CloseCode": "errors",
    "ConfigError": "errors",
    "ConnectError": "errors",
    "ConnectionClosed": "errors",
    "Context": "context",
    "Document": "documents.document",
    "DocumentError": "errors",
    "DocumentStore": "documents.store",
    "Edit": "documents.edit",
    "EventSource": "connection.eventsource",
    "EventStream": "http",
    "HandshakeError": "errors",
    "Headers": "http",
    "Host": "server.host",
    "HostConfig": "server.config",
    "Hub": "pubsub.hub",
    "InvalidState": "errors",
    "Pipeline": "pipeline",
    "Plugin": "pipeline",
    "PluginConfig": "server.config",
    "ProtocolError": "errors",
    "Request": "http",
    "RequestError": "errors",
    "Response": "http",
    "Selector": "documents.selector",
    "Server": "server.server",
    "ServerConfig": "server.config",
    "Unsupported": "errors",
    "Upgrade": "http",
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

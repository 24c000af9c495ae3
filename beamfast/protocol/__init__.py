"""
Sans-I/O drivers: bytes in, events and bytes out; no socket, clock or task.

For everyone who brings their own I/O. The names load on first use (PEP 562), so
a server that needs one version does not load the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from beamfast._frames import FrameParser, build_frame, mask
    from beamfast.protocol.client import ClientDriver
    from beamfast.protocol.deflate import PerMessageDeflate
    from beamfast.protocol.driver import Side, State
    from beamfast.protocol.events import (
        Closed,
        Event,
        Failed,
        Opened,
        Ping,
        Pong,
        Requested,
    )
    from beamfast.protocol.eventsource import EventStreamDecoder
    from beamfast.protocol.hixie75 import Hixie75Driver
    from beamfast.protocol.hixie76 import Hixie76Driver
    from beamfast.protocol.proxy import ProxyDriver
    from beamfast.protocol.rfc6455 import Rfc6455Driver
    from beamfast.protocol.server import ServerDriver

__all__ = [
    "ClientDriver",
    "Closed",
    "Event",
    "EventStreamDecoder",
    "Failed",
    "FrameParser",
    "Hixie75Driver",
    "Hixie76Driver",
    "Opened",
    "PerMessageDeflate",
    "Ping",
    "Pong",
    "ProxyDriver",
    "Requested",
    "Rfc6455Driver",
    "ServerDriver",
    "Side",
    "State",
    "build_frame",
    "mask",
]

_HOMES: Final = {
    "FrameParser": "beamfast._frames",
    "build_frame": "beamfast._frames",
    "mask": "beamfast._frames",
    "ClientDriver": "beamfast.protocol.client",
    "EventStreamDecoder": "beamfast.protocol.eventsource",
    "PerMessageDeflate": "beamfast.protocol.deflate",
    "ProxyDriver": "beamfast.protocol.proxy",
    "Side": "beamfast.protocol.driver",
    "State": "beamfast.protocol.driver",
    "Hixie75Driver": "beamfast.protocol.hixie75",
    "Hixie76Driver": "beamfast.protocol.hixie76",
    "Rfc6455Driver": "beamfast.protocol.rfc6455",
    "ServerDriver": "beamfast.protocol.server",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "beamfast.protocol.events")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]

"""Who gets the messages of a WebSocket, when it is one object for many of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any


class CommonHandler:
    """
    An ``on_message`` of many sockets: one object that costs each a reference.

    Args:
        receive: a coroutine function that is called with socket and message.
    """

    __slots__ = ("receive",)

    def __init__(
        self, receive: Callable[[Any, str | bytes], Coroutine[Any, Any, None]]
    ) -> None:
        self.receive: Callable[[Any, str | bytes], Coroutine[Any, Any, None]] = receive

    def of(self, websocket: Any) -> Callable[[str | bytes], Any]:
        """Return what one of them is called with."""
        return partial(self.receive, websocket)

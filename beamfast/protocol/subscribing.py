"""
What a client may say on the WebSocket of a document: JSON messages and replies.

``{"action": "subscribe", "selector": S, "url": U}`` and the same with
``unsubscribe``; ``url`` may be left out. Each is answered by one message, an
acknowledgement or an error, and no error ends the connection.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from beamfast.errors import RequestError
from beamfast.protocol.target import parse_target

Action = Literal["subscribe", "unsubscribe"]

#: Stands for the whole document.
EVERYTHING: Final = "*"


class Refused(Exception):
    """
    A message cannot be followed.

    Args:
        code: for programs.
        text: for people.
        about: what of the message is known, and goes into the reply.
    """

    def __init__(self, code: str, text: str, **about: str | None) -> None:
        super().__init__(text)
        self.code = code
        self.about = about

    def reply(self) -> str:
        """Return the message to the client."""
        return _encode(
            {"type": "error", "error": self.code, "message": str(self), **self.about}
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What a client asks for.

    Attributes:
        action: what to do.
        selector: as sent; ``*`` for the whole document.
        url: of the document; None for the one of the connection.
    """

    action: Action
    selector: str
    url: str | None = None

    def path(self, own: str, host_names: Collection[str]) -> str:
        """
        Return the canonical path of the document.

        Args:
            own: path of the connection.
            host_names: of this host, ``*`` for any.

        Raises:
            Refused: there is no such URL, or not on this host.
        """
        if self.url is None:
            return own
        about = {"action": self.action, "selector": self.selector, "url": self.url}
        try:
            target = parse_target("GET", self.url)
        except RequestError as error:
            raise Refused("invalid-url", str(error), **about) from error
        if target.authority is not None and "*" not in host_names:
            name = target.authority.rpartition(":")[0] or target.authority
            if name.lower() not in host_names:
                raise Refused("invalid-url", "Another host", **about)
        return target.path

    def reply(self, url: str) -> str:
        """Return the acknowledgement; ``url`` names the document that was meant."""
        return _encode(
            {
                "type": f"{self.action}d",
                "action": self.action,
                "url": url,
                "selector": self.selector,
            }
        )


def read_wish(message: str | bytes) -> Wish:
    """
    Read a message of a client.

    Raises:
        Refused: it is no such message.
    """
    if isinstance(message, bytes):
        raise Refused("binary-not-supported", "Messages are JSON, as text")
    try:
        found = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError):
        raise Refused("invalid-json", "The message is not JSON") from None
    if not isinstance(found, dict):
        raise Refused("invalid-json", "The message is not an object")
    action: Any = found.get("action")
    if action not in get_args(Action):
        raise Refused("unknown-action", "The action is subscribe or unsubscribe")
    selector, url = found.get("selector"), found.get("url")
    if not isinstance(selector, str) or not selector.strip():
        raise Refused(
            "missing-selector", "Which elements? Say a selector", action=action
        )
    if not (url is None or isinstance(url, str)):
        raise Refused("invalid-url", "The url is a text", action=action)
    return Wish(action, selector.strip(), url)


def _encode(reply: dict[str, Any]) -> str:
    known = {name: value for name, value in reply.items() if value is not None}
    return msgspec.json.encode(known).decode()

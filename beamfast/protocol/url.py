"""
URLs of clients: where to connect, what to ask for, and as whom.

Standards: RFC 6455, section 3 (``ws`` and ``wss``), RFC 3986. ``http`` and
``https`` mean the same, as in browsers since 2023. Targets of requests that a
server receives are in :mod:`beamfast.protocol.target`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

_WEBSOCKET_PORTS: Final = {"ws": 80, "wss": 443, "http": 80, "https": 443}
_PROXY_PORTS: Final = {"http": 80, "https": 443}
_SECURE: Final = frozenset({"wss", "https"})

# urlsplit() would drop some of these without a word.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f]")
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")

# What may stand in a path and a query as it is, percent signs included.
_PATH: Final = "/%:@!$&'()*+,;=-._~"
_QUERY: Final = _PATH + "?"


@dataclass(frozen=True, slots=True)
class Url:
    """
    A URL taken apart.

    Attributes:
        text: as given.
        is_secure: TLS comes first.
        host: name or address to connect to, without brackets.
        port: given or default.
        resource: path and query to ask for.
        authorization: value for ``Authorization`` or its proxy twin, None
            without user information.
    """

    text: str
    is_secure: bool
    host: str
    port: int
    resource: str
    authorization: str | None

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT wants them."""
        return f"{self._bracketed}:{self.port}"

    @property
    def host_field(self) -> str:
        """Host, and port unless it is the default (RFC 6455, 4.1)."""
        default = 443 if self.is_secure else 80
        return self._bracketed if self.port == default else self.authority

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_websocket_url(text: str) -> Url:
    """
    Take a WebSocket URL apart.

    Raises:
        ValueError: the scheme is another one, or a part is missing or invalid.
    """
    return _parse(text, _WEBSOCKET_PORTS)


def parse_proxy_url(text: str) -> Url:
    """
    Take the URL of an HTTP proxy apart.

    Raises:
        ValueError: as :func:`parse_websocket_url`.
    """
    return _parse(text, _PROXY_PORTS)


def _parse(text: str, ports: dict[str, int]) -> Url:
    if _FORBIDDEN.search(text):
        raise ValueError(f"space or control character in URL {text!r}")
    parts = urlsplit(text)
    if parts.scheme not in ports:
        raise ValueError(f"scheme of URL {text!r} is none of {', '.join(ports)}")
    # RFC 6455, 3: a fragment has no meaning here and must not be used.
    if "#" in text:
        raise ValueError(f"fragment in URL {text!r}")
    port = ports[parts.scheme] if parts.port is None else parts.port
    if not port:
        raise ValueError(f"port of URL {text!r} is 0")
    resource = quote(parts.path, _PATH) or "/"
    if "?" in text:
        resource += "?" + quote(parts.query, _QUERY)
    return Url(
        text=text,
        is_secure=parts.scheme in _SECURE,
        host=_host(parts.hostname or "", text),
        port=port,
        resource=resource,
        authorization=_authorization(parts.username, parts.password),
    )


def _host(name: str, text: str) -> str:
    try:
        host = name.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValueError(f"host of URL {text!r} is missing or invalid")
    return host


def _authorization(username: str | None, password: str | None) -> str | None:
    if username is None:
        return None
    # Percent-encoding belongs to the URL, not to the credentials (RFC 7617).
    pair = unquote_to_bytes(username) + b":" + unquote_to_bytes(password or "")
    return "Basic " + base64.b64encode(pair).decode()

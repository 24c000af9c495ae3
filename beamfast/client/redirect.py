"""Where a server sends a client instead (RFC 9110, 15.4), within limits."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

from beamfast.errors import ConnectError
from beamfast.headers import Headers
from beamfast.protocol.response import ServerResponse
from beamfast.protocol.url import parse_websocket_url

STATUSES: Final = frozenset({301, 302, 303, 307, 308})

# What must not reach another server than the one it was meant for.
_SECRETS: Final = ("authorization", "cookie", "proxy-authorization")


def follow(
    url: str, headers: Headers, response: ServerResponse
) -> tuple[str, Headers] | None:
    """
    Return the next URL and the fields for it; None when this is no redirect.

    Raises:
        ConnectError: it leads from TLS to plain text, or nowhere.
    """
    location = response.headers.get("location")
    if response.status not in STATUSES or location is None:
        return None
    try:
        target = urljoin(url, location).partition("#")[0]
        before, after = parse_websocket_url(url), parse_websocket_url(target)
    except ValueError as error:
        raise ConnectError(f"redirected to nowhere: {error}", response) from None
    if before.is_secure and not after.is_secure:
        raise ConnectError(f"redirected from TLS to {target}", response)
    if (before.host, before.port) == (after.host, after.port):
        if urlsplit(target).username is None and before.authorization is not None:
            headers = headers.copy()
            headers.set("Authorization", before.authorization)
        return target, headers
    headers = headers.copy()
    for name in _SECRETS:
        headers.remove(name)
    return target, headers

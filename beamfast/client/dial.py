"""
From a URL to a transport: TCP, an HTTP proxy on the way, TLS to the server.

Certificates and host names are checked unless the caller brings an own context.
Inside a tunnel the name checked is the server's, never the proxy's.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

from beamfast.connection.dialogue import Dialogue
from beamfast.errors import ConnectError
from beamfast.protocol.driver import State
from beamfast.protocol.events import Failed
from beamfast.protocol.proxy import ProxyDriver
from beamfast.protocol.url import Url, parse_proxy_url


@dataclass
class Route:
    """
    How to get to servers.

    Args:
        ssl: context for servers; one that checks everything if None.
        proxy: URL of an HTTP proxy, ``"env"`` for what the environment names
            (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``; never for this machine
            itself), None for none.
        proxy_headers: further fields for the proxy.
        proxy_ssl: context for an ``https`` proxy; as ``ssl``.

    Raises:
        ValueError: the URL of the proxy is invalid.
    """

    ssl: tls.SSLContext | None = None
    proxy: str | None = None
    proxy_headers: Iterable[tuple[str, str]] = ()
    proxy_ssl: tls.SSLContext | None = None
    _default: tls.SSLContext | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.proxy_headers = tuple(self.proxy_headers)
        if self.proxy not in (None, "env"):
            parse_proxy_url(self.proxy)

    def proxy_for(self, url: Url) -> str | None:
        """Return the URL of the proxy on the way to ``url``."""
        if self.proxy != "env":
            return self.proxy
        # No proxy on another machine reaches this one by these names.
        if url.host == "localhost" or url.host.startswith("127.") or url.host == "::1":
            return None
        if proxy_bypass(f"{url.host}:{url.port}"):
            return None
        proxies = getproxies()
        return proxies.get("https" if url.is_secure else "http")

    def context(self, given: tls.SSLContext | None) -> tls.SSLContext:
        """Return what TLS is spoken with."""
        if given is not None:
            return given
        if self._default is None:
            self._default = tls.create_default_context()
            self._default.set_alpn_protocols(["http/1.1"])
        return self._default


async def dial(url: Url, route: Route) -> Dialogue:
    """
    Connect to where ``url`` points.

    Raises:
        ConnectError: the proxy refused.
        OSError: there is no way, or a certificate is wrong.
    """
    proxy = route.proxy_for(url)
    dialogue = Dialogue()
    first = url if proxy is None else parse_proxy_url(proxy)
    given = route.ssl if proxy is None else route.proxy_ssl
    try:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: dialogue, first.host, first.port)
        if first.is_secure:
            await dialogue.encrypt(route.context(given), first.host)
        if proxy is not None:
            await _tunnel(dialogue, url, proxy, route)
    except BaseException:
        dialogue.abort()
        raise
    return dialogue


async def _tunnel(dialogue: Dialogue, url: Url, proxy: str, route: Route) -> None:
    driver = ProxyDriver(url.text, proxy, headers=route.proxy_headers)
    driver.start()
    await dialogue.run(driver)
    if driver.state is not State.OPEN:
        failed = next(e for e in driver.events_received() if isinstance(e, Failed))
        raise ConnectError(failed.message, driver.response)
    if not url.is_secure:
        dialogue.keep(driver.take_rest())
        return
    await dialogue.encrypt(route.context(route.ssl), url.host)

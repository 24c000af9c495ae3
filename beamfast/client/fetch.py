"""HTTP requests of clients: sent, redirected, answered; the content as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Final

from beamfast.client.dial import Route, dial
from beamfast.client.redirect import follow
from beamfast.connection.dialogue import Dialogue
from beamfast.errors import ConnectError
from beamfast.headers import Headers
from beamfast.protocol.driver import State
from beamfast.protocol.events import Failed
from beamfast.protocol.fetch import FetchDriver
from beamfast.protocol.response import ServerResponse
from beamfast.protocol.url import parse_websocket_url

#: Methods that may be sent again to where a redirect leads.
_REPEATABLE: Final = frozenset({"GET", "HEAD"})


class Exchange:
    """
    A response whose content is still to come.

    Attributes:
        url: that answered, after redirects.
        response: status and fields.
    """

    def __init__(self, url: str, driver: FetchDriver, dialogue: Dialogue) -> None:
        assert driver.response is not None
        self.url: str = url
        self.response: ServerResponse = driver.response
        self._driver = driver
        self._dialogue = dialogue

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """
        Iterate over the content.

        Raises:
            ConnectError: the connection broke before its end.
        """
        while True:
            if content := self._driver.take_content():
                yield content
            elif self._driver.state is State.CLOSED:
                break
            else:
                await self._dialogue.progress()
        if not self._driver.is_complete:
            raise ConnectError(_reason(self._driver))

    async def content(self) -> bytes:
        """Return all of the content; as :meth:`chunks`."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        """Close the connection."""
        self._dialogue.abort()


async def fetch(
    method: str,
    url: str,
    route: Route,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    max_redirects: int = 10,
) -> Exchange:
    """
    Send one request; the caller closes what is returned.

    Args:
        method: in upper case.
        url: ``http`` or ``https``.
        route: how to get there.
        headers: further fields.
        body: content; None for none.
        max_redirects: to follow for ``GET`` and ``HEAD``.

    Raises:
        ConnectError: there was no answer.
        OSError: there is no way.
        ValueError: the URL or a field is invalid.
    """
    fields = Headers(headers)
    for _ in range(max_redirects + 1):
        driver = FetchDriver(method, url, headers=fields, body=body)
        dialogue = await dial(parse_websocket_url(url), route)
        dialogue.reads_on_demand = True
        try:
            driver.start()
            await dialogue.run(driver)
            response = driver.response
            if response is None:
                raise ConnectError(_reason(driver))
            target = follow(url, fields, response) if method in _REPEATABLE else None
        except BaseException:
            dialogue.abort()
            raise
        if target is None:
            return Exchange(url, driver, dialogue)
        dialogue.abort()
        url, fields = target
    raise ConnectError(f"redirected more than {max_redirects} times")


def _reason(driver: FetchDriver) -> str:
    for event in driver.events_received():
        if isinstance(event, Failed):
            return event.message
    return "the connection ended"

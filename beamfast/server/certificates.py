"""
TLS with a certificate for each host, chosen by name (RFC 6066, section 3).

Certificates that change on the disk are loaded again while the server runs: new
handshakes use them, open connections keep theirs. What cannot be loaded changes
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from beamfast.errors import ConfigError
from beamfast.server.config import HostConfig

logger: logging.Logger = logging.getLogger("beamfast.tls")

#: Seconds between two looks at the files.
INTERVAL: Final = 2.0

Identity = tuple[tuple[int, int, int], ...]


class Certificate:
    """
    The certificate of one host.

    Args:
        cert: file of the certificate and those above it, in PEM.
        key: file of the private key; None when it is in the same file.

    Raises:
        ConfigError: they cannot be used.
    """

    def __init__(self, cert: Path, key: Path | None) -> None:
        self._files = [cert] if key is None else [cert, key]
        self._seen = self._look()
        self.context: ssl.SSLContext = self._load()

    def _look(self) -> Identity:
        return tuple(
            (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            for stat in (file.stat() for file in self._files if file.exists())
        )

    def _load(self) -> ssl.SSLContext:
        context = server_context()
        try:
            context.load_cert_chain(self._files[0], self._files[-1])
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(map(str, self._files))
            raise ConfigError(f"certificate {names}: {error}") from error
        return context

    def refresh(self) -> None:
        """Load the files again if they have changed."""
        try:
            seen = self._look()
        except OSError:
            return
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context = self._load()
        except ConfigError as error:
            # Files are seldom replaced both at once; the next look finds the rest.
            logger.warning("%s; the old one stays", error)
        else:
            logger.info("certificate %s was replaced", self._files[0])


class Certificates:
    """
    The certificates of a server.

    Args:
        hosts: those with a certificate count; the first is for clients that name
            none of them.

    Raises:
        ConfigError: a certificate cannot be used.
    """

    def __init__(self, hosts: Sequence[HostConfig]) -> None:
        self.context: ssl.SSLContext = server_context()
        self._by_name: dict[str, Certificate] = {}
        self._all: list[Certificate] = []
        self._timer: asyncio.TimerHandle | None = None
        self.replace(hosts)
        self.context.sni_callback = self._choose

    def replace(self, hosts: Sequence[HostConfig]) -> None:
        """
        Use the certificates of other hosts.

        Raises:
            ConfigError: one cannot be used, and nothing has changed.
        """
        by_name: dict[str, Certificate] = {}
        found = []
        for host in hosts:
            if host.ssl_cert is None:
                continue
            found.append(Certificate(host.ssl_cert, host.ssl_key))
            for name in host.names:
                by_name.setdefault(name.lower(), found[-1])
        self._by_name, self._all = by_name, found

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look after the files."""
        self._timer = loop.call_later(INTERVAL, self._look, loop)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def refresh(self) -> None:
        """Load again what has changed."""
        for one in self._all:
            one.refresh()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.refresh()
        self.follow(loop)

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        found = self._find((name or "").lower())
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found.context
        return None

    def _find(self, name: str) -> Certificate | None:
        if found := self._by_name.get(name):
            return found
        rest = name
        while rest := rest.partition(".")[2]:
            if found := self._by_name.get(f"*.{rest}"):
                return found
        return self._by_name.get("*") or next(iter(self._all), None)


def server_context() -> ssl.SSLContext:
    """Return a context for our side of a handshake, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context

"""
What proxies in front of us say about clients, believed from listed networks only.

``X-Forwarded-For``, ``-Proto`` and ``-Host``, or ``Forwarded`` (RFC 7239) where none
of them is sent. Lists are read from the right: each entry was added by the one who
stands to its right, so the first that nobody trusted added is the client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from beamfast.http import Request

UNIX: Final = "unix"
_FIELDS: Final = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
_ALL: Final = (*_FIELDS, "forwarded")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """
    Networks whose word counts.

    Args:
        names: networks or addresses; ``unix`` for whoever uses a Unix socket.

    Raises:
        ValueError: a name is none of these.
    """

    def __init__(self, names: Iterable[str]) -> None:
        listed = set(names)
        self._unix = UNIX in listed
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(name, strict=False) for name in listed - {UNIX}
        )

    def trusts(self, address: str) -> bool:
        """Tell whether ``address`` is listed; ``-`` is a Unix socket."""
        if address == "-":
            return self._unix
        try:
            found = plain_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._networks)

    def apply(self, request: Request) -> None:
        """Say of a request what its proxies say; drop what others claim."""
        headers = request.headers
        if not self.trusts(request.remote_addr):
            for name in _ALL:
                headers.remove(name)
            return
        if any(name in headers for name in _FIELDS):
            hops = [
                (address, "", "") for address in _items(headers.get_all(_FIELDS[0]))
            ]
            protos = _items(headers.get_all(_FIELDS[1]))
            hosts = _items(headers.get_all(_FIELDS[2]))
        else:
            hops = [_element(one) for one in _items(headers.get_all("forwarded"))]
            protos = [proto for _, proto, _ in hops]
            hosts = [host for *_, host in hops]
        steps = 0
        for address, *_ in reversed(hops):
            client = _without_port(address)
            try:
                client = str(plain_address(client))
            except ValueError:
                # An obfuscated or unknown one hides whoever is behind it.
                break
            request.remote_addr = client
            steps += 1
            if not self.trusts(client):
                break
        proto = _at(protos, steps)
        if proto:
            request.is_secure = proto.lower() in ("https", "wss")
        if host := _at(hosts, steps):
            headers.set("Host", host)


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """
    Return an address; one of IPv4 in the clothes of IPv6 as what it is.

    Raises:
        ValueError: it is none.
    """
    found = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def _items(values: Iterable[str]) -> list[str]:
    return [one.strip() for value in values for one in value.split(",") if one.strip()]


def _at(values: Sequence[str], steps: int) -> str:
    """Return what belongs to the hop so many steps from the right."""
    if not values:
        return ""
    # Most proxies write one value, whatever the number of hops.
    return values[max(0, len(values) - max(1, steps))]


def _element(text: str) -> tuple[str, str, str]:
    """Return ``for``, ``proto`` and ``host`` of an element of ``Forwarded``."""
    pairs = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        pairs[name.strip().lower()] = value.strip().strip('"')
    return pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", "")


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1 : text.find("]")]
    # More than one colon is an IPv6 address.
    return text.partition(":")[0] if text.count(":") == 1 else text

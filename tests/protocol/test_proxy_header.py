"""The PROXY protocol, versions 1 and 2: one header, and not a byte more."""

import ipaddress
import struct

import pytest

from beamfast.errors import ProxyHeaderError
from beamfast.protocol.proxy_header import HEAD, LINE, SIGNATURE, ProxyHeader


def binary(command: int, family: int, body: bytes) -> bytes:
    return HEAD.pack(SIGNATURE, command, family, len(body)) + body


def addresses(source: str, target: str) -> bytes:
    packed = [ipaddress.ip_address(one).packed for one in (source, target)]
    return b"".join(packed) + struct.pack("!HH", 4000, 443)


V4 = binary(0x21, 0x11, addresses("192.0.2.1", "192.0.2.2"))
V6 = binary(0x21, 0x21, addresses("2001:db8::1", "2001:db8::2"))
GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n", "192.0.2.1"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 443\r\n", "2001:db8::1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN what ever follows\r\n", None),
    (V4, "192.0.2.1"),
    (V6, "2001:db8::1"),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, addresses("192.0.2.1", "192.0.2.2")), None),
    (binary(0x21, 0x31, bytes(216)), None),
    (
        binary(0x21, 0x11, addresses("192.0.2.1", "192.0.2.2") + b"\x04\0\x01x"),
        "192.0.2.1",
    ),
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_what_follows_a_header_is_left(header, address):
    reader = ProxyHeader()
    assert reader.take(header + b"GET / HTTP/1.1\r\n") == len(header)
    assert reader.is_complete
    assert reader.address == address


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_may_come_byte_by_byte(header, address):
    reader = ProxyHeader()
    for index in range(len(header)):
        assert not reader.is_complete
        assert reader.take(header[index : index + 1]) == 1
    assert reader.is_complete
    assert reader.address == address


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4000\r\n",
        b"PROXY TCP5 192.0.2.1 192.0.2.2 4000 443\r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.2 4000 443\r\n",
        b"PROXY TCP4 nobody 192.0.2.2 4000 443\r\n",
        b"PROXY " + b"x" * LINE,
        binary(0x11, 0x11, b""),
        binary(0x22, 0x11, b""),
        binary(0x21, 0x11, b"short"),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(ProxyHeaderError):
        ProxyHeader().take(data)

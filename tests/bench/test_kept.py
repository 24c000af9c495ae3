"""A connection that asks again and again."""

import pytest

from beamfast.bench.kept import KeptConnection
from beamfast.protocol.url import parse_websocket_url


@pytest.fixture
def peer(serve):
    """Return a function that serves one connection with a coroutine function."""

    async def start(handle):
        return await KeptConnection.open(parse_websocket_url(await serve(handle)))

    return start


async def test_one_connection_carries_one_request_after_the_other(peer):
    heads = []

    async def handle(reader, writer):
        for body in (b"one", b""):
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head + await reader.readexactly(2 * (b"PUT" in head)))
            writer.write(
                b"HTTP/1.1 206 OK\r\nETag: x\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )

    connection = await peer(handle)
    first = await connection.request("GET", "/a")
    second = await connection.request("PUT", "/b", [("Range", "selector=p")], b"hi")
    connection.close()
    assert (first.status, first.body, second.body) == (206, b"one", b"")
    assert first.headers.get("etag") == "x"
    assert first.seconds > 0
    assert second.sent_at >= first.sent_at + first.seconds
    assert heads[0].startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert heads[1].endswith(b"Range: selector=p\r\nContent-Length: 2\r\n\r\nhi")


async def test_a_server_that_hangs_up_ends_the_request(peer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    connection = await peer(handle)
    with pytest.raises(ConnectionError, match="closed the connection"):
        await connection.request("GET", "/")
    with pytest.raises(ConnectionError, match="closed the connection"):
        await connection.request("GET", "/")


async def test_what_is_no_http_ends_the_request(peer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read()

    connection = await peer(handle)
    with pytest.raises(ConnectionError, match="invalid HTTP response"):
        await connection.request("GET", "/")

"""A connection that asks again and again."""

import asyncio

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


async def test_a_request_is_repeated_until_the_turns_are_over_or_it_fails(peer):
    heads = []

    async def handle(reader, writer):
        while len(heads) < 4:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            status = 200 if len(heads) < 4 else 503
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nhi" % status)
        await reader.read()

    connection = await peer(handle)
    samples = []
    assert await connection.repeat("/a", iter(range(2)), samples.append) == 200
    assert len(samples) == len(heads) == 2
    assert await connection.repeat("/b", iter(range(9)), samples.append) == 503
    assert len(samples) == 3
    assert all(seconds > 0 for seconds in samples)
    assert [head.split()[1] for head in heads] == [b"/a", b"/a", b"/b", b"/b"]
    connection.close()


async def test_an_answer_is_not_whole_because_a_part_is_as_long_as_the_last(peer):
    heads = []

    async def handle(reader, writer):
        short = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        long = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi, again"
        for answer in (short, long, short, long):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer[: len(short)])
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(answer[len(short) :])
        await reader.read()

    connection = await peer(handle)
    samples = []
    assert await connection.repeat("/a", iter(range(4)), samples.append) == 200
    assert len(samples) == len(heads) == 4
    connection.close()


async def test_more_connections_than_requests_are_no_harm(peer):
    async def handle(reader, writer):
        await reader.read()

    connection = await peer(handle)
    assert await connection.repeat("/a", iter(()), list) == 200
    connection.close()


async def test_a_large_body_goes_out_whole(peer):
    body = bytes(range(256)) * 2**15

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(body)) == body
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    connection = await peer(handle)
    assert (await connection.request("PUT", "/", body=body)).status == 204
    connection.close()


async def test_user_and_password_of_the_address_are_sent(serve):
    heads = []

    async def handle(reader, writer):
        for _ in range(2):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    address = (await serve(handle)).replace("//", "//ann:secret@")
    connection = await KeptConnection.open(parse_websocket_url(address))
    await connection.request("GET", "/")
    await connection.repeat("/", iter(range(1)), [].append)
    connection.close()
    assert all(b"\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n" in one for one in heads)


async def test_a_server_that_hangs_up_ends_the_repetition(peer):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    connection = await peer(handle)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="closed the connection"):
            await connection.repeat("/", iter(range(2)), list)


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

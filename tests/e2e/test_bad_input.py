"""Bad input: a clear answer, the worker lives, the document is intact."""

import asyncio
import socket
import struct

import pytest
import websockets.asyncio.client

HANDSHAKE = (
    b"GET /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def talk(port: int, data: bytes) -> bytes:
    """Send ``data`` and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def is_alive(server) -> bool:
    return server.request("GET", "/document.html")[0] == 200


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"\xff" * 64, 1002),
        (b"\x83\x80aaaa", 1002),
        (b"\x81\x05Hello", 1002),
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),
        (b"\x82\xff" + struct.pack(">Q", 2**40) + b"aaaa", 1009),
        (b"\x88\x81\x00\x00\x00\x00a", 1002),
    ],
    ids=["noise", "opcode", "unmasked", "utf-8", "huge", "short-close"],
)
def test_garbage_on_a_socket_is_closed_with_the_right_code(server, garbage, code):
    received = talk(server.port, HANDSHAKE + garbage)
    frames = received.split(b"\r\n\r\n", 1)[1]
    assert frames[0] == 0x88
    assert struct.unpack(">H", frames[2:4])[0] == code
    assert is_alive(server)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", b"505"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"b" * 40000 + b"\r\n\r\n", b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
    ],
    ids=["tls", "no-host", "two-hosts", "http2", "line", "head", "smuggle", "utf-8"],
)
def test_a_malformed_request_gets_a_4xx_and_a_closed_connection(server, data, status):
    answer = talk(server.port, data)
    assert answer.split(b" ")[1] == status
    assert b"connection: close" in answer.lower()
    assert is_alive(server)


def test_an_oversized_fragment_is_413_and_changes_nothing(server):
    before = server.read("document.html")
    big = b"<p>" + b"x" * (2**20 + 1)
    status, headers, _ = server.request("PUT", "/document.html", big, "#content")
    assert status == 413
    assert headers["X-Beamfast-Error"] == "body-too-large"
    assert server.read("document.html") == before


def test_an_oversized_upload_is_413_and_leaves_no_file(server):
    body = b"x" * (8 * 2**20 + 1)
    assert server.request("PUT", "/big.bin", body)[0] == 413
    assert not (server.root / "big.bin").exists()
    assert is_alive(server)


@pytest.mark.parametrize("selector", ["", "p,", "div >", ">>>x<<<", "nothing-here"])
def test_a_bad_selector_is_404_and_changes_nothing(server, selector):
    before = server.read("document.html")
    for method in ("GET", "PUT", "POST", "DELETE"):
        body = None if method == "GET" else b"<p>x</p>"
        status, headers, text = server.request(method, "/document.html", body, selector)
        assert status == 404
        assert text == b"No elements matched the selector"
        assert "X-Beamfast-Error" in headers
    assert server.read("document.html") == before


def test_a_selector_on_another_kind_of_file_is_416(server):
    (server.root / "notes.txt").write_text("x")
    status, headers, text = server.request("PUT", "/notes.txt", b"<p>", "body")
    assert status == 416
    assert headers["Content-Range"] == "selector body"
    assert text.startswith(b"Range Not Satisfiable")
    assert server.read("notes.txt") == b"x"


def test_a_body_that_is_not_utf_8_is_400(server):
    status, _, text = server.request("PUT", "/document.html", b"\xff\xfe", "h1")
    assert (status, text) == (400, b"Invalid request body")


def test_a_file_system_that_is_full_is_507_and_the_old_file_stays(serve):
    room, more = 400_000, 500_000
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))"
    server = serve(prelude=f"import resource; {limit}")
    before = server.read("document.html")
    content = '<div id="content">' + "x" * more + "</div>"
    assert server.edit("PUT", "/document.html", "#content", content) == 507
    assert server.request("PUT", "/new.html", b"y" * more)[0] == 507
    assert server.request("PUT", "/new.bin", b"y" * more)[0] == 507
    assert server.read("document.html") == before
    assert not (server.root / "new.html").exists()
    assert (
        server.edit("PUT", "/document.html", "#content", "<p id=content>ok</p>") == 206
    )
    assert b"<p id=content>ok</p>" in server.read("document.html")


async def test_nothing_is_sent_to_viewers_for_refused_edits(server):
    url = f"ws://127.0.0.1:{server.port}/document.html"
    async with websockets.asyncio.client.connect(url) as viewer:
        for selector, content in [
            ("#missing", "<p>"),
            ("h1", "\udcff"),
            ("body", None),
        ]:
            body = (content or "").encode("utf-8", "surrogateescape")
            method = "DELETE" if content is None else "PUT"
            status = await asyncio.to_thread(
                lambda m=method, b=body, s=selector: server.request(
                    m, "/document.html", b, s
                )[0]
            )
            assert status in (400, 404, 409)
        await asyncio.to_thread(
            server.edit, "PUT", "/document.html", "h1", "<h1>A</h1>"
        )
        assert "<h1>A</h1>" in await viewer.recv()

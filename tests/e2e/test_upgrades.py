"""Upgrades that are not taken: the request goes on as plain HTTP."""

import socket

import pytest


@pytest.mark.system("curl")
def test_a_put_that_offers_http2_is_carried_out_with_its_body(server, curl):
    answer = curl(
        *("--http2", "-i", "-X", "PUT", "-H", "Range: selector=#content"),
        *("-d", '<div id="content">h2c</div>', f"{server.url}/document.html"),
    )
    assert answer.stdout.startswith(b"HTTP/1.1 206 ")
    assert b'<div id="content">h2c</div>' in server.read("document.html")


def read_all(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_a_follower_behind_an_upgrade_that_is_not_taken_is_answered(server):
    body = b'<div id="content">first</div>'
    received = read_all(
        server.port,
        b"PUT /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
        b"Upgrade: h2c\r\nRange: selector=#content\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        + b"GET /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Range: selector=#content\r\nConnection: close\r\n\r\n",
    )
    first, second = received.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"206 ")
    assert second.startswith(b"206 ")
    assert second.endswith(body)


@pytest.mark.parametrize(
    "fields",
    [
        "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n",
        "Sec-WebSocket-Version: 13\r\n",
    ],
    ids=["version", "key"],
)
def test_a_wrong_websocket_handshake_gets_the_page_and_a_follower_too(server, fields):
    received = read_all(
        server.port,
        (
            "GET /document.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\n{fields}\r\n"
            "GET /missing.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        ).encode(),
    )
    first, second = received.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert b"Sec-WebSocket-Version: 13" in first
    assert second.startswith(b"404 ")

"""The clients that the published documents show, against a real server."""

import asyncio
import queue
import subprocess
import threading

import pytest
import websocket  # the websocket-client package
import websockets.asyncio.client
from bs4 import BeautifulSoup

SCHEMA = "https://rustybeam.net/schema/StreamItem"


class PublishedClient:
    """The Python client of the published page, word for word where it counts."""

    def __init__(self, url: str) -> None:
        self.items: queue.Queue[tuple[str, str, str, str]] = queue.Queue()
        self.opened = threading.Event()
        self.app = websocket.WebSocketApp(
            url, on_open=self.on_open, on_message=self.on_message
        )
        self.thread = threading.Thread(target=self.app.run_forever, daemon=True)
        self.thread.start()
        assert self.opened.wait(10)

    def on_open(self, ws) -> None:
        self.socket = ws.sock.sock
        self.opened.set()

    def on_message(self, ws, message: str) -> None:
        soup = BeautifulSoup(message, "html.parser")
        stream_item = soup.find(attrs={"itemtype": SCHEMA})
        if stream_item:
            method = stream_item.find(attrs={"itemprop": "method"}).text
            url = stream_item.find(attrs={"itemprop": "url"}).text
            selector = stream_item.find(attrs={"itemprop": "selector"}).text
            content = stream_item.find(attrs={"itemprop": "content"}).decode_contents()
            self.items.put((method, url, selector, content))

    def join(self) -> None:
        """Wait for the end of a connection that the server has closed."""
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.socket.close()


@pytest.fixture
def published_client(server):
    client = PublishedClient(f"ws://127.0.0.1:{server.port}/document.html")
    yield client
    # Closing from this thread would leave the other one in its select().
    server.stop()
    client.join()


@pytest.mark.system("curl")
def test_a_put_by_curl_reaches_the_published_python_client(
    server, curl, published_client
):
    before = server.read("document.html")
    answer = curl(
        *("-X", "PUT", "-H", "Range: selector=#content"),
        *("-d", '<div id="content">Updated</div>'),
        f"{server.url}/document.html",
    )
    assert answer.stdout == b'<div id="content">Updated</div>'
    assert published_client.items.get(timeout=10) == (
        "PUT",
        "/document.html",
        "#content",
        '<div id="content">Updated</div>',
    )
    after = server.read("document.html")
    assert after == before.replace(
        b'<div id="content">Old</div>', b'<div id="content">Updated</div>'
    )


def test_post_and_delete_reach_the_published_python_client_in_order(
    server, published_client
):
    assert server.edit("POST", "/document.html", "#list", "<li>three</li>") == 206
    assert server.edit("DELETE", "/document.html", "h1") == 204
    url = "/document.html"
    posted = published_client.items.get(timeout=10)
    assert posted == ("POST", url, "#list", "<li>three</li>")
    removed = published_client.items.get(timeout=10)
    assert removed == ("DELETE", url, "h1", "<h1>Notes</h1>")


@pytest.mark.system("curl")
def test_the_published_handshake_gets_the_published_answer(server, curl):
    answer = curl(
        *("-i", "-N", "--max-time", "1"),
        *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket"),
        *("-H", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="),
        *("-H", "Sec-WebSocket-Version: 13"),
        f"{server.url}/document.html",
    )
    head = answer.stdout.decode().split("\r\n\r\n")[0].split("\r\n")
    assert head[0] == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=" in head
    assert "Connection: Upgrade" in head
    assert "Upgrade: websocket" in head


async def test_two_sockets_get_the_same_messages_and_another_page_none(server):
    base = f"ws://127.0.0.1:{server.port}"
    (server.root / "other.html").write_text("<p id=p>x</p>")
    connect = websockets.asyncio.client.connect
    async with (
        connect(f"{base}/document.html") as first,
        connect(f"{base}/document.html?from=here") as second,
        connect(f"{base}/other.html") as other,
    ):
        await asyncio.to_thread(
            server.edit, "PUT", "/document.html", "#content", "<div id=content>A</div>"
        )
        assert await first.recv() == await second.recv()
        await asyncio.to_thread(server.edit, "PUT", "/other.html", "#p", "<p id=p>y")
        assert "/other.html" in await other.recv()


@pytest.mark.system("curl")
def test_curl_follows_a_document_as_an_event_stream(server, program):
    url = f"{server.url}/document.html"
    stream = subprocess.Popen(
        [program("curl"), "-sSN", *("-H", "Accept: text/event-stream"), url],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert stream.stdout.readline() == "retry: 5000\n"
        assert stream.stdout.readline() == "\n"
        version = stream.stdout.readline()
        assert version.startswith("id: 0-")
        assert stream.stdout.readline() == "\n"
        status, headers, _ = server.request(
            "PUT", "/document.html", b'<div id="content">B</div>', "#content"
        )
        assert status == 206
        event = [stream.stdout.readline().rstrip("\n") for _ in range(3)]
        version = headers["ETag"].strip('"')
        assert f"id: {version}" in event
        (data,) = [line for line in event if line.startswith("data: ")]
        assert SCHEMA in data
        assert '<div id="content">B</div>' in data
    finally:
        stream.kill()
        stream.wait(10)
        stream.stdout.close()

"""The programs of the pages for those who move over do what the pages say."""

import asyncio
import contextlib
import dataclasses
import re
import ssl
from pathlib import Path

import pytest

from beamfast import Request, event_source
from beamfast.headers import Headers
from beamfast.protocol import build_frame

PAGES = Path(__file__).parent.parent / "docs/howto"
CERTIFICATE = Path(__file__).parent / "data" / "localhost.pem"


def program(name):
    """Run the examples of a page, one after the other, and return their names."""
    text = (PAGES / f"moving-from-{name}.md").read_text("utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, name, "exec"), names)
    if "server" in names:
        names["server"].config = type(names["server"])(port=0).config
    return names


def socket_url(server, path):
    return server.url.replace("http", "ws", 1) + path


@pytest.fixture
def faye():
    return program("faye-websocket")


async def test_the_echo_servers_of_the_page_echo(faye, capsys):
    async with faye["server"] as server:
        for path in ("/echo", "/listening"):
            await faye["hello"](socket_url(server, path))
    said = capsys.readouterr().out
    assert said.count("open 101") == said.count("message Hello, world!") == 2
    assert said.count("close 1000") == 4


async def test_a_ping_of_the_page_tells_its_latency(faye):
    connect = faye["beamfast"].connect
    async with faye["server"] as server, connect(socket_url(server, "/ping")) as client:
        assert re.fullmatch(r"\d\.\d{3} s", await client.recv())


async def test_the_client_of_the_page_goes_through_a_proxy(faye):
    heads = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head.decode())
        host, _, port = head.split()[1].decode().partition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def pump(source, target):
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
        target.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    async with faye["server"] as server, proxy:
        address = f"http://username:password@127.0.0.1:{port}"
        told = await faye["through_a_proxy"](socket_url(server, "/echo"), address)
    assert told == "Hello, world!"
    assert "Proxy-Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=" in heads[0]
    assert "User-Agent: python" in heads[0]


async def test_subprotocols_and_options_of_the_page_are_understood(faye):
    async with faye["server"] as server:
        agreed = await faye["agree"](socket_url(server, "/protocols"))
        assert agreed == ("irc", "we speak irc")
        size = await faye["client_with_options"](socket_url(server, "/options"))
        assert size == "1988889"


async def test_the_encrypted_server_of_the_page_answers_both_kinds(faye, tmp_path):
    (tmp_path / "index.html").write_text("<!DOCTYPE html><p>Hello")
    server = faye["encrypted"](tmp_path, CERTIFICATE, CERTIFICATE)
    server.config = dataclasses.replace(server.config, port=0)
    server.websocket("/echo")(faye["echo"])
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    connect = faye["beamfast"].connect
    async with server:
        port = server.url.rpartition(":")[2]
        url = f"wss://localhost:{port}/echo"
        async with connect(url, ssl=trust) as client:
            await client.send("Hello, world!")
            assert await client.recv() == "Hello, world!"
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
        writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b"<p>Hello" in await reader.read()
        writer.close()


async def test_the_event_stream_of_the_page_tells_its_news(faye, capsys):
    async with faye["server"] as server:
        url = server.url + "/events"
        async with event_source(url, last_event_id="98") as events:
            stream = aiter(events)
            news, hello = await anext(stream), await anext(stream)
            allowed = events.response.headers["Access-Control-Allow-Origin"]
            assert allowed == "*"
    assert (news.type, news.data, news.last_event_id) == (
        *("notification", "Breaking News!"),
        "99",
    )
    assert (hello.type, hello.data) == ("message", "Hello")
    assert f"open {url} 98" in capsys.readouterr().out


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = [
    ("Host", "example.com"),
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]


@pytest.fixture
def driver():
    return program("websocket-driver")


def test_a_parsed_request_of_the_page_is_answered(driver):
    request = Request(
        "GET", "/chat", url="/chat", path="/chat", headers=Headers(HANDSHAKE)
    )
    written = []
    served = driver["serve_parsed"](request, written.append)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in b"".join(written)
    served.receive_data(build_frame(1, "hi", mask=b"abcd"))
    assert "hi" in served.events_received()


def head(*fields):
    lines = ["GET /chat HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def test_the_tcp_server_of_the_page_echoes_and_refuses(driver, capsys):
    written, closed = [], []
    connection = driver["Connection"](written.append, lambda: closed.append(True))
    connection.receive_data(head(*HANDSHAKE))
    assert written[0].startswith(b"HTTP/1.1 101 ")
    written.clear()
    connection.receive_data(
        build_frame(1, "hi", mask=b"abcd") + build_frame(2, b"\x00", mask=b"abcd")
    )
    assert b"".join(written) == build_frame(1, "hi") + build_frame(2, b"\x00")
    connection.receive_data(build_frame(8, b"\x03\xe8", mask=b"abcd"))
    assert closed == [True]
    assert "closed 1000" in capsys.readouterr().out
    other = driver["Connection"](written.append, lambda: closed.append(True))
    written.clear()
    other.receive_data(head(("Host", "example.com")))
    assert b"".join(written).startswith(b"HTTP/1.1 404 ")


def test_client_and_server_of_the_page_understand_each_other(driver):
    written = []
    connection = driver["Connection"](written.append, lambda: None)
    client, first = driver["start_client"]("ws://example.com/chat")
    assert b"X-Key: 1" in first
    connection.receive_data(first)
    assert driver["hear"](client, b"".join(written)) == [("open", 101, None)]
    client.send_text("hello")
    written.clear()
    connection.receive_data(b"".join(client.data_to_send()))
    assert driver["hear"](client, b"".join(written)) == [("message", "hello")]
    broken, _ = driver["start_client"]("ws://example.com/chat")
    kinds = [one[0] for one in driver["hear"](broken, b"HTTP/1.1 404 x\r\n\r\n")]
    assert kinds == ["error", "close"]


def test_the_proxy_of_the_page_opens_the_tunnel_or_says_why_not(driver, capsys):
    url, address = "wss://example.com/", "http://user:secret@proxy.example.com"
    proxy, first = driver["through_proxy"](url, address)
    assert first.startswith(b"CONNECT example.com:443 HTTP/1.1\r\n")
    assert b"User-Agent: python" in first
    assert driver["tunnel_is_up"](proxy, b"HTTP/1.1 200 OK\r\n\r\n")
    proxy, _ = driver["through_proxy"](url, address)
    assert not driver["tunnel_is_up"](proxy, b"HTTP/1.1 407 No\r\n\r\n")
    assert "407" in capsys.readouterr().out


@pytest.fixture
def naviserver():
    return program("naviserver")


async def test_the_handlers_of_the_page_send_prices(naviserver):
    connect = naviserver["beamfast"].connect
    async with (
        naviserver["server"] as server,
        connect(socket_url(server, "/stock")) as viewer,
        connect(socket_url(server, "/admin")) as admin,
    ):
        assert (await naviserver["ask"](socket_url(server, "/stock"))).endswith("hello")
        while server.hub.subscribers("prices") != 1:
            await asyncio.sleep(0.001)
        await admin.send("12.50")
        assert await admin.recv() == "sent to 1"
        assert await viewer.recv() == "12.50"
        await viewer.send("thanks")
        assert await viewer.recv() == "you said thanks"


def test_the_frames_of_the_page_are_encoded_and_decoded(naviserver):
    messages, frames = naviserver["encode_and_decode"]()
    assert messages == ["Hello"]
    assert frames == [(9, b"?")]


@pytest.mark.parametrize("name", ["faye-websocket", "websocket-driver", "naviserver"])
def test_every_page_has_a_table_of_names(name):
    text = (PAGES / f"moving-from-{name}.md").read_text("utf-8")
    rows = re.findall(r"^\| `", text, re.MULTILINE)
    assert len(rows) >= 12

"""Several listeners at once, encrypted and not, with real clients."""

import asyncio
import socket
import ssl

import pytest
import trustme
import websockets.asyncio.client

CONFIG = """
trusted_proxies = ["127.0.0.0/8"]
drain = 5
tls = false
[[listener]]
listen = "127.0.0.1:0"
tls = true
[[listener]]
listen = "unix:site.sock"
[[listener]]
listen = "127.0.0.1:0"
proxy_protocol = true
[[host]]
names = ["one.example", "localhost", "127.0.0.1"]
root = "site"
ssl_cert = "one.pem"
[[host]]
names = ["two.example"]
root = "second"
ssl_cert = "two.pem"
"""


@pytest.fixture
def authority(site):
    folder = site.parent
    made = trustme.CA()
    for name in ("one", "two"):
        certificate = made.issue_cert(f"{name}.example", "127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return made


@pytest.fixture
def trust(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=["0", "2"], ids=["one process", "two workers"])
def running(request, serve, site, authority, monkeypatch):
    monkeypatch.chdir(site.parent)
    (site.parent / "second").mkdir()
    (site.parent / "second" / "document.html").write_text("<p>second</p>")
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    server = serve("--workers", request.param, root=file)
    others = [server.wait_for_line(r"Ready at (\S+)$")[1] for _ in range(3)]
    server.urls = [server.url, *others]
    return server


async def fetch(connection, name: str) -> bytes:
    reader, writer = await connection
    request = f"GET /document.html HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n"
    writer.write(f"{request}\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


def port_of(url: str) -> int:
    return int(url.rstrip("/").rpartition(":")[2])


async def test_all_listeners_serve_the_same_and_names_choose_certificates(
    running, trust, site
):
    plain, secure, unix, proxied = running.urls
    assert unix == "unix:site.sock"
    for name, content in (("one.example", b"Notes"), ("two.example", b"second")):
        answers = await asyncio.gather(
            fetch(asyncio.open_connection("127.0.0.1", port_of(plain)), name),
            fetch(
                asyncio.open_connection(
                    "127.0.0.1", port_of(secure), ssl=trust, server_hostname=name
                ),
                name,
            ),
            fetch(asyncio.open_unix_connection(site.parent / "site.sock"), name),
        )
        assert all(content in answer for answer in answers)
    with socket.create_connection(("127.0.0.1", port_of(proxied))) as client:
        client.sendall(
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
            b"GET /document.html HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert client.recv(12) == b"HTTP/1.1 200"


async def test_an_edit_over_tls_reaches_viewers_everywhere(running, trust):
    plain, secure, *_ = running.urls
    viewers = [
        websockets.asyncio.client.connect(
            f"ws://localhost:{port_of(plain)}/document.html"
        ),
        websockets.asyncio.client.connect(
            f"wss://127.0.0.1:{port_of(secure)}/document.html", ssl=trust
        ),
    ]
    async with viewers[0] as one, viewers[1] as two:
        running.edit("PUT", "/document.html", "h1", "<h1>New</h1>")
        for viewer in (one, two):
            assert "New" in await asyncio.wait_for(viewer.recv(), 20)


async def test_line_61_a_new_certificate_is_used_and_old_connections_live(
    running, authority, trust, site
):
    secure = port_of(running.urls[1])
    url = f"wss://127.0.0.1:{secure}/document.html"

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", secure)) as plain,
            trust.wrap_socket(plain, server_hostname="one.example") as client,
        ):
            return client.getpeercert()["serialNumber"]

    before = await asyncio.to_thread(serial)
    async with websockets.asyncio.client.connect(url, ssl=trust) as viewer:
        made = site.parent / "new.pem"
        certificate = authority.issue_cert("one.example", "127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(made)
        made.rename(site.parent / "one.pem")
        async with asyncio.timeout(30):
            while await asyncio.to_thread(serial) == before:
                await asyncio.sleep(0.1)
        running.edit("PUT", "/document.html", "h1", "<h1>Later</h1>")
        assert "Later" in await asyncio.wait_for(viewer.recv(), 20)

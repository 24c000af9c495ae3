"""The log view of a real server, seen by a program and by a browser."""

import base64
import re
import socket
import subprocess
import sys

import pytest
import websockets.exceptions
import websockets.sync.client

SCHEMA = "https://rustybeam.net/schema/"
PEOPLE = f"""
<p itemscope itemtype="{SCHEMA}Credential">
<b itemprop="username">anna</b><b itemprop="password">secret</b></p>
<p itemscope itemtype="{SCHEMA}AuthorizationRule">
<b itemprop="username">*</b><b itemprop="path">/*</b>
<b itemprop="method">GET</b><b itemprop="action">allow</b></p>
"""


@pytest.fixture
def log(site):
    log = site.parent / "app.log"
    log.write_text("begin\n")
    return log


@pytest.fixture
def server(serve, configure, log):
    options = {"urls": "/logs", "file_app": str(log), "refresh_ms": "20"}
    plugins = {"LogView": {**options, "public": "true"}, "FileHandler": {}}
    return serve(root=configure(plugins))


def watch(server, **options):
    address = server.url.replace("http", "ws") + "/logs/connect"
    return websockets.sync.client.connect(
        address, proxy=None, ping_interval=None, **options
    )


def append(log, text):
    with log.open("a") as file:
        file.write(text)


def test_174_what_a_viewer_sends_reaches_nobody(server, log):
    with watch(server) as one, watch(server) as two:
        assert one.recv(timeout=20) == two.recv(timeout=20) == "begin"
        one.send("forged line")
        one.send(b"\x00")
        # The answer to a ping says that what came before it has been dealt with.
        assert one.ping().wait(20)
        append(log, "true line\n")
        assert one.recv(timeout=20) == two.recv(timeout=20) == "true line"


def test_logs_are_shown_to_users_as_long_as_they_may_look(serve, configure, site, log):
    people = site.parent / "people.html"
    people.write_text(PEOPLE)
    plugins = {
        "BasicAuth": {"authfile": f"file://{people}"},
        "Authorization": {"authfile": f"file://{people}"},
        "LogView": {"urls": "/logs", "file_app": str(log), "refresh_ms": "20"},
        "FileHandler": {},
    }
    server = serve(root=configure(plugins))
    assert server.request("GET", "/logs")[0] == 401
    known = "Basic " + base64.b64encode(b"anna:secret").decode()
    assert server.request("GET", "/logs", Authorization=known)[0] == 200
    with watch(server, additional_headers={"Authorization": known}) as viewer:
        assert viewer.recv(timeout=20) == "begin"
        people.write_text(PEOPLE.replace(">allow<", ">deny<"))
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            viewer.recv(timeout=30)
        assert closed.value.rcvd.code == 4403


def test_175_a_configuration_that_shows_logs_to_everybody_is_refused(configure, log):
    file = configure({"LogView": {"urls": "/logs", "file_app": str(log)}})
    check = [sys.executable, "-m", "beamfast", "check", file]
    refused = subprocess.run(check, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "anybody could read the logs" in refused.stderr + refused.stdout


def test_162_a_viewer_that_does_not_keep_up_is_told_that_lines_are_missing(server, log):
    with socket.socket() as slow, watch(server) as quick:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        fields = "Host: localhost\r\nAccept: text/event-stream"
        slow.sendall(f"GET /logs/events HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        seen = b""
        while b"data: begin" not in seen:
            seen += slow.recv(4096)
        for number in range(400):
            append(log, f"{number} {'x' * 40_000}\n" * 2)
        append(log, "the end\n")
        while "the end" not in quick.recv(timeout=60):
            pass
        while b"data: the end" not in seen:
            seen += slow.recv(2**20)
    lines = re.findall(r"^data: (.*)\r$", seen.decode(), re.MULTILINE)
    skipped = [re.fullmatch("… ([\\d,]+) lines? skipped …", line) for line in lines]
    counts = [int(found[1].replace(",", "")) for found in skipped if found]
    assert counts
    # What came and what was left out is all there was, and nothing came twice.
    assert len(lines) - len(counts) + sum(counts) == 1 + 400 * 2 + 1
    assert len(seen) < 400 * 2 * 40_000


@pytest.mark.system("chromium")
def test_a_browser_shows_lines_as_text_and_comes_back(server, log, browser):
    tab = browser.open(server.url + "/logs")
    tab.wait_for("document.getElementById('lines').textContent.includes('begin')")
    append(log, "GET /<img src=x onerror=alert(1)> 404\n")
    tab.wait_for("document.getElementById('lines').textContent.includes('<img')")
    assert tab.evaluate("document.querySelectorAll('#lines img').length") == 0
    log.rename(log.with_suffix(".1"))
    append(log, "after\n")
    tab.wait_for("document.getElementById('lines').textContent.includes('after')")

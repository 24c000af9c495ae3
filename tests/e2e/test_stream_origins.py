"""Event streams and the scripts of other sites: who may connect, who may read."""

import socket

import pytest

HANDLERS = {"SelectorHandler": {}, "FileHandler": {}}
LISTED, OTHER = "http://listed.example", "http://other.example"


@pytest.fixture
def shared(serve, configure):
    """Return a server with these options of the cors plugin."""

    def start(**options):
        cors = {"allowed_origins": LISTED, **options}
        stream = {"allowed_origins": LISTED}
        return serve(root=configure({"Cors": cors, "EventSource": stream, **HANDLERS}))

    return start


def head_of_stream(server, **fields):
    """Ask for a stream; return the status and the fields that it begins with."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(
            b"GET /document.html HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\n%b\r\n" % lines.encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(2**16)
    status, *found = received.partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in found)


def test_155_a_listed_site_may_read_a_stream(shared):
    status, fields = head_of_stream(shared(), Origin=LISTED)
    assert (status, fields["content-type"][:17]) == (200, "text/event-stream")
    assert fields["access-control-allow-origin"] == LISTED
    assert "origin" in fields["vary"]
    assert "access-control-allow-credentials" not in fields


def test_155_a_stream_with_credentials_says_so(shared):
    status, fields = head_of_stream(shared(allow_credentials="true"), Origin=LISTED)
    assert (status, fields["access-control-allow-origin"]) == (200, LISTED)
    assert fields["access-control-allow-credentials"] == "true"
    assert "origin" in fields["vary"]


def test_155_other_sites_are_refused_and_programs_are_not(shared):
    server = shared()
    status, fields = head_of_stream(server, Origin=OTHER)
    assert status == 403
    assert "access-control-allow-origin" not in fields
    assert "origin" in fields["vary"]
    status, fields = head_of_stream(server)
    assert status == 200
    assert "access-control-allow-origin" not in fields


FOLLOW = """
window.told = [];
const source = new EventSource(%r, {withCredentials: %s});
source.onopen = () => told.push("open");
source.onerror = () => told.push("error " + source.readyState);
source.onmessage = event => told.push(event.data);
0
"""


@pytest.mark.system("chromium")
@pytest.mark.parametrize("has_credentials", [False, True])
def test_155_browsers_ask_nothing_beforehand(
    serve, configure, browser, tmp_path, has_credentials
):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "document.html").write_text("<!DOCTYPE html><title>x</title>")
    page = serve(root=tmp_path / "other")
    elsewhere = page.url.replace("127.0.0.1", "localhost")
    log = tmp_path / "access.log"
    allowed = {"allowed_origins": page.url}
    server = serve(
        root=configure(
            {
                "AccessLog": {"log_file": str(log)},
                "Cors": {**allowed, "allow_credentials": str(has_credentials).lower()},
                # It connects whoever asks, so that the rest is up to the browser.
                "EventSource": {
                    "allowed_origins": f"{page.url}, {elsewhere}",
                },
                **HANDLERS,
            }
        )
    )
    url = f"{server.url}/document.html"
    tabs = [browser.open(f"{one}/document.html") for one in (page.url, elsewhere)]
    for tab in tabs:
        tab.evaluate(FOLLOW % (url, str(has_credentials).lower()))
        tab.wait_for("told.length > 0")
    assert server.edit("PUT", "/document.html", "h1", "<h1>New</h1>") == 206
    tabs[0].wait_for("told.length === 2")
    assert tabs[0].evaluate("told")[0] == "open"
    assert "New" in tabs[0].evaluate("told[1]")
    # 2 is CLOSED: it does not come back.
    assert tabs[1].evaluate("told") == ["error 2"]
    lines = log.read_text()
    assert "GET /document.html" in lines
    assert "OPTIONS" not in lines

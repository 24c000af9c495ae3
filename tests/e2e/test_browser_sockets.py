"""Sockets and streams of a headless Chromium, over breaks."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system("chromium")

TESTS = Path(__file__).parents[1]
ECHO = TESTS / "conformance" / "echo_server.py"
CERTIFICATE = TESTS / "data" / "localhost.pem"
CONFIG = """
tls = false
[[listener]]
listen = "127.0.0.1:{port}"
tls = true
[[host]]
names = ["127.0.0.1"]
root = "site"
ssl_cert = {certificate}
"""

TALK = """
new Promise(done => {
    const seen = [], socket = new WebSocket(URL);
    socket.binaryType = "arraybuffer";
    const long = [...Array(50000).keys()].join();
    const messages = ["hello", "h\\u00f6re", "", long,
        new Uint8Array([0, 255]).buffer];
    const next = () => messages.length
        ? socket.send(messages[0]) : socket.close(4000, "bye");
    socket.onopen = next;
    socket.onmessage = event => {
        const sent = messages.shift();
        seen.push(typeof sent === "string" ? sent === event.data
            : new Uint8Array(event.data).join() === new Uint8Array(sent).join());
        next();
    };
    socket.onclose = event => done([seen, event.code, event.wasClean]);
})
"""


def trust(tab):
    """Have a tab take the certificate of the tests, which no authority issued."""
    tab.call("Security.setIgnoreCertificateErrors", ignore=True)


@pytest.mark.parametrize("mode", ["--handler", "--connection"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_a_websocket_talks_with_a_handler(browser, server, mode, is_tls):
    command = [sys.executable, str(ECHO), mode]
    command += ["--certificate", str(CERTIFICATE)] if is_tls else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        # Pages from nowhere may not talk to this machine.
        tab = browser.open(f"{server.url}/document.html")
        trust(tab)
        result = tab.evaluate(TALK.replace("URL", json.dumps(url)))
        process.terminate()
    assert result == [[True] * 5, 4000, True]


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def start(request, serve, site, monkeypatch):
    """Return what starts a server, and again where it was, with TLS beside it."""
    monkeypatch.chdir(site.parent)
    file = site.parent / "site.toml"

    def start(port=0, shown=""):
        if not request.param:
            server = serve("--port", str(port))
            return server, server.url
        other = shown.rpartition(":")[2] or 0
        certificate = json.dumps(str(CERTIFICATE))
        file.write_text(CONFIG.format(port=other, certificate=certificate))
        server = serve("--port", str(port), root=file)
        return server, server.wait_for_line(r"Ready at (\S+?)/?$")[1]

    return start


@pytest.mark.parametrize("kind", ["EventSource", "WebSocket"])
def test_nothing_is_missed_when_the_server_is_killed(browser, start, kind):
    server, url = start()
    tab = browser.open("about:blank")
    trust(tab)
    tab.navigate(f"{url}/document.html")
    # A page is served by others while ours is away, so it stays open.
    if kind == "EventSource":
        script = (
            "const source = new EventSource(location.href);"
            "source.onmessage = e => items.push([e.lastEventId, e.data]);"
            "source.onopen = () => { opened += 1; };"
        )
    else:
        script = """
            let version = "";
            const begin = () => {
                const query = version ? "?since=" + version : "";
                const socket = new WebSocket(
                    location.href.replace(/^http/, "ws") + query, "beam.v1");
                socket.onmessage = e => {
                    const box = document.createElement("div");
                    box.innerHTML = e.data;
                    const of = name => box.querySelector(
                        `[itemprop=${name}]`)?.textContent;
                    version = of("version");
                    if (of("method") === "VERSION") opened += 1;
                    else items.push([version, e.data]);
                };
                socket.onclose = () => setTimeout(begin, 50);
            };
            begin();
        """
    tab.evaluate("window.items = []; window.opened = 0; (() => {" + script + "})(); 0")
    tab.wait_for("opened === 1")
    for text in ("1", "2"):
        assert server.edit("PUT", "/document.html", "h1", f"<h1>{text}</h1>") == 206
    tab.wait_for("items.length === 2")
    server.stop(signal.SIGKILL)
    again, _ = start(server.port, url)
    for text in ("3", "4", "5"):
        assert again.edit("PUT", "/document.html", "h1", f"<h1>{text}</h1>") == 206
    tab.wait_for("items.length === 5")
    assert again.edit("PUT", "/document.html", "h1", "<h1>6</h1>") == 206
    tab.wait_for("items.length === 6")
    items = tab.evaluate("items")
    texts = [data.partition("<h1>")[2].partition("</h1>")[0] for _, data in items]
    assert texts == ["1", "2", "3", "4", "5", "6"]
    numbers = [int(version.partition("-")[0]) for version, _ in items]
    assert numbers == sorted(set(numbers))

"""Sockets and streams of a headless Chromium, over breaks."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system("chromium")

ECHO = Path(__file__).parents[1] / "conformance" / "echo_server.py"

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


@pytest.mark.parametrize("mode", ["--handler", "--connection"])
def test_a_websocket_talks_with_a_handler(browser, server, mode):
    command = [sys.executable, str(ECHO), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        # Pages from nowhere may not talk to this machine.
        tab = browser.open(f"{server.url}/document.html")
        result = tab.evaluate(TALK.replace("URL", json.dumps(url)))
        process.terminate()
    assert result == [[True] * 5, 4000, True]


@pytest.mark.parametrize("kind", ["EventSource", "WebSocket"])
def test_nothing_is_missed_when_the_server_is_killed(browser, serve, kind):
    server = serve()
    tab = browser.open(f"{server.url}/document.html")
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
    again = serve("--port", str(server.port))
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

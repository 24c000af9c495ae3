"""Chat in real servers: a browser, and rooms across workers."""

import contextlib

import pytest
import websockets.sync.client

ROOM = {"urls": "/chat", "announce": "false"}


def join(server, name):
    address = f"{server.url.replace('http', 'ws')}/chat/connect?name={name}"
    return websockets.sync.client.connect(address, proxy=None, ping_interval=None)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_everybody_in_a_room_sees_one_order_whatever_the_worker(
    serve, configure, workers
):
    options = {**ROOM, "exclude_sender": "false", "burst": "1000", "history": "1000"}
    server = serve("--workers", workers, root=configure({"Chat": options}))
    members, each = 12, 15
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(join(server, n)) for n in range(members)]
        for number in range(each):
            for socket in sockets:
                socket.send(f"message {number}")
        seen = [
            [socket.recv(timeout=30) for _ in range(members * each)]
            for socket in sockets
        ]
        late = stack.enter_context(join(server, "late"))
        history = [late.recv(timeout=30) for _ in range(members * each)]
    assert len(set(seen[0])) == members * each
    assert all(one == seen[0] for one in [*seen, history])
    for name in range(members):
        own = [line for line in seen[0] if line.startswith(f"{name}: ")]
        assert own == [f"{name}: message {number}" for number in range(each)]


@pytest.mark.system("chromium")
def test_a_browser_writes_and_reads_and_takes_nothing_for_html(
    serve, configure, browser
):
    server = serve(root=configure({"Chat": ROOM}))
    tab = browser.open(server.url + "/chat")
    tab.wait_for("document.getElementById('state').textContent === 'connected'")
    with join(server, "Ben") as ben:
        tab.evaluate("document.getElementById('text').value = '<i>hi</i>'")
        tab.evaluate("document.getElementById('form').requestSubmit()")
        assert ben.recv(timeout=20).endswith(": <i>hi</i>")
        ben.send("<img src=x>")
        lines = "document.getElementById('lines')"
        tab.wait_for(f"{lines}.textContent.includes('Ben: <img src=x>')")
        assert tab.evaluate(f"{lines}.textContent") == "<i>hi</i>Ben: <img src=x>"
        assert tab.evaluate(f"{lines}.querySelectorAll('img, i').length") == 0


@pytest.mark.system("chromium")
def test_a_room_that_is_a_document_is_shown_and_kept(serve, configure, browser, site):
    options = {**ROOM, "format": "stream-item", "document": "/room.html"}
    plugins = {"Chat": options, "SelectorHandler": {}, "FileHandler": {}}
    server = serve(root=configure(plugins))
    tab = browser.open(server.url + "/chat")
    tab.wait_for("document.getElementById('state').textContent === 'connected'")
    with join(server, "Ben") as ben:
        ben.send("hello & goodbye")
        lines = "document.getElementById('lines')"
        tab.wait_for(f"{lines}.textContent === 'Ben: hello & goodbye'")
    server.stop()
    assert (
        b"<b>Ben</b>: <span>hello &amp; goodbye</span>"
        in (site / "room.html").read_bytes()
    )

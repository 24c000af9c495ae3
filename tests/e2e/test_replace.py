"""Every process replaced while requests, edits and sockets go on."""

import asyncio
import contextlib
import signal

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed

CONFIG = """
drain = 4
[[host]]
names = ["localhost", "127.0.0.1"]
root = "site"
plugins = ["websocket", "eventsource", "selector-handler", "file-handler"]
"""


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def running(request, serve, site, monkeypatch):
    monkeypatch.chdir(site.parent)
    file = site.parent / "site.toml"
    file.write_text(CONFIG)
    return serve("--workers", request.param, "--verbose", root=file)


class Load:
    """Requests and edits, one after the other, until told to stop."""

    def __init__(self, running) -> None:
        self.running = running
        self.is_over = False
        self.statuses: list[int] = []
        self.edits = 0

    async def read(self) -> None:
        while not self.is_over:
            request = self.running.request
            status, *_ = await asyncio.to_thread(request, "GET", "/document.html")
            self.statuses.append(status)

    async def edit(self) -> None:
        while not self.is_over:
            item = f"<li>{self.edits}</li>"
            status = await asyncio.to_thread(
                self.running.edit, "POST", "/document.html", "#list", item
            )
            self.statuses.append(status)
            self.edits += 1


async def test_line_62_nothing_is_refused_and_nothing_lost(running):
    load = Load(running)
    url = f"ws{running.url[4:]}/document.html"
    async with websockets.asyncio.client.connect(url) as socket:
        tasks = [
            asyncio.create_task(one()) for one in (load.read, load.read, load.edit)
        ]
        pid = running.process.pid
        running.process.send_signal(signal.SIGUSR2)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(socket.recv(), 60)
    assert closed.value.rcvd.code == 1012
    assert closed.value.rcvd.reason.startswith("retry-after=")
    # It may meet one of the old ones again, until all of them have heard.
    async for socket in websockets.asyncio.client.connect(url):
        with contextlib.suppress(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 60)
            await socket.close()
            break
    load.is_over = True
    await asyncio.gather(*tasks)
    assert set(load.statuses) == {200, 206}
    assert running.is_running
    assert running.process.pid == pid
    _, _, page = await asyncio.to_thread(running.request, "GET", "/document.html")
    assert [page.count(f"<li>{n}</li>".encode()) for n in range(load.edits)] == (
        [1] * load.edits
    )
    # The one that took over reloads and stops like any other.
    running.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(
        running.wait_for_line, "Configuration reloaded successfully"
    )
    assert await asyncio.to_thread(running.stop) == 0


def test_line_62_a_broken_generation_changes_nothing(running, site):
    plugin = site.parent / "own.py"
    file = site.parent / "site.toml"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "from beamfast.pipeline import Plugin\n"
        "@dataclass\nclass Options:\n    pass\n"
        "class Own(Plugin[Options]):\n    name = 'own'\n"
    )
    file.write_text(
        CONFIG.replace('"file-handler"]', '"file-handler", {library="file://own.py"}]')
    )
    running.process.send_signal(signal.SIGHUP)
    running.wait_for_line("Configuration reloaded successfully")
    plugin.unlink()
    running.process.send_signal(signal.SIGUSR2)
    running.wait_for_line("a worker of the new generation ended; nothing has changed")
    assert running.request("GET", "/document.html")[0] == 200


def test_line_62_a_server_without_a_supervisor_refuses(serve):
    server = serve("--workers", "0", "--verbose")
    server.process.send_signal(signal.SIGUSR2)
    server.wait_for_line("SIGUSR2 needs a supervisor")
    assert server.request("GET", "/document.html")[0] == 200

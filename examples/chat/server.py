"""
Three chat rooms: one that forgets, one that is a page, and one written by hand.

Run it with ``python examples/chat/server.py`` and open the address that it prints
in two windows. The first two rooms are the plugin ``chat``; the third shows what a
program needs for one: a topic.
"""

import os
import tempfile
from pathlib import Path

import beamfast

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Rooms</title>
<h1>Rooms</h1>
<p><a href="lobby">The lobby</a> forgets when the server stops.
<p><a href="minutes">The minutes</a> are written down in
<a href="minutes.html">a page of their own</a>.
</html>
"""


def configuration(folder: Path, port: int) -> beamfast.ServerConfig:
    """Return a server with two rooms, and pages behind them."""
    lobby = {"urls": ("/lobby",), "history": 20}
    minutes = {
        "urls": ("/minutes",),
        "format": "stream-item",
        "document": "/{room}.html",
        "history": 0,
    }
    plugins = (
        beamfast.PluginConfig("chat", lobby),
        beamfast.PluginConfig("chat", minutes),
        beamfast.PluginConfig("websocket"),
        beamfast.PluginConfig("selector-handler"),
        beamfast.PluginConfig("file-handler"),
    )
    host = beamfast.HostConfig(folder, plugins=plugins)
    return beamfast.ServerConfig((host,), port=port)


def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("SITE", name))
        (folder / "index.html").write_text(PAGE)
        server = beamfast.Server(configuration(folder, port))

        @server.websocket("/whispers")
        async def whisper(websocket: beamfast.WebSocket) -> None:
            """Pass on what is said, in lower case, to everybody else."""
            hub = server.hub
            hub.subscribe(websocket, "whispers")
            async for message in websocket:
                hub.publish("whispers", str(message).lower(), exclude=websocket)

        server.run(lambda url: print(f"Ready at {url}", flush=True))


if __name__ == "__main__":
    main()

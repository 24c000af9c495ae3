"""A host with the default pipeline, asked without a socket."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from beamfast._outbound import Outbound
from beamfast.http import WRITE_METHODS, Request, Response
from beamfast.protocol.http11 import RequestParser
from beamfast.pubsub.hub import Hub
from beamfast.server.config import HostConfig, PluginConfig
from beamfast.server.host import Host, Hosts

PAGE = b"""<!DOCTYPE html>
<html><head><title>Notes</title></head><body>
<h1 class=top>Notes</h1>
<div id="main"><p class="note">one</p><p class="note">two</p></div>
<table><tr class="r"><td id=c>1</td></tr></table>
<ul><li>a</li><li>b</li></ul>
<select><option>x</option></select>
</body></html>
"""


class OneBody:
    """A request body that is there at once."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def chunks(self):
        if self.body:
            yield self.body


class Site:
    """One host on a folder."""

    def __init__(self, root: Path, *plugins: PluginConfig) -> None:
        self.root = root
        config = HostConfig(root, plugins=plugins) if plugins else HostConfig(root)
        loop = asyncio.get_running_loop()
        self.hub = Hub(loop)
        self.host = Host(config, self.hub, loop)
        self.hosts = Hosts([self.host], is_loopback=True)
        self.host.start()

    def request(self, method: str, target: str, body: bytes, **fields: str) -> Request:
        """Build a request the way a connection does: through the parser."""
        raw = {"Host": "localhost"}
        raw |= {name.replace("_", "-"): value for name, value in fields.items()}
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in raw.items()]
        found: list[Request] = []
        parser = RequestParser(found.append, lambda _: None, lambda: None)
        parser.feed("\r\n".join([*lines, "", ""]).encode("latin-1"))
        found[0].attach(OneBody(body))
        return found[0]

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        selector: str | None = None,
        **fields: str,
    ) -> Response:
        """Send one request through the whole pipeline."""
        if selector is not None:
            fields["Range"] = f"selector={selector}"
        # Requests come in turns of the loop; in one turn a file is looked at once.
        await asyncio.sleep(0)
        answer = self.hosts.handle(self.request(method, target, body, **fields))
        if not isinstance(answer, Response):
            answer = await answer
        if method in WRITE_METHODS:
            # The file follows its answer.
            await self.host.committer.flush()
        return answer

    def read(self, path: str) -> bytes:
        """Return a file."""
        return (self.root / path.lstrip("/")).read_bytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a page and a text."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "page.html").write_bytes(PAGE)
    (root / "notes.txt").write_bytes(b"0123456789")
    return root


@pytest.fixture
async def site(root: Path):
    """The default pipeline on ``root``."""
    site = Site(root)
    yield site
    await site.host.stop()


@pytest.fixture
async def make_site(root: Path):
    """Hosts with pipelines of a test's own."""
    made: list[Site] = []

    def make(*plugins: PluginConfig) -> Site:
        made.append(Site(root, *plugins))
        return made[-1]

    yield make
    for site in made:
        await site.host.stop()


class Recorder(asyncio.WriteTransport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data) -> None:
        self.written.append(bytes(data))

    def writelines(self, parts) -> None:
        self.written += map(bytes, parts)

    def set_write_buffer_limits(self, high=None, low=None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Viewer(Outbound):
    """A subscriber of documents whose wire form is the bare item."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.on_close: Callable[..., None] | None = None
        self.transport_seen = Recorder()
        self.attach(self.transport_seen, site.hub.registry.state)

    @staticmethod
    def frame_item(text: str, version: str, event: str | None) -> bytes:
        return f"{version} {event or 'item'} {text}\n".encode()

    def send_id(self, version: str) -> None:
        self.write(f"{version} id\n".encode())

    async def lines(self) -> list[str]:
        """Return what has arrived, once the loop has had a few turns."""
        for _ in range(5):
            await asyncio.sleep(0)
        return b"".join(self.transport_seen.written).decode().splitlines()


@pytest.fixture
def viewer(site: Site) -> Viewer:
    """A subscriber that nobody has subscribed yet."""
    return Viewer(site)


@pytest.fixture
def make_viewer() -> type[Viewer]:
    """Make a subscriber for any site."""
    return Viewer

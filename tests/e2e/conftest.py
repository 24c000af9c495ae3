"""A real server in its own process, and real clients to drive it."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.sync.client

PAGE = """<!DOCTYPE html>
<html>
<head><title>Notes</title></head>
<body>
<h1>Notes</h1>
<div id="content">Old</div>
<table id="rows"><tr class="first"><td>1</td></tr></table>
<ul id="list">
  <li>one
  <li>two
</ul>
</body>
</html>
"""


class Running:
    """One server process; ``lines`` is what it has printed."""

    def __init__(self, root: Path, *arguments: str, prelude: str = "") -> None:
        self.root = root
        code = f"{prelude}\nfrom beamfast.cli import main; main(prog_name='beamfast')"
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-c",
                code,
                "serve",
                root,
                "--port",
                "0",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self.wait_for_line(r"Ready at (\S+)/$")[1]
        except BaseException:
            # Nobody else knows the process yet.
            self.process.kill()
            raise
        self.port = int(self.url.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._fresh.put(line.rstrip("\n"))
        self._fresh.put(None)

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Return the first line not asked for yet that matches ``pattern``."""
        while (line := self._fresh.get(timeout=60)) is not None:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"no line {pattern!r} in {self.lines}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def read(self, path: str) -> bytes:
        """Return the file behind ``path``, once it has what is served."""
        file = self.root / path.lstrip("/")
        for _ in range(400):
            served = (
                self.request("GET", "/" + path.lstrip("/"))[2]
                if self.is_running
                else None
            )
            if served in (None, file.read_bytes()):
                break
            threading.Event().wait(0.02)
        return file.read_bytes()

    @property
    def is_running(self) -> bool:
        """True until the process has ended."""
        return self.process.poll() is None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        selector: str | None = None,
        **headers: str,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request with the standard library's client."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if selector is not None:
            fields["Range"] = f"selector={selector}"
        request = urllib.request.Request(
            self.url + path, data=body, method=method, headers=fields
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, dict(refusal.headers), refusal.read()

    def edit(self, method: str, path: str, selector: str, content: str = "") -> int:
        """Edit one element and return the status."""
        return self.request(method, path, content.encode(), selector)[0]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with one page."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "document.html").write_text(PAGE)
    return root


@pytest.fixture
def serve(site: Path) -> Iterator[Callable[..., Running]]:
    """Start servers; all are stopped, and nothing they did may be left behind."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, root: Path = site, prelude: str = "") -> Running:
            running = Running(root, *arguments, prelude=prelude)
            stack.callback(running.stop)
            return running

        yield start
    leftovers = [path for path in site.rglob(".*") if path.is_file()]
    assert not leftovers, "temporary files were left behind"


@pytest.fixture
def server(serve: Callable[..., Running]) -> Running:
    """A server for ``site``."""
    return serve()


@pytest.fixture
def configure(site: Path) -> Callable[..., Path]:
    """Write a configuration beside ``site``: kinds of plugins with their options."""
    schema = "https://rustybeam.net/schema/"

    def value(name: str, text: str) -> str:
        return f"<code itemprop='{name}'>{text}</code>"

    def write(plugins: dict[str, dict[str, str]], more: str = "") -> Path:
        items = [
            f"<li itemprop=plugin itemscope itemtype='{schema}{kind}Plugin'>"
            + "".join(value(*option) for option in options.items())
            for kind, options in plugins.items()
        ]
        names = "".join(value("hostname", name) for name in ("localhost", "127.0.0.1"))
        file = site.parent / "config.html"
        file.write_text(
            "<!DOCTYPE html><title>Configuration</title>"
            f"<div itemscope itemtype='{schema}HostConfig'>{names}"
            f"{value('hostRoot', str(site))}<ol>{''.join(items)}</ol></div>{more}"
        )
        return file

    return write


@pytest.fixture
def curl(program: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess]:
    """Run the real curl."""

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [program("curl"), "-sS", "--max-time", "20", *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, "no_proxy": "127.0.0.1,localhost"},
        )

    return run


class Browser:
    """Headless Chromium, driven over its DevTools socket."""

    def __init__(self, program: str, profile: Path) -> None:
        self.process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--no-proxy-server",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if match := re.search(r"DevTools listening on (ws://\S+)", line):
                self.address = match[1]
                break
        else:
            raise AssertionError("the browser did not start")
        # Chromium writes on; a full pipe would stop it.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self._resources = contextlib.ExitStack()
        self._socket = self._resources.enter_context(
            # Its pings would draw from the random module in a thread, which the
            # property tests take for a fault of theirs.
            websockets.sync.client.connect(
                self.address, max_size=None, proxy=None, ping_interval=None
            )
        )
        self._number = 0

    def call(self, method: str, session: str | None = None, **parameters: object):
        """Call one DevTools method and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        answer: dict = {}
        while answer.get("id") != self._number:
            answer = json.loads(self._socket.recv(timeout=30))
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url: str) -> "Tab":
        """Open a page and wait until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        tab = Tab(self, session["sessionId"])
        tab.navigate(url)
        return tab

    def stop(self) -> None:
        """Close the browser and wait for it."""
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        self._resources.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Tab:
    """One page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: object):
        """Call one DevTools method that is about this page."""
        return self._browser.call(method, self._session, **parameters)

    def navigate(self, url: str) -> None:
        """Go to ``url`` and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait_for(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        )

    def evaluate(self, expression: str):
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        for _ in range(400):
            with contextlib.suppress(AssertionError):
                if self.evaluate(condition):
                    return
            threading.Event().wait(0.05)
        raise AssertionError(f"never true in the browser: {condition}")


@pytest.fixture(scope="session")
def browser(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    browser = Browser(program("chromium"), tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.stop()

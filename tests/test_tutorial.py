"""The programs of the tutorial do what the page says they do."""

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/tutorial/bring-your-own-io.md").read_text("utf-8")

#: Each program by the file name under which the reader saves it.
PROGRAMS = dict(re.findall(r"as `(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def running(folder, name, port, program=None, **options):
    """Run a program as a process, with another port than the page has."""
    path = folder / name
    path.write_text((program or PROGRAMS[name]).replace("8765", str(port)), "utf-8")
    command = [sys.executable, str(path)]
    options |= {"stdout": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


LIVE_PAGE = (ROOT / "docs/tutorial/first-live-page.md").read_text("utf-8")


def test_the_live_page_is_served_and_watched_from_python(tmp_path):
    (tmp_path / "site").mkdir()
    (page,) = re.findall(r"```html\n(.*?)```", LIVE_PAGE, re.DOTALL)
    (tmp_path / "site/index.html").write_text(page)
    serve, watch = re.findall(r"```python\n(.*?)```", LIVE_PAGE, re.DOTALL)
    serve = serve.replace("3000", "0")
    with running(tmp_path, "shop.py", 0, serve, cwd=tmp_path) as serving:
        url = serving.stdout.readline().removeprefix("Ready at ").strip()
        watch = watch.replace("http://127.0.0.1:3000/", url)
        seen = queue.Queue()
        with running(tmp_path, "watch.py", 0, watch) as watching:
            reader = threading.Thread(
                target=lambda: [*map(seen.put, watching.stdout)], daemon=True
            )
            reader.start()
            line = ""
            while "<li>Milk</li>" not in line:
                # Again until the watcher is connected.
                field = {"Range": "selector=#list"}
                item = urllib.request.Request(
                    url, b"<li>Milk</li>", field | {"Content-Type": "text/html"}
                )
                urllib.request.urlopen(item, timeout=20).close()
                with contextlib.suppress(queue.Empty):
                    line = seen.get(timeout=0.5)
            watching.kill()
            reader.join(10)
        serving.terminate()
        assert serving.wait(30) == 0


def promised(program):
    """Return what the page shows under the command that starts ``program``."""
    (lines,) = re.findall(
        rf"^\$ \S+ {program}\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE
    )
    return lines


def test_the_page_has_three_programs():
    assert [*PROGRAMS] == ["blocking_server.py", "asyncio_server.py", "client.py"]


@pytest.mark.parametrize("server", ["blocking_server.py", "asyncio_server.py"])
def test_the_client_says_what_the_page_shows_with_each_server(tmp_path, server):
    with running(tmp_path, server, 0) as serving:
        first = serving.stdout.readline()
        port = first.removeprefix("port ").strip()
        with running(tmp_path, "client.py", port) as client:
            assert client.communicate(timeout=30)[0] == promised("client.py")
        if server == "blocking_server.py":
            said = first.replace(port, "8765") + serving.stdout.readline()
            assert said == promised(server)

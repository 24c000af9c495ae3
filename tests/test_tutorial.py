"""The programs of the tutorial do what the page says they do."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/tutorial/bring-your-own-io.md").read_text("utf-8")

#: Each program by the file name under which the reader saves it.
PROGRAMS = dict(re.findall(r"as `(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def running(folder, name, port):
    """Run a program as a process, with another port than the page has."""
    path = folder / name
    path.write_text(PROGRAMS[name].replace("8765", str(port)), "utf-8")
    command = [sys.executable, str(path)]
    options = {"stdout": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


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

"""A folder with a page that was edited, and the command line."""

import asyncio
import contextlib
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from beamfast import cli
from beamfast.commit.committer import Committer
from beamfast.documents.change import Appending, Removal
from beamfast.documents.store import DocumentStore
from beamfast.journal.file import FileJournal
from beamfast.pubsub.hub import Hub

PAGE = b"<p>0</p>"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command; its run directory is not that of this machine."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return lambda *arguments, stdin=None: CliRunner().invoke(
        cli.main, list(map(str, arguments)), input=stdin
    )


@pytest.fixture
def page(tmp_path):
    """A page without history."""
    root = tmp_path / "site"
    root.mkdir()
    (root / "page.html").write_bytes(PAGE)
    return root / "page.html"


@pytest.fixture
def edit(page):
    """Append to the page, or remove it; returns the versions."""

    async def edit(*contents):
        loop = asyncio.get_running_loop()
        store = DocumentStore(page.parent)
        journal = FileJournal(page.parent, durability="relaxed")
        committer = Committer(store, journal, Hub(loop), loop, durable=False)
        versions = []
        for content in contents:
            change = Removal() if content is None else Appending(content)
            outcome = await committer.commit(
                store.resolve("/page.html"), change, url="/page.html", user="ann"
            )
            versions.append(str(outcome.version))
        await committer.close()
        return versions

    return lambda *contents: asyncio.run(edit(*contents))


@pytest.fixture
def serve_site(tmp_path):
    """
    Return a function that serves a page and gives its address.

    ``serve_site.again`` kills the server and starts it anew at that address.
    """
    with contextlib.ExitStack() as stack:
        root = tmp_path / "served"

        def start(port):
            environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / "run")}
            command = [sys.executable, "-u", "-m", "beamfast", "serve", str(root)]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, "--port", port, "--workers", "0"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=environment,
                )
            )
            stack.callback(process.terminate)
            for line in process.stdout:
                if line.startswith("Ready at "):
                    return process, line.split()[-1]
            raise AssertionError("the server did not start")

        def serve(text):
            root.mkdir()
            (root / "index.html").write_text(text, "utf-8")
            serve.process, url = start("0")
            return url

        def serve_again(url):
            serve.process.kill()
            serve.process.wait(30)
            serve.process, again = start(url.rstrip("/").rpartition(":")[2])
            assert again == url

        serve.again = serve_again
        yield serve

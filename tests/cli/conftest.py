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
    """Return a function that serves a page and gives its address."""
    with contextlib.ExitStack() as stack:

        def serve(text):
            root = tmp_path / "served"
            root.mkdir()
            (root / "index.html").write_text(text, "utf-8")
            environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / "run")}
            command = [sys.executable, "-u", "-m", "beamfast", "serve", str(root)]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, "--port", "0", "--workers", "0"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=environment,
                )
            )
            stack.callback(process.terminate)
            for line in process.stdout:
                if line.startswith("Ready at "):
                    return line.split()[-1]
            raise AssertionError("the server did not start")

        yield serve

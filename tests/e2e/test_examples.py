"""Every example starts, and does what it says."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from beamfast import connect, event_source

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@contextlib.contextmanager
def running(name, *arguments, **environment):
    """Run one example on a free port, and return its address."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / name, *arguments],
        env=os.environ | {"PORT": "0", **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while line := process.stdout.readline():
            if line.startswith("Ready at "):
                break
        yield line.removeprefix("Ready at ").strip().rstrip("/")
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()


def get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def edit(url, method, selector, content=""):
    field = {"Range": f"selector={selector}"}
    request = urllib.request.Request(
        url, data=content.encode() or None, method=method, headers=field
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status


def socket(url, path):
    return connect(url.replace("http", "ws", 1) + path)


def test_examples_are_short():
    for path in EXAMPLES.rglob("*.*"):
        if path.suffix in (".py", ".html", ".js"):
            assert len(path.read_text("utf-8").splitlines()) < 150, path


async def test_echo():
    with running("echo.py") as url:
        async with socket(url, "/echo") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            await client.send("ping")
            assert (await client.recv()).endswith(" ms")


async def test_chat(tmp_path):
    with running("chat/server.py", SITE=str(tmp_path)) as url:
        assert "Rooms" in await asyncio.to_thread(get, url)
        async with (
            socket(url, "/lobby?name=Anna") as anna,
            socket(url, "/lobby?name=Ben") as ben,
        ):
            assert await anna.recv() == "* Ben joins"
            await ben.send("hello")
            assert await anna.recv() == "Ben: hello"
        async with socket(url, "/minutes?name=Anna") as anna:
            await anna.send("we begin")
            while "we begin" not in await anna.recv():
                pass
        async with socket(url, "/whispers") as one, socket(url, "/whispers") as two:
            heard = asyncio.ensure_future(two.recv())
            while not heard.done():
                # Until the other one is subscribed.
                await one.send("HELLO")
                await asyncio.wait({heard}, timeout=0.05)
            assert heard.result() == "hello"
    assert "we begin" in (tmp_path / "minutes.html").read_text()


async def test_log_view(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("first\n")
    with running("log_view/server.py", str(log)) as url:
        assert "Logs" in await asyncio.to_thread(get, url)
        async with event_source(url + "/events") as events:
            lines = aiter(events)
            assert (await anext(lines)).data == "first"
            with log.open("a") as file:
                file.write("second\n")
            assert (await anext(lines)).data == "second"


async def test_live_todo(tmp_path):
    shutil.copy(EXAMPLES / "live_todo/index.html", tmp_path)
    with running("live_todo/server.py", SITE=str(tmp_path)) as url:
        item = '<li id="t1">Milk <button class="done">done</button></li>'
        async with event_source(url + "/") as events:
            reading = asyncio.ensure_future(anext(aiter(events)))
            while not events.last_event_id:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(edit, url + "/", "POST", "#list", item)
            assert item in (await reading).data
    assert item in (tmp_path / "index.html").read_text()


@pytest.mark.system("chromium")
def test_a_browser_adds_and_removes_what_is_to_do(tmp_path, browser):
    shutil.copy(EXAMPLES / "live_todo/index.html", tmp_path)
    with running("live_todo/server.py", SITE=str(tmp_path)) as url:
        one, two = browser.open(url + "/"), browser.open(url + "/")
        one.evaluate("document.querySelector('input').value = '<b>Milk</b>'")
        one.evaluate("document.getElementById('add').requestSubmit()")
        two.wait_for("document.querySelector('#list li') !== null")
        assert two.evaluate("document.querySelectorAll('#list b').length") == 0
        two.evaluate("document.querySelector('#list .done').click()")
        one.wait_for("document.querySelector('#list li') === null")

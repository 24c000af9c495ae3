"""A session with a WebSocket server, piped and on a terminal."""

import asyncio
import os
import pty
import re
import subprocess
import sys
import threading

import pytest
import websockets.asyncio.server


@pytest.fixture
def echo_url():
    """An echo server of somebody else, in a thread."""
    ready, box = threading.Event(), {}

    async def echo(connection):
        box["path"] = connection.request.path
        box["headers"] = connection.request.headers
        async for message in connection:
            await connection.send(message)

    def choose(connection, offered):
        return offered[0] if offered else None

    async def run():
        box["stop"], box["loop"] = asyncio.Event(), asyncio.get_running_loop()
        async with websockets.asyncio.server.serve(
            echo, "127.0.0.1", 0, select_subprotocol=choose
        ) as server:
            box["port"] = server.sockets[0].getsockname()[1]
            ready.set()
            await box["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    yield f"ws://127.0.0.1:{box['port']}/", box
    box["loop"].call_soon_threadsafe(box["stop"].set)
    thread.join(20)


def ws(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "beamfast", "ws", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_lines_go_out_and_answers_are_printed(echo_url):
    url, _ = echo_url
    done = ws("-n", "4", url, stdin="hello\n//slash\n/binary 00 ff\n\u00fc\n")
    assert done.stdout.splitlines() == [
        "hello",
        "/slash",
        "binary, 2 bytes: 00 ff",
        "\u00fc",
    ]
    assert done.returncode == 0
    assert "connected to" in done.stderr
    assert "closed with 1000" in done.stderr


def test_after_the_last_line_answers_are_waited_for(echo_url):
    url, _ = echo_url
    done = ws("--wait", "2", url, stdin="one\ntwo\n")
    assert done.stdout.splitlines() == ["one", "two"]


def test_commands(echo_url, tmp_path):
    url, _ = echo_url
    file = tmp_path / "file"
    file.write_bytes(b"\x01\x02")
    lines = [
        "/ping",
        f"/file {file}",
        f"/file {tmp_path / 'none'}",
        "/binary xyz",
        "/nonsense",
        "/help",
        "/close 4000 enough",
    ]
    done = ws(url, stdin="\n".join(lines) + "\n")
    assert re.search(r"pong after [0-9.]+ ms", done.stderr)
    assert done.stderr.count("not sent: ") == 2
    assert "no command /nonsense" in done.stderr
    assert "/file PATH" in done.stderr
    assert done.returncode == 1
    assert "connection closed with 4000" in done.stderr


def test_subprotocols_and_fields_are_sent(echo_url):
    url, seen = echo_url
    options = ["--subprotocol", "talk", "-H", "X-Test: 1", "--origin", "http://o"]
    done = ws(*options, "-n", "1", "-t", url + "p", stdin="x\n")
    assert "(talk)" in done.stderr
    assert re.fullmatch(r" +[0-9.]+ ms  x\n", done.stdout)
    assert (seen["path"], seen["headers"]["x-test"]) == ("/p", "1")
    assert seen["headers"]["origin"] == "http://o"


@pytest.mark.parametrize(("url", "code"), [("ws://127.0.0.1:1/", 1), ("nonsense", 2)])
def test_what_cannot_be_reached_is_said(url, code):
    done = ws(url)
    assert done.returncode == code
    assert done.stderr.startswith("beamfast: ")


@pytest.fixture
def session(echo_url, tmp_path):
    """Return what types on a terminal, waits for an answer, and returns all output."""
    url, _ = echo_url
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}

    def session(typed, wanted, *options):
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "beamfast", "ws", *options, url],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
        )
        os.close(terminal)
        shown = b""
        while b"connected" not in shown:
            shown += os.read(controller, 4096)
        os.write(controller, typed)
        while wanted not in shown:
            shown += os.read(controller, 4096)
        os.write(controller, b"/close\n")
        try:
            while data := os.read(controller, 4096):
                shown += data
        except OSError:
            pass  # the other end of a terminal is gone
        os.close(controller)
        with process:
            assert process.wait(30) == 0
        return shown.decode()

    return session


def test_lines_of_earlier_sessions_come_back_on_a_terminal(session):
    session(b"remember me\n", b"< remember me")
    # Up, twice: the first one brings back the /close.
    session(b"\x10\x10\n", b"< remember me")


def test_bytes_and_timings_on_a_terminal(session):
    shown = session(b"/binary 00 ff\n/ping\nlast\n", b"ms  last", "--timings")
    assert re.search(r"< +\d+\.\d ms  binary, 2 bytes: 00 ff", shown)
    assert re.search(r"pong after \d+\.\d ms", shown)


def test_mistakes_do_not_end_the_session(session):
    shown = session(b"/binary zz\n/nonsense\nstill here\n", b"< still here")
    assert "not sent: " in shown
    assert "no command /nonsense" in shown

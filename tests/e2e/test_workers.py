"""
Several workers on one port: one document, whoever answers, whoever dies.

Every request opens a connection of its own, so that the system spreads them over
the workers. The figures are printed.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets.asyncio.client
from websockets.exceptions import ConnectionClosed

PAGE = "/document.html"
ITEM = re.compile(r"<li>(\d+-\d+)</li>")
CLIENTS = 16
EDITS = 12
VIEWERS = 16


def workers_of(server, count):
    """Return the process ids of the next ``count`` workers to be ready."""
    found = {}
    while len(found) < count:
        line = server.wait_for_line(r"^worker (\d+) is process (\d+)$")
        found[int(line[1])] = int(line[2])
    return found


@pytest.fixture
def start(serve, monkeypatch, tmp_path_factory):
    def begin(count):
        server = serve("--verbose", "--workers", str(count))
        # The lines of the workers came before the one with the address.
        found = dict(
            map(int, match.groups())
            for line in server.lines
            if (match := re.match(r"worker (\d+) is process (\d+)$", line))
        )
        assert sorted(found) == list(range(count))
        return server, found

    return begin


def read(server):
    """Return the revision and the items that a GET on any worker shows."""
    status, headers, body = server.request("GET", PAGE)
    assert status == 200
    return revision(headers), ITEM.findall(body.decode())


def revision(headers):
    return int(headers["ETag"].strip('"').partition("-")[0])


async def test_the_viewers_of_all_workers_are_one_audience(serve, configure):
    config = configure({"WebSocket": {}, "Presence": {}, "FileHandler": {}})
    server = serve("--workers", "3", root=config)

    def count():
        _, _, body = server.request("GET", PAGE, Range="presence")
        found = json.loads(body)
        assert len({member["id"] for member in found["members"]}) == found["count"]
        return found["count"]

    async def until(expected):
        # Whoever answers, several times in a row.
        async with asyncio.timeout(20):
            while {await asyncio.to_thread(count) for _ in range(8)} != {expected}:
                pass

    address = f"ws://localhost:{server.port}{PAGE}"
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(12):
            client = websockets.asyncio.client.connect(address, proxy=None)
            await stack.enter_async_context(client)
        await until(12)
        async with websockets.asyncio.client.connect(address, proxy=None):
            await until(13)
        # One that leaves empties nobody's roster.
        await until(12)
    await until(0)


def edit_and_read(server, number):
    """Add items; what was seen once must never be unseen, whoever answers."""
    seen, own = 0, []
    for count in range(EDITS):
        name = f"{number}-{count}"
        body = f"<li>{name}</li>".encode()
        status, headers, _ = server.request("POST", PAGE, body, "#list")
        assert status == 206
        own.append(name)
        seen = max(seen, revision(headers))
        for _ in range(2):
            shown, items = read(server)
            assert shown >= seen
            assert set(own) <= set(items)
            seen = shown
    return own


async def watch(server, joined, count):
    """Follow the page until ``count`` items have come, and return them."""
    url = f"ws://127.0.0.1:{server.port}{PAGE}"
    items = []
    async with websockets.asyncio.client.connect(url, proxy=None) as socket:
        joined.release()
        while len(items) < count:
            items += ITEM.findall(await socket.recv())
    return items


async def test_four_workers_show_one_document(start):
    server, _ = start(4)
    joined = asyncio.Semaphore(0)
    total = CLIENTS * EDITS
    viewers = [
        asyncio.create_task(watch(server, joined, total)) for _ in range(VIEWERS)
    ]
    for _ in viewers:
        await joined.acquire()
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = await asyncio.gather(
            *(
                loop.run_in_executor(pool, edit_and_read, server, number)
                for number in range(CLIENTS)
            )
        )
    seconds = time.monotonic() - began
    orders = await asyncio.wait_for(asyncio.gather(*viewers), 60)
    last, items = await asyncio.to_thread(read, server)
    print(  # noqa: T201 - the figures are the result
        f"4 workers: {total} edits and {2 * total} reads by {CLIENTS} clients in "
        f"{seconds:.2f} s, {VIEWERS} viewers"
    )
    assert last == total
    assert sorted(items) == sorted(name for own in done for name in own)
    assert orders == [items] * VIEWERS


async def connect(server):
    url = f"ws://127.0.0.1:{server.port}{PAGE}"
    return await websockets.asyncio.client.connect(url, proxy=None)


async def test_a_killed_worker_is_replaced_and_the_others_go_on(start):
    server, workers = start(2)
    sockets = [await connect(server) for _ in range(12)]
    began = time.monotonic()
    os.kill(workers[1], signal.SIGKILL)
    await asyncio.to_thread(workers_of, server, 1)
    seconds = time.monotonic() - began
    added = await asyncio.to_thread(server.edit, "POST", PAGE, "#list", "<li>9-9</li>")
    assert added == 206
    lost = 0
    for socket in sockets:
        try:
            assert ITEM.findall(await asyncio.wait_for(socket.recv(), 20)) == ["9-9"]
            await socket.close()
        except ConnectionClosed as closed:
            assert closed.rcvd is None
            lost += 1
    print(  # noqa: T201 - the figures are the result
        f"a killed worker was ready again after {seconds:.2f} s; "
        f"{lost} of {len(sockets)} sockets were on it"
    )
    assert any(line.startswith("worker 1 ended with -9") for line in server.lines)
    assert not any(line.startswith("worker 0 ended") for line in server.lines)
    assert 0 < lost < len(sockets)


def test_when_the_worker_that_writes_the_files_is_killed_another_takes_over(start):
    server, workers = start(3)
    names = []
    for round_ in range(6):
        for count in range(5):
            name = f"{round_}-{count}"
            # A request in flight may be lost with its worker; it is not repeated
            # blindly, but under the same key.
            while True:
                with contextlib.suppress(OSError):
                    status, _, _ = server.request(
                        *("POST", PAGE, f"<li>{name}</li>".encode(), "#list"),
                        **{"Idempotency-Key": name},
                    )
                    assert status == 206
                    break
            names.append(name)
        slot = round_ % 3
        os.kill(workers[slot], signal.SIGKILL)
        workers |= workers_of(server, 1)
    assert read(server)[1] == names
    deadline = time.monotonic() + 20
    while ITEM.findall(server.read(PAGE).decode()) != names:
        assert time.monotonic() < deadline, "the file was never written"
        time.sleep(0.02)
    assert server.read(PAGE) == server.request("GET", PAGE)[2]


def test_all_workers_end_with_the_supervisor_and_leave_nothing(
    start, monkeypatch, tmp_path
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    server, workers = start(3)
    assert server.edit("PUT", PAGE, "h1", "<h1>Last</h1>") == 206
    assert list((tmp_path / "run").iterdir()) != []
    assert server.stop() == 0
    for pid in workers.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert list((tmp_path / "run").iterdir()) == []
    assert b"<h1>Last</h1>" in server.read(PAGE)


def test_workers_that_lose_their_supervisor_end(start):
    server, workers = start(2)
    server.stop(signal.SIGKILL)
    for pid in workers.values():
        with contextlib.suppress(ProcessLookupError):
            for _ in range(1000):
                os.kill(pid, 0)
                time.sleep(0.02)
            raise AssertionError(f"worker {pid} lives on")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_second_server_of_the_same_folder_is_refused(serve, workers):
    first = serve()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "beamfast", first.root),
            *("--port", "0", "--workers", workers),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert f"is served already, by process {first.process.pid}" in done.stderr
    assert "Traceback" not in done.stderr

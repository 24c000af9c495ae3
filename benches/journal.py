"""
Edits per second, alone and together, and what a resume costs.

    python -m benches.journal [--seconds N]

Everything is a ratio within one run: writers against one writer, `relaxed` against
`full`, a resume against a connection that resumes nothing. The disk decides what a
durable edit costs, so the first lines say which one it is and what a sync takes.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvloop

from beamfast.commit.committer import Committer
from beamfast.commit.lock import FileLock
from beamfast.documents.allocator import tune_allocator
from beamfast.documents.change import ElementEdit
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.documents.store import DocumentStore
from beamfast.entry import Version
from beamfast.journal.database import Durability
from beamfast.journal.file import FileJournal
from beamfast.journal.journal import Reset
from beamfast.pubsub.hub import Hub
from benches.report import machine

WRITERS = 16
DOCUMENTS = 1000
SUBSCRIBERS = 1000
BEHIND = 100
ITEM = "<li class='msg'><b>ann</b> <span class='text'>Hello, {} &amp; all</span></li>\n"
EVENT = b"x" * 300


def page(size: int = 10_000) -> bytes:
    """Return a page of about ``size`` bytes with an element to replace."""
    items = "".join(ITEM.format(number) for number in range(size // len(ITEM)))
    return (
        "<!DOCTYPE html>\n<title>Log</title>\n"
        f"<ul id='list'>\n{items}</ul>\n<p id='last'>end</p>\n"
    ).encode()


def edit(number: int) -> ElementEdit:
    content = f"<p id='last'>end {number}</p>".encode()
    return ElementEdit(Operation(Kind.REPLACE, Selector("#last"), content), "PUT")


async def rate(
    work: Callable[[int], Awaitable[object]], writers: int, seconds: float
) -> float:
    """Return how often a second ``work`` is done by so many at a time."""
    done = 0
    loop = asyncio.get_running_loop()

    async def write(number: int) -> None:
        nonlocal done
        while loop.time() < end:
            await work(number)
            done += 1

    await work(0)
    started = loop.time()
    end = started + seconds
    await asyncio.gather(*(write(number) for number in range(writers)))
    return done / (loop.time() - started)


def say(name: str, figure: str, target: str = "") -> None:
    print(f"{name:<58} {figure:>16} {target}", flush=True)


def per_second(value: float) -> str:
    return f"{value:,.0f} /s"


def ratio(value: float) -> str:
    return f"{value:.2f}"


async def bench_sync(root: Path) -> None:
    """What the disk takes for one write that is to last."""
    times = []
    with (root / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(EVENT)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    say("fdatasync of 300 B, median", f"{statistics.median(times) * 1e6:.0f} us")


async def bench_journal(root: Path, seconds: float) -> None:
    """The journal alone: one transaction after the other, and shared ones."""
    found = {}
    levels: tuple[Durability, ...] = ("full", "relaxed")
    for durability in levels:
        folder = root / f"journal-{durability}"
        folder.mkdir()
        journal = FileJournal(folder, durability=durability)
        versions: dict[int, Version] = {}

        async def commit(
            number: int,
            journal: FileJournal = journal,
            versions: dict[int, Version] = versions,
        ) -> None:
            base = versions.get(number, Version.of_file(b""))
            answer = await journal.commit(f"/{number}.html", base, [EVENT], b"body")
            assert isinstance(answer, Version)
            versions[number] = answer

        for writers in (1, WRITERS):
            found[durability, writers] = await rate(commit, writers, seconds)
        await journal.close()
        say(f"journal, {durability}, one writer", per_second(found[durability, 1]))
        say(
            f"journal, {durability}, {WRITERS} writers, to one writer",
            ratio(found[durability, WRITERS] / found[durability, 1]),
            "at least 5" if durability == "full" else "",
        )
    say(
        "journal, one writer, relaxed to full",
        ratio(found["relaxed", 1] / found["full", 1]),
    )


class Clients:
    """Connections that stay open, for writers over HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def put(self, number: int, path: str) -> None:
        if number not in self.open:
            self.open[number] = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.open[number]
        body = b"<p id='last'>end %d</p>" % time.monotonic_ns()
        writer.write(
            b"PUT %b HTTP/1.1\r\nHost: localhost\r\nRange: selector=#last\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 206 " in head[:16], head
        fields = head.lower().partition(b"content-length:")[2]
        await reader.readexactly(int(fields.split(b"\r\n", 1)[0]))

    def close(self) -> None:
        for _, writer in self.open.values():
            writer.close()


CONFIG = """<!DOCTYPE html><title>bench</title>
<div itemscope itemtype="https://rustybeam.net/schema/HostConfig">
<i itemprop=hostname>*</i><i itemprop=hostRoot>{root}</i>
<i itemprop=durability>{durability}</i>
<i itemprop=plugin itemscope itemtype="https://rustybeam.net/schema/EventSourcePlugin">
</i><i itemprop=plugin itemscope
itemtype="https://rustybeam.net/schema/SelectorHandlerPlugin"></i></div>"""


@contextlib.contextmanager
def served(root: Path, durability: Durability) -> Iterator[int]:
    """Serve a folder in a process of its own; yields the port."""
    config = root.with_name(f"{root.name}.html")
    config.write_text(CONFIG.format(root=root, durability=durability))
    process = subprocess.Popen(
        [sys.executable, "-m", "beamfast", config, "--port", "0", "--workers", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if match := re.search(r"Ready at .*:(\d+)/", line):
                yield int(match[1])
                break
    finally:
        process.terminate()
        process.communicate()


async def bench_edits(root: Path, seconds: float) -> None:
    """Whole edits over HTTP."""
    source = page()
    levels: tuple[Durability, ...] = ("full", "relaxed")
    for durability in levels:
        folder = root / f"edits-{durability}"
        folder.mkdir()
        for number in range(DOCUMENTS):
            (folder / f"{number}.html").write_bytes(source)
        (folder / "hot.html").write_bytes(source)
        with served(folder, durability) as port:
            clients = Clients(port)
            turn = iter(range(10**9))

            async def put_hot(number: int, clients: Clients = clients) -> None:
                await clients.put(number, "/hot.html")

            async def put_next(
                number: int, clients: Clients = clients, turn: Iterator[int] = turn
            ) -> None:
                await clients.put(number, f"/{next(turn) % DOCUMENTS}.html")

            hot, many = {}, {}
            for writers in (1, WRITERS):
                hot[writers] = await rate(put_hot, writers, seconds)
                many[writers] = await rate(put_next, writers, seconds)
            clients.close()
        for name, rates in (("one hot document", hot), ("1,000 documents", many)):
            say(f"edit over HTTP, {durability}, {name}", per_second(rates[1]))
            say(
                f"edit over HTTP, {durability}, {name}, {WRITERS} writers to one",
                ratio(rates[WRITERS] / rates[1]),
                "at least 2.5"
                if (name, durability) == ("one hot document", "full")
                else "",
            )


async def bench_lone_edit(root: Path) -> None:
    """A lone edit against the evaluation and the commit that it consists of."""
    folder = root / "lone"
    folder.mkdir()
    (folder / "page.html").write_bytes(page())
    loop = asyncio.get_running_loop()
    store, journal = DocumentStore(folder), FileJournal(folder)
    committer = Committer(store, journal, Hub(loop), loop)
    location = store.resolve("/page.html")
    whole, commits = [], []
    commit = journal.commit

    async def timed(*arguments):
        started = time.perf_counter()
        answer = await commit(*arguments)
        commits.append(time.perf_counter() - started)
        return answer

    setattr(journal, "commit", timed)  # noqa: B010 - mypy knows no other way
    evaluated = []
    from beamfast.commit import batch  # noqa: PLC0415 - to be timed

    carry_out = batch.carry_out

    def timed_evaluation(*arguments, **options):
        started = time.perf_counter()
        outcome = carry_out(*arguments, **options)
        evaluated.append(time.perf_counter() - started)
        return outcome

    batch.carry_out = timed_evaluation
    try:
        for number in range(300):
            started = time.perf_counter()
            await committer.commit(location, edit(number), url="/page.html")
            whole.append(time.perf_counter() - started)
            # Idle again, so that each one is alone.
            await committer.flush()
    finally:
        batch.carry_out = carry_out
        await committer.close()
    parts = statistics.median(
        first + second for first, second in zip(evaluated, commits, strict=True)
    )
    say("lone edit", f"{statistics.median(whole) * 1e6:.0f} us")
    say(
        "lone edit, to its evaluation and commit alone",
        ratio(statistics.median(whole) / parts),
        "no timer: near 1",
    )


async def bench_resume(root: Path) -> None:
    """Subscribers that come back together, each a hundred revisions behind."""
    folder = root / "resume"
    folder.mkdir()
    (folder / "page.html").write_bytes(page())
    with served(folder, "full") as port:
        clients = Clients(port)
        for _ in range(BEHIND + 1):
            await clients.put(0, "/page.html")
        first, newest = await ends(folder, "/page.html")

        async def connect(field: str, expected: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                "GET /page.html HTTP/1.1\r\nHost: localhost\r\n"
                f"Accept: text/event-stream\r\n{field}\r\n".encode()
            )
            async for line in reader:
                if line.strip() == expected:
                    break
            writer.close()

        goal = f"id: {newest}".encode()
        times = {}
        for name, field in (("fresh", ""), ("resumed", f"Last-Event-ID: {first}\r\n")):
            started = time.perf_counter()
            await asyncio.gather(*(connect(field, goal) for _ in range(SUBSCRIBERS)))
            times[name] = time.perf_counter() - started
        clients.close()
    say(f"{SUBSCRIBERS} streams that resume nothing", f"{times['fresh']:.2f} s")
    say(
        f"the same, each {BEHIND} revisions behind, to those",
        ratio(times["resumed"] / times["fresh"]),
    )
    items = SUBSCRIBERS * BEHIND
    say("items of the replay", per_second(items / times["resumed"]))


async def ends(folder: Path, key: str) -> tuple[Version, Version]:
    """Return the first version of a document and its newest one."""
    journal = FileJournal(folder)
    start = await journal.start(key)
    assert start is not None
    found = await journal.replay(key, start, 1)
    assert not isinstance(found, Reset)
    newest = (await journal.positions([key]))[key]
    await journal.close()
    return found[0].version, newest


def compete(root: str, shared: str, seconds: float, results) -> None:
    """Edit one document as fast as its turns come; report how often."""
    tune_allocator()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        store = DocumentStore(Path(root))
        journal = FileJournal(Path(root), turns=Path(shared))
        lock = FileLock(Path(shared) / "files")
        committer = Committer(store, journal, Hub(loop), loop, files_lock=lock)
        location = store.resolve("/hot.html")
        done = refused = 0
        end = loop.time() + seconds

        async def write(number: int) -> None:
            nonlocal done, refused
            while loop.time() < end:
                try:
                    await committer.commit(location, edit(number), url="/hot.html")
                    done += 1
                except Exception:
                    refused += 1

        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        await committer.close()
        results.put((done, refused))

    uvloop.run(run())


async def bench_turns(root: Path, seconds: float) -> None:
    """Two workers that write one document as fast as they may."""
    folder, shared = root / "turns", root / "shared"
    folder.mkdir()
    shared.mkdir()
    (folder / "hot.html").write_bytes(page())
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(
            target=compete, args=(str(folder), str(shared), seconds, results)
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    found = [await asyncio.to_thread(results.get) for _ in workers]
    for worker in workers:
        worker.join()
    total = sum(done for done, _ in found)
    shares = " and ".join(f"{done / total:.0%}" for done, _ in found)
    say("two workers, one hot document: shares of the commits", shares, "40 to 60 %")
    say(
        "two workers, one hot document: refused",
        str(sum(refused for _, refused in found)),
        "none",
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each rate")
    parser.add_argument("--root", type=Path, help="folder on the disk to measure")
    arguments = parser.parse_args()
    tune_allocator()
    print(json.dumps(machine()))
    with tempfile.TemporaryDirectory(dir=arguments.root) as folder:
        root = Path(folder)
        await bench_sync(root)
        await bench_journal(root, arguments.seconds)
        await bench_lone_edit(root)
        await bench_edits(root, arguments.seconds)
        await bench_turns(root, 2 * arguments.seconds)
        await bench_resume(root)


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))

"""Load on a server that runs: what is counted is what happened."""

import asyncio

import pytest

from beamfast.bench.load import BenchError, Load
from beamfast.bench.local import PAGE, SELECTOR, local_server


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A page behind a server of its own, and where it is."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNTIME_DIRECTORY", str(tmp_path_factory.mktemp("run")))
        with local_server(folder) as (url, _):
            yield url, folder / "index.html"


@pytest.fixture
async def load(served):
    """A load generator for the page."""
    one = Load(served[0])
    yield one
    await one.close()


def steps():
    """Return a list and the function that notes progress in it."""
    seen = []
    return seen, seen.append


async def test_every_request_is_counted_once(load):
    seen, progress = steps()
    row = await load.get(25, 4, progress)
    assert (row.count, len(row.samples), sum(seen)) == (25, 25, 25)
    assert min(row.samples) > 0


async def test_every_viewer_gets_every_edit_and_the_page_stays_as_it_is(load, served):
    opened, progress = steps()
    row = await load.open_viewers(7, progress)
    assert (row.count, sum(opened)) == (7, 7)
    done, progress = steps()
    answered, received = await load.edit(SELECTOR, 6, 0, progress)
    assert (answered.count, sum(done)) == (6, 6)
    assert (received.count, received.lost) == (42, 0)
    assert min(received.samples) > 0
    assert served[1].read_text() == PAGE


async def test_edits_come_at_the_rate_that_was_asked_for(load):
    answered, received = await load.edit(SELECTOR, 4, 50, lambda _: None)
    assert answered.seconds >= 3 / 50
    assert (received.count, received.lost) == (0, 0)


async def test_edits_of_others_are_not_counted(load, served):
    other = Load(served[0])
    await load.open_viewers(2, lambda _: None)
    (_, received), _ = await asyncio.gather(
        load.edit(SELECTOR, 5, 0, lambda _: None),
        other.edit(SELECTOR, 5, 0, lambda _: None),
    )
    assert (received.count, received.lost) == (10, 0)
    await other.close()


async def test_an_edit_that_a_viewer_does_not_get_is_lost(load, monkeypatch):
    monkeypatch.setattr("beamfast.bench.load.SETTLING", 0.1)
    await load.open_viewers(2, lambda _: None)
    load._viewers[0].abort()
    _, received = await load.edit(SELECTOR, 3, 0, lambda _: None)
    assert (received.count, received.lost) == (3, 3)


async def test_an_element_that_is_not_there_is_an_error(load):
    with pytest.raises(BenchError, match="404: No elements matched"):
        await load.edit("#nowhere", 1, 0, lambda _: None)


async def test_a_page_that_is_not_there_is_an_error(served):
    load = Load(served[0] + "nothing.html")
    with pytest.raises(BenchError, match="404: File not found"):
        await load.get(1, 1, lambda _: None)


async def test_a_server_that_is_not_there_is_an_error(unused_port):
    load = Load(f"http://127.0.0.1:{unused_port}/")
    with pytest.raises(BenchError, match=r"refused|Connect call failed"):
        await load.get(1, 1, lambda _: None)
    with pytest.raises(BenchError, match="viewer 1 could not connect"):
        await load.open_viewers(1, lambda _: None)


@pytest.mark.parametrize("content", [b"[]", b"{", b"<p>not JSON</p>"])
async def test_a_server_without_selectors_is_an_error(serve, content):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 206 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
        )
        await reader.read()

    load = Load(await serve(handle))
    with pytest.raises(BenchError, match="is it beamfast"):
        await load.edit("p", 1, 0, lambda _: None)


async def test_a_server_that_says_nothing_is_an_error(serve, monkeypatch):
    monkeypatch.setattr("beamfast.bench.load.SILENCE", 0.1)

    async def handle(reader, writer):
        await reader.read()

    load = Load(await serve(handle))
    with pytest.raises(BenchError, match=r"has not answered for 0\.1 s"):
        await load.get(5, 2, lambda _: None)
    with pytest.raises(BenchError, match=r"has not answered for 0\.1 s"):
        await load.edit("p", 1, 0, lambda _: None)


async def test_edits_of_a_page_with_a_lost_viewer_go_on(load, monkeypatch):
    monkeypatch.setattr("beamfast.bench.load.SETTLING", 0.2)
    await load.open_viewers(3, lambda _: None)
    load._viewers[1].abort()
    _, received = await load.edit(SELECTOR, 20, 100, lambda _: None)
    assert (received.count, received.lost) == (40, 20)


def test_another_scheme_is_an_error():
    with pytest.raises(ValueError, match="ftp"):
        Load("ftp://localhost/")

"""Rings and plain topics between workers, over real sockets in one process."""

import asyncio
import errno
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from beamfast.errors import BusError
from beamfast.pubsub import unix
from beamfast.pubsub.unix import HEAD, PIECE, WAITING_BYTES, UnixBus, records


class Worker:
    """A bus and what it was told."""

    def __init__(self, folder: Path, slot: int, slots: int = 3) -> None:
        self.bus = UnixBus(folder, slot, slots)
        self.rings = 0
        self.messages: list[tuple[str, str | bytes]] = []
        self.news = asyncio.Event()
        self.bus.listen(self._rang, self._received)

    def _rang(self) -> None:
        self.rings += 1
        self.news.set()

    def _received(self, topic: str, message: str | bytes) -> None:
        self.messages.append((topic, message))
        self.news.set()

    async def hears(self, count: int) -> list[tuple[str, str | bytes]]:
        async with asyncio.timeout(20):
            while len(self.messages) < count:
                self.news.clear()
                await self.news.wait()
        return self.messages

    async def is_rung(self) -> int:
        async with asyncio.timeout(20):
            await self.news.wait()
        return self.rings


@pytest.fixture
def folder():
    # Not tmp_path: the path of a Unix socket has at most about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="bus-") as name:
        yield Path(name)


@pytest.fixture
async def start(folder):
    workers = []

    def make(slot: int) -> Worker:
        workers.append(Worker(folder, slot))
        return workers[-1]

    yield make
    for worker in workers:
        await worker.bus.close()


@pytest.fixture
def start_three(start):
    return lambda: [start(slot) for slot in range(3)]


async def test_a_ring_reaches_every_other_worker(start_three):
    first, second, third = start_three()
    first.bus.ring()
    assert await second.is_rung() == await third.is_rung() == 1
    assert first.rings == 0


async def test_the_rings_of_one_turn_are_one(start_three):
    first, second, _ = start_three()
    for _ in range(100):
        first.bus.ring()
    assert await second.is_rung() == 1
    first.bus.forward("after", "them")
    await second.hears(1)
    assert second.rings == 1


async def test_topics_arrive_in_order_and_of_their_kind(start_three):
    first, second, third = start_three()
    sent = [("chat/ü", "grüße"), ("log", b"\x00\xff"), ("log", ""), ("log", b"")]
    for topic, message in sent:
        first.bus.forward(topic, message)
    assert await second.hears(4) == sent
    assert await third.hears(4) == sent
    assert first.messages == []


async def test_what_one_turn_forwards_is_one_datagram(start_three):
    first, second, _ = start_three()
    for number in range(100):
        first.bus.forward("t", str(number))
    await second.hears(100)
    first.bus.forward("t", "next")
    await second.hears(101)
    assert first.bus._sequence == 2


@pytest.mark.parametrize("size", [PIECE - 10, PIECE, PIECE + 1, 40 * PIECE])
async def test_messages_of_any_size_arrive_whole(start_three, size):
    first, second, _ = start_three()
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    first.bus.forward("large", message)
    first.bus.forward("small", "s")
    assert await second.hears(2) == [("large", message), ("small", "s")]


async def test_more_than_a_socket_holds_arrives_in_order(start_three):
    first, second, third = start_three()
    for number in range(500):
        first.bus.forward("t", str(number))
        await asyncio.sleep(0)
    wanted = [("t", str(number)) for number in range(500)]
    assert await second.hears(500) == wanted
    assert await third.hears(500) == wanted
    assert second.bus.lost == 0


async def test_a_busy_bus_leaves_the_loop_its_turns(start_three, monkeypatch):
    first, second, _ = start_three()
    monkeypatch.setattr(unix, "TURN", 2)
    for number in range(8):
        first.bus.forward("t", str(number))
        first.bus._send()
    second.bus._read()
    assert len(second.messages) == 2
    await second.hears(8)


async def test_a_worker_that_is_not_there_costs_nothing(start):
    first = start(0)
    first.bus.ring()
    first.bus.forward("t", "lost")
    await asyncio.sleep(0)
    assert all(not peer.waiting and not peer.rings for peer in first.bus._peers)
    second = start(1)
    first.bus.forward("t", "found")
    assert await second.hears(1) == [("t", "found")]
    assert second.bus.lost == 0


async def test_a_restarted_worker_takes_its_place_again(start, folder):
    first, second = start(0), start(1)
    first.bus.forward("t", "one")
    await second.hears(1)
    # As after a kill: the socket of the dead one is still in the folder.
    successor = start(1)
    first.bus.forward("t", "two")
    assert await successor.hears(1) == [("t", "two")]
    successor.bus.forward("t", "back")
    assert await first.hears(1) == [("t", "back")]
    assert successor.bus.lost == first.bus.lost == 0


async def test_the_others_accept_a_restarted_origin(start):
    first, second = start(0), start(1)
    for number in range(3):
        first.bus.forward("t", str(number))
        await second.hears(number + 1)
    successor = start(0)
    successor.bus.forward("t", "again")
    assert (await second.hears(4))[-1] == ("t", "again")
    assert second.bus.lost == 0


async def test_what_a_slow_worker_does_not_take_is_dropped_and_counted(
    start_three, caplog
):
    first, second, third = start_three()
    loop = asyncio.get_running_loop()
    loop.remove_reader(second.bus._socket)
    piece = b"x" * (PIECE // 2)
    count = 2 * WAITING_BYTES // len(piece) + 64
    with caplog.at_level(logging.WARNING, "beamfast.bus"):
        for _ in range(count):
            first.bus.forward("t", piece)
            await asyncio.sleep(0)
        await third.hears(count)
    assert third.bus.lost == 0
    assert first.bus.dropped > 0
    assert max(peer.size for peer in first.bus._peers) <= WAITING_BYTES
    assert len(caplog.records) == 1
    loop.add_reader(second.bus._socket, second.bus._read)
    await second.hears(count - first.bus.dropped)
    # The gap shows with the next datagram that comes through.
    first.bus.forward("t", "end")
    while second.messages[-1] != ("t", "end"):
        await second.hears(len(second.messages) + 1)
    assert second.bus.lost == first.bus.dropped


async def test_a_ring_for_a_full_worker_is_rung_later(start_three):
    first, second, _ = start_three()
    loop = asyncio.get_running_loop()
    loop.remove_reader(second.bus._socket)
    for _ in range(600):
        first.bus.forward("t", "x")
        await asyncio.sleep(0)
    first.bus.ring()
    await asyncio.sleep(0)
    assert first.bus._peers[0].rings
    loop.add_reader(second.bus._socket, second.bus._read)
    async with asyncio.timeout(20):
        while not second.rings:
            second.news.clear()
            await second.news.wait()
    assert first.bus.dropped == 0
    await second.hears(600)


async def test_a_batch_with_a_lost_piece_is_left_out(start):
    worker = start(0)

    def piece(number, data, *, first=False, last=False):
        worker.bus._take(HEAD.pack(1, 7, number, first, last) + data)

    batch = b"\x01\0\0\0\x01\0\0\0\x02tab"
    piece(5, batch[:4], first=True)
    piece(7, batch[8:], last=True)
    assert (worker.messages, worker.bus.lost) == ([], 1)
    piece(8, batch, first=True, last=True)
    assert worker.messages == [("t", "ab")]


async def test_a_piece_of_what_began_before_we_listened_is_left_out(start):
    worker = start(0)
    worker.bus._take(HEAD.pack(1, 7, 3, False, True) + b"rest")
    assert (worker.messages, worker.bus.lost) == ([], 0)


async def test_closing_sends_the_last_words_and_leaves_no_socket(start, folder):
    first, second = start(0), start(1)
    first.bus.forward("t", "bye")
    await first.bus.close()
    assert await second.hears(1) == [("t", "bye")]
    assert not (folder / "0").exists()


def test_a_path_that_is_too_long_is_an_error(folder):
    with pytest.raises(BusError, match="bus socket"):
        UnixBus(folder / ("x" * 120), 0, 1)


async def test_an_error_of_the_socket_is_not_hidden(start, monkeypatch):
    first = start(0)
    first.bus.forward("t", "x")
    monkeypatch.setattr(unix, "GONE", ())
    with pytest.raises(FileNotFoundError) as failure:
        first.bus._send()
    assert failure.value.errno == errno.ENOENT
    first.bus._peers.clear()


@given(
    st.lists(
        st.tuples(st.text(), st.one_of(st.text(), st.binary())),
        max_size=20,
    )
)
def test_a_batch_is_read_as_it_was_written(messages):
    with tempfile.TemporaryDirectory(prefix="bus-") as name:
        bus = UnixBus(Path(name), 0, 1)
        for topic, message in messages:
            bus.forward(topic, message)
        assert list(records(b"".join(bus._outgoing))) == messages
        bus._outgoing.clear()
        asyncio.run(bus.close())

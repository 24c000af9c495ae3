import asyncio
import fcntl
import os

import pytest

from beamfast.errors import DocumentError
from beamfast.journal.turn import Turns


@pytest.fixture
def pair(tmp_path):
    """The turns of two processes; a lock file knows no difference."""
    both = tuple(Turns(tmp_path / "turns", tmp_path) for _ in range(2))
    yield both
    for turns in both:
        turns.close()


async def test_one_holder_at_a_time(pair):
    inside = 0

    async def write(turns):
        nonlocal inside
        for _ in range(20):
            async with turns.take("/a"):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                inside -= 1
            await asyncio.sleep(0)

    await asyncio.gather(*(write(turns) for turns in pair))


async def test_who_gives_up_waiting_leaves_no_lock_behind(pair):
    one, other = pair
    async with one.take("/a"):
        waiting = asyncio.create_task(other.take("/a").__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with other.take("/a"), one.take("/b"):
        pass


async def test_a_turn_is_an_exclusive_lock_that_ends_with_it(pair, tmp_path):
    async with pair[0].take("/a"):
        (file,) = (tmp_path / "turns").iterdir()
        descriptor = os.open(file, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


async def test_a_directory_that_cannot_be_made_is_a_refusal(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    turns = Turns(tmp_path / "file" / "turns", tmp_path)
    with pytest.raises(DocumentError):
        await turns.take("/a").__aenter__()
    turns.close()


async def test_journals_of_two_roots_may_share_the_directory(tmp_path):
    one, other = (Turns(tmp_path, tmp_path / name) for name in "ab")
    async with one.take("/a"), other.take("/a"):
        assert len(list(tmp_path.iterdir())) == 2
    one.close()
    other.close()

"""The documents of one root."""

import asyncio
import time

from beamfast.pubsub.hub import Hub
from beamfast.server.config import HostConfig, LimitsConfig
from beamfast.server.site import Site


async def test_limits_of_the_server_hold_for_its_documents(tmp_path):
    loop = asyncio.get_running_loop()
    limits = LimitsConfig(edit_limit=7)
    site = Site(HostConfig(tmp_path), Hub(loop), loop, limits=limits)
    site.start()
    site.start()
    assert site.store.edit_limit == 7
    await site.stop()


async def test_what_a_killed_writer_left_is_cleared_while_it_serves(tmp_path):
    loop = asyncio.get_running_loop()
    left = tmp_path / ".beamfast-0123456789abcdef"
    left.write_bytes(b"half")
    site = Site(HostConfig(tmp_path), Hub(loop), loop)
    site.start()
    async with asyncio.timeout(20):
        while left.exists():
            await asyncio.sleep(0.01)
    await site.stop()


async def test_clearing_up_does_not_hold_up_a_stop(tmp_path):
    loop = asyncio.get_running_loop()
    site = Site(HostConfig(tmp_path), Hub(loop), loop)
    told = []

    def clear_up(is_stopped):
        while not is_stopped():
            time.sleep(0.01)
        told.append("stopped")

    site.store.remove_stale_files = clear_up
    site.start()
    async with asyncio.timeout(20):
        await site.stop()
    assert told == ["stopped"]

"""The documents of one root."""

import asyncio

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

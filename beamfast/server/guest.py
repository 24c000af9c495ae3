"""
The hosts of a configuration on the loop of somebody else's server.

There are no listeners, no signals and no other workers; whoever accepts connections
hands their requests to the application of the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

from beamfast.connection.service import Service
from beamfast.pubsub.hub import Hub
from beamfast.runstate import RunState
from beamfast.server.config import ServerConfig
from beamfast.server.hosting import Hosting
from beamfast.server.rundir import hold_roots
from beamfast.server.server import make_service


class Guest:
    """
    What is served, started on the running loop.

    Args:
        config: what to serve.

    Attributes:
        service: of all connections; its application answers requests.
        hub: topics of this process.

    Raises:
        ConfigError: another server has one of the document roots.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._roots = ExitStack()
        self._roots.enter_context(hold_roots(one.root for one in config.hosts))
        try:
            self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
            loop = self.loop
            self.hub: Hub = Hub(loop, ordered=config.ordered)
            self._run_state = RunState()
            self._hosting = Hosting(
                config, self.hub, loop, shared=None, run_state=self._run_state
            )
            self.service: Service = make_service(
                self._hosting.application, self.hub, loop, config
            )
            self.hub.open_connections = self.service.heartbeat.connections
            self._hosting.start(self.service, _refuse_reload)
        except BaseException:
            self._roots.close()
            raise

    async def stop(self) -> None:
        """Say goodbye to streams, write the files."""
        service = self.service
        service.is_draining = True
        for connection in service.heartbeat.connections():
            connection.on_drain()
        await service.cancel_handlers()
        await self._hosting.stop()
        self._run_state.close()
        service.expiry.close()
        service.heartbeat.close()
        await self.hub.close()
        self._roots.close()


async def _refuse_reload() -> Sequence[str]:
    """Say why a configuration is not read again here."""
    return ["an application inside another server is reloaded by that server"]

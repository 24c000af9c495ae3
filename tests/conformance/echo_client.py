"""
An echo client for conformance suites: ``ClientDriver`` on a blocking socket.

``python tests/conformance/echo_client.py [--connect] [URL]`` asks an Autobahn fuzzing
server how many cases it has, echoes in each, and has it write its reports. Without
``URL`` it reads ``FUZZ_URL``. With ``--connect`` it is ``beamfast.connect`` on uvloop.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import uvloop

from beamfast import BeamfastError, connect
from beamfast.protocol import ClientDriver, PerMessageDeflate

#: As for the echo server.
LIMITS: Final = {"max_size": 2**25, "max_fragments": 2**17}
DEFLATE: Final = PerMessageDeflate()

#: Seconds of silence that mean trouble, and what a server may take to hang up.
SILENCE: Final = 60.0
HANG_UP: Final = 2.0


class Connection:
    """One WebSocket, from its handshake to the end of TCP."""

    def __init__(self, url: str) -> None:
        self.driver = ClientDriver(url, extensions=[DEFLATE], **LIMITS)
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), SILENCE)
        self.driver.start()
        self.flush()

    def flush(self) -> None:
        if output := b"".join(self.driver.data_to_send()):
            self.socket.sendall(output)

    def run(self, on_message: Callable[[str | bytes], object]) -> None:
        """Call ``on_message`` until the server closes."""
        self.driver.deliver = on_message
        with self.socket:
            while data := self.read():
                self.driver.receive_data(data)
                self.flush()
                if self.driver.close_expected():
                    # The server closes TCP first (RFC 6455, 7.1.1).
                    self.socket.settimeout(HANG_UP)
        self.driver.receive_eof()

    def read(self) -> bytes:
        try:
            return self.socket.recv(2**18)
        except (ConnectionResetError, TimeoutError):
            return b""

    def echo(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.driver.send_text(message)
        else:
            self.driver.send_binary(message)


def run_cases(url: str, agent: str) -> int:
    """Echo in every case; return how many there were."""
    answer: list[str | bytes] = []
    Connection(f"{url}/getCaseCount").run(answer.append)
    count = int(answer[0])
    for case in range(1, count + 1):
        echoing(f"{url}/runCase?case={case}&agent={agent}")
    echoing(f"{url}/updateReports?agent={agent}")
    return count


def echoing(url: str) -> None:
    connection = Connection(url)
    connection.run(connection.echo)


async def connect_and_echo(url: str) -> list[str | bytes]:
    """Echo until the server closes; return what came."""
    received: list[str | bytes] = []
    try:
        async with connect(url, ping_interval=0, queue=2**17, **LIMITS) as websocket:
            async for message in websocket:
                received.append(message)
                await websocket.send(message)
    except BeamfastError:
        # Many cases end the connection in the middle of something.
        return received
    return received


async def run_cases_connected(url: str, agent: str) -> None:
    """As :func:`run_cases`, with the client that programs use."""
    async with connect(f"{url}/getCaseCount") as websocket:
        count = int(await websocket.recv())
    for case in range(1, count + 1):
        await connect_and_echo(f"{url}/runCase?case={case}&agent={agent}")
    await connect_and_echo(f"{url}/updateReports?agent={agent}")


def main() -> None:
    arguments = [one for one in sys.argv[1:] if one != "--connect"]
    url = arguments[0] if arguments else os.environ["FUZZ_URL"]
    agent = os.environ.get("FUZZ_AGENT", "beamfast")
    if "--connect" in sys.argv:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_cases_connected(url, agent))
    else:
        run_cases(url, agent)


if __name__ == "__main__":
    main()

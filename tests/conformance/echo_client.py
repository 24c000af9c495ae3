"""
An echo client for conformance suites: ``ClientDriver`` on a blocking socket.

``python tests/conformance/echo_client.py [URL]`` asks an Autobahn fuzzing server how
many cases it has, echoes in each, and has it write its reports. Without ``URL`` it
reads ``FUZZ_URL``.
"""

import os
import socket
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

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


if __name__ == "__main__":
    fuzzing_server = sys.argv[1] if len(sys.argv) > 1 else os.environ["FUZZ_URL"]
    run_cases(fuzzing_server, os.environ.get("FUZZ_AGENT", "beamfast"))

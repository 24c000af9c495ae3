"""What the conformance suites talk to works before they are asked."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import websockets.sync.client
import websockets.sync.server

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
MESSAGES = ["höre", b"\x00\xff", "", " ".join(map(str, range(200_000)))]


@contextlib.contextmanager
def python(program, *arguments):
    command = [sys.executable, str(HERE / program), *arguments]
    options = {"env": ENVIRONMENT, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.parametrize("options", [[], ["--connection"], ["--handler"]])
def test_the_server_echoes_text_and_binary_messages(options):
    with python("echo_server.py", *options) as process:
        url = process.stdout.readline().strip()
        with websockets.sync.client.connect(url, max_size=None) as client:
            for message in MESSAGES:
                client.send(message)
                assert client.recv() == message
        assert client.close_code == 1000


@pytest.mark.parametrize("options", [[], ["--connect"]])
def test_the_client_echoes_in_every_case_and_asks_for_the_reports(options):
    asked = []

    def handle(connection):
        asked.append(connection.request.path)
        if connection.request.path == "/getCaseCount":
            connection.send("2")
        elif connection.request.path.startswith("/runCase"):
            for message in MESSAGES:
                connection.send(message)
                assert connection.recv() == message

    with websockets.sync.server.serve(handle, "127.0.0.1", 0, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        with python("echo_client.py", *options, f"ws://127.0.0.1:{port}") as process:
            assert process.wait(30) == 0
        server.shutdown()
        thread.join()
    assert asked == [
        "/getCaseCount",
        "/runCase?case=1&agent=beamfast",
        "/runCase?case=2&agent=beamfast",
        "/updateReports?agent=beamfast",
    ]

"""What several workers count and know together."""

import json
import time

import jwt
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosedError, InvalidStatus


def test_a_limit_of_all_workers_holds_in_sum(serve, configure):
    limit = {"requests_per_second": "0.0001", "burst": "20", "key_strategy": "global"}
    server = serve(
        "--workers", "3", root=configure({"RateLimit": limit, "FileHandler": {}})
    )
    # Each request has a connection of its own, so the workers share them.
    statuses = [server.request("GET", "/document.html")[0] for _ in range(60)]
    assert statuses == [200] * 20 + [429] * 40


def test_a_ticket_works_once_and_its_socket_ends_with_the_token(
    serve, configure, tmp_path
):
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 32)
    plugins = {
        "BearerAuth": {"keyfile": str(secret), "algorithms": "HS256"},
        "WebSocket": {},
        "FileHandler": {},
    }
    server = serve("--workers", "3", root=configure(plugins))
    token = jwt.encode(
        {"sub": "ann", "exp": time.time() + 12}, b"s" * 32, algorithm="HS256"
    )
    fields = {"Authorization": f"Bearer {token}"}
    status, _, body = server.request("POST", "/-/ticket", b"", **fields)
    assert status == 200
    address = server.url.replace("http", "ws")
    address += f"/document.html?ticket={json.loads(body)['ticket']}"

    def connect():
        return websockets.sync.client.connect(address, proxy=None, ping_interval=None)

    with connect() as socket:
        for _ in range(4):
            # Whichever worker answers.
            with pytest.raises(InvalidStatus, match="401"), connect():
                pass
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=30)
    assert closed.value.rcvd.code == 4401

"""
What is measured, and what beamfast has to reach.

Each row is one run of the load generator against every contestant that can do
it. Limits are ratios to the raw server in the same run, or bytes.
"""

import base64
from dataclasses import dataclass, field
from typing import Literal

from beamfast.documents.streamitem import render
from beamfast.entry import Entry

#: Who connects where only users may.
USER, PASSWORD = "reader@example.com", "not secret"
#: Bytes of the message that tells of an edit of 300 B.
ITEM_SIZE = len(
    render(
        Entry(
            method="PUT",
            url="/live.html",
            selector="#live",
            content=f'<div id="live">{0:0300}</div>',
        )
    )
)
USER_AND_PASSWORD = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

#: Of fan-out rows, see :class:`Row`.
OFTEN = 4


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    Attributes:
        name: what happens.
        mode: of the load generator; contestants say which they can do.
        options: of the load generator.
        raw_options: what the raw server is asked for instead; None takes an option
            away.
        without: options of a second run, whose cost is taken off: what the row is
            not about. Not for the raw server.
        needs: ability of a contestant, when it is not the mode.
        statistic: of the repeats; both sides of a ratio use the same. "received"
            is no time: the bytes that arrive.
        often: how many times as many repeats as asked for. A minimum is that of one
            lucky moment: it needs many repeats, which may be short.
        limit: greatest ratio of beamfast, or bytes; None for a report only.
        is_large: left out by ``--quick``.
    """

    name: str
    mode: str
    options: dict[str, int | str]
    raw_options: dict[str, int | str | None] = field(default_factory=dict)
    without: dict[str, int | str] | None = None
    needs: str = ""
    statistic: Literal["min", "median", "received"] = "median"
    often: int = 1
    limit: float | None = None
    is_large: bool = False


def _fanout(connections: int, size: int, rounds: int, *, is_large: bool = False) -> Row:
    return Row(
        f"publish 1 x {size} B, {connections} subscribers",
        "fanout",
        {"connections": connections, "size": size, "rounds": rounds},
        statistic="min",
        often=1 if is_large else OFTEN,
        limit=1.05,
        is_large=is_large,
    )


def _deflate(statistic: Literal["min", "received"], limit: float | None) -> Row:
    what = "bytes on the wire" if statistic == "received" else "CPU time"
    return Row(
        f"publish 1 x 405 B of chat, compressed, 1000 subscribers: {what}",
        "fanout",
        {
            "connections": 1_000,
            "size": 405,
            "rounds": 128,
            "how": "items",
            "deflate": 1,
        },
        raw_options={"how": "separate", "deflate": 0},
        needs="deflate",
        statistic=statistic,
        limit=limit,
    )


def _encrypted(name: str, mode: str, **options: int | str) -> Row:
    return Row(f"{name} over TLS", mode, options | {"tls": 1}, needs=f"{mode}-tls")


def _batch(connections: int, size: int, rounds: int) -> Row:
    return Row(
        f"publish 16 x {size} B in one turn, {connections} subscribers",
        "fanout",
        {"connections": connections, "size": size, "rounds": rounds, "messages": 16},
        raw_options={"how": "joined"},
        statistic="min",
        often=OFTEN,
        limit=1.10,
    )


def _echo(connections: int, size: int, limit: float) -> Row:
    rounds = 48_000 // connections
    return Row(
        f"echo {size} B, {connections} connections",
        "echo",
        {"connections": connections, "size": size, "rounds": rounds},
        limit=limit,
    )


def _get(fields: int, limit: float) -> Row:
    return Row(
        f"GET 2 KiB, {fields} request header{'s' * (fields > 1)}",
        "get",
        {"connections": 64, "fields": fields, "rounds": 400, "path": "/plain.html"},
        limit=limit,
    )


def _memory(kind: str, needs: str, path: str, limit: int) -> Row:
    return Row(
        f"memory of an idle {kind} connection",
        "hold",
        {"connections": 5000, "kind": kind, "path": path, "settle-ms": 3500},
        needs=needs,
        limit=limit,
    )


#: Of edits that go to viewers of the page.
_EDITS: dict[str, int | str] = {
    "connections": 1_000,
    "size": 300,
    "rounds": 40,
    "put": "/live.html",
    "path": "/live.html",
}

ROWS = (
    _fanout(100, 300, 150),
    _fanout(1_000, 300, 15),
    _fanout(5_000, 300, 15, is_large=True),
    _fanout(10_000, 300, 8, is_large=True),
    _fanout(100, 4096, 150),
    _fanout(1_000, 4096, 15),
    _fanout(5_000, 4096, 10, is_large=True),
    _fanout(10_000, 4096, 5, is_large=True),
    _batch(100, 300, 100),
    _batch(1_000, 300, 10),
    _batch(1_000, 4096, 4),
    Row(
        "publish 16 x 300 B, 1000 subscribers, against 16 separate sends",
        "fanout",
        {"connections": 1_000, "size": 300, "rounds": 10, "messages": 16},
        statistic="min",
        limit=0.12,
    ),
    Row(
        "publish 1 x 300 B, 1000 subscribers and 20 that never read",
        "fanout",
        {"connections": 1_000, "size": 300, "rounds": 15, "deaf": 20},
        raw_options={"deaf": 0},
        statistic="min",
        often=OFTEN,
        limit=1.10,
    ),
    _deflate("received", 0.15),
    _deflate("min", None),
    _echo(64, 32, 1.3),
    _echo(100, 64, 1.3),
    _echo(1_000, 300, 1.4),
    Row(
        "echo 16 pipelined x 64 B, 64 connections",
        "echo",
        {"connections": 64, "size": 64, "depth": 16, "rounds": 200},
        limit=1.5,
    ),
    Row(
        "echo 16 pipelined x 64 B by async for, 64 connections",
        "echo",
        {"connections": 64, "size": 64, "depth": 16, "rounds": 200, "path": "/pull"},
        needs="echo-pull",
        limit=2.6,
    ),
    Row(
        "connect, upgrade, reset",
        "storm",
        {"connections": 4_000, "depth": 64, "path": "/"},
        limit=1.5,
    ),
    _get(1, 2.5),
    _get(9, 3.0),
    _encrypted(
        "publish 1 x 300 B, 1000 subscribers",
        "fanout",
        connections=1_000,
        size=300,
        rounds=40,
    ),
    _encrypted(
        "publish 16 x 300 B in one turn, 1000 subscribers",
        "fanout",
        connections=1_000,
        size=300,
        rounds=20,
        messages=16,
    ),
    _encrypted(
        "echo 64 B, 100 connections", "echo", connections=100, size=64, rounds=200
    ),
    _encrypted(
        "GET 2 KiB", "get", connections=64, rounds=200, path="/plain.html", fields=9
    ),
    _encrypted("connect, upgrade, reset", "storm", connections=400, depth=64),
    Row(
        "edit by PUT, no subscriber",
        "fanout",
        {"connections": 0, "size": 300, "rounds": 100, "put": "/live.html"},
        needs="edit",
    ),
    Row(
        "edit by PUT, 1000 subscribers",
        "fanout",
        _EDITS,
        needs="edit",
    ),
    Row(
        "edit by PUT, 1000 subscribers, without the edit itself",
        "fanout",
        {
            **_EDITS,
            # Both runs last as long: the file is written from time to time.
            "rate": 50,
        },
        raw_options={"put": None, "size": ITEM_SIZE},
        without={"connections": 0},
        needs="edit-fanout",
        statistic="min",
        limit=1.05,
    ),
    _memory("websocket", "hold", "/", 1741),
    Row(
        "memory of an idle websocket connection with an authenticated user",
        "hold",
        {
            "connections": 5000,
            "kind": "websocket",
            "settle-ms": 3500,
            "header": f"Authorization: Basic {USER_AND_PASSWORD}",
        },
        needs="hold-user",
        limit=1946,
    ),
    _memory("eventsource", "hold-http", "/live.html", 1741),
    _memory("keep-alive", "hold-http", "/plain.html", 1536),
)

"""``beamfast ws URL``: talk to a WebSocket server from the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from beamfast.cli.failure import FAILURE, UNUSABLE, fail
from beamfast.client.websocket import connect
from beamfast.connection.websocket import WebSocket
from beamfast.errors import ConnectError, ConnectionClosed

HELP: Final = """\
Each line is sent as a text message, except for these:
  /binary 00 ff     send bytes, in hexadecimal digits
  /file PATH        send the content of a file as a binary message
  /ping             measure the way there and back
  /close CODE WHY   close; 1000 without a code
  //text            send "/text"
  /help             this"""


@click.command()
@click.argument("url")
@click.option("--subprotocol", multiple=True, help="To offer; may be repeated.")
@click.option(
    "-H", "--header", multiple=True, metavar="NAME:VALUE", help="A further field."
)
@click.option("--origin", help="Value of Origin.")
@click.option("-t", "--timings", is_flag=True, help="Show when each message came.")
@click.option(
    "-n", "--number", type=click.IntRange(1), help="End after so many messages."
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="For answers, after the end of standard input.",
)
def ws(
    url: str,
    subprotocol: tuple[str, ...],
    header: tuple[str, ...],
    origin: str | None,
    *,
    timings: bool,
    number: int | None,
    wait: float,
) -> None:
    """
    Talk to the WebSocket server at URL.

    What is typed or piped goes out line by line, what comes is printed. "/help"
    says what else can be sent. Lines of earlier sessions come back with the
    arrow keys.

    \b
    Examples:
      beamfast ws ws://localhost:3000/chat
      echo hello | beamfast ws -n 1 wss://echo.example/
    """  # noqa: D301 - \b keeps click from filling the examples
    fields = [tuple(map(str.strip, one.partition(":")[::2])) for one in header]
    try:
        opening = connect(
            url,
            subprotocols=subprotocol,
            headers=[(name, value) for name, value in fields],
            origin=origin,
            proxy="env",
            max_size=2**25,
        )
    except ValueError as error:
        fail(str(error), UNUSABLE)
    talk = Talk(timings=timings, number=number, wait=wait)
    try:
        asyncio.run(talk.run(opening))
    except (ConnectError, OSError) as error:
        fail(f"{url}: {error or 'no answer in time'}", FAILURE)
    except ConnectionClosed as end:
        fail(str(end), FAILURE)


class Talk:
    """One session: what is typed goes out, what comes is printed."""

    def __init__(self, *, timings: bool, number: int | None, wait: float) -> None:
        self._timings = timings
        self._number = number
        self._wait = wait
        self._is_terminal = sys.stdin.isatty()
        self._began = time.monotonic()
        self._received = asyncio.Event()

    async def run(self, opening: connect) -> None:
        """Talk until either side closes, or enough has come."""
        async with opening as websocket:
            chosen = websocket.subprotocol
            with_it = "" if chosen is None else f" ({chosen})"
            self._note(f"connected to {websocket.url}{with_it}; /help tells more")
            self._began = time.monotonic()
            typing = asyncio.ensure_future(self._send_lines(websocket))
            try:
                await self._receive(websocket)
            finally:
                typing.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await typing
        reason = f" {websocket.close_reason}".rstrip()
        self._note(f"closed with {websocket.close_code}{reason}")

    async def _receive(self, websocket: WebSocket) -> None:
        count = 0
        async for message in websocket:
            self._received.set()
            if isinstance(message, bytes):
                self._print(f"binary, {len(message)} bytes: {message.hex(' ')}")
            else:
                self._print(message)
            count += 1
            if count == self._number:
                return

    async def _send_lines(self, websocket: WebSocket) -> None:
        lines = _lines(asyncio.get_running_loop(), is_terminal=self._is_terminal)
        while (line := await lines.get()) is not None:
            self._began = time.monotonic()
            try:
                await self._send(websocket, line)
            except (ValueError, OSError) as error:
                self._note(f"not sent: {error}")
        if self._number is None:
            # Nothing more to say: hear the other side out.
            with contextlib.suppress(TimeoutError):
                while True:
                    self._received.clear()
                    await asyncio.wait_for(self._received.wait(), self._wait)
            await websocket.close()

    async def _send(self, websocket: WebSocket, line: str) -> None:
        command, _, rest = line.partition(" ")
        match command:
            case "/binary":
                await websocket.send(bytes.fromhex(rest))
            case "/file":
                await websocket.send(await asyncio.to_thread(Path(rest).read_bytes))
            case "/ping":
                latency = await (await websocket.ping())
                self._note(f"pong after {1000 * latency:.1f} ms")
            case "/close":
                code, _, reason = rest.partition(" ")
                websocket.close_nowait(int(code or 1000), reason)
            case "/help":
                self._note(HELP)
            case _ if line.startswith("/") and not line.startswith("//"):
                self._note(f"no command {command}; //{line[1:]} sends it as text")
            case _:
                await websocket.send(line.removeprefix("/"))

    def _print(self, text: str) -> None:
        if self._timings:
            text = f"{1000 * (time.monotonic() - self._began):9.1f} ms  {text}"
        click.echo(("< " if self._is_terminal else "") + text)

    def _note(self, text: str) -> None:
        click.echo(text, err=True)


def _lines(
    loop: asyncio.AbstractEventLoop, *, is_terminal: bool
) -> asyncio.Queue[str | None]:
    """Return what is typed, line by line; None is the end."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    remember = _history() if is_terminal else _forget

    def read() -> None:
        with contextlib.suppress(EOFError, RuntimeError):
            while True:
                line = input()
                remember()
                # RuntimeError: the loop is closed, nobody wants the line.
                loop.call_soon_threadsafe(lines.put_nowait, line)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lines.put_nowait, None)

    # The end of the program does not wait for another line.
    threading.Thread(target=read, daemon=True).start()
    return lines


def _forget() -> None:
    """Keep nothing of what was piped."""


def _history() -> Callable[[], None]:
    """Have input() edit lines and find earlier ones; return what keeps a line."""
    import readline  # noqa: PLC0415 - it changes how input() works

    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    place = folder / "beamfast" / "ws-history"
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.touch(mode=0o600)
        readline.read_history_file(place)
    readline.set_history_length(1000)

    def remember() -> None:
        with contextlib.suppress(OSError):
            readline.append_history_file(1, place)

    return remember

"""
Chat rooms: one for each address, with a page, a WebSocket and a history.

What one writes, all others in the room get, in one order whatever worker they are
connected to. A room can be a live document: then each message is an edit of it,
stored like any other, and viewers of the document see the room as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final, Literal

from beamfast.commit.publication import ItemForm
from beamfast.documents.change import ElementEdit, Replacement
from beamfast.documents.edit import Kind, Operation
from beamfast.documents.selector import Selector
from beamfast.errors import (
    BeamfastError,
    CloseCode,
    DocumentNotFound,
    HandshakeError,
    NoElementMatched,
    PreconditionFailed,
)
from beamfast.http import Headers, Request, Response, Upgrade
from beamfast.pages import CONNECT, check_urls, find_place, page_response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.conditional import Conditions
from beamfast.protocol.handshake import accept_upgrade
from beamfast.protocol.target import query_parameter
from beamfast.pubsub.sequence import Said, Sequence
from beamfast.runstate import Bucket

#: Characters of a nickname.
NAME_LIMIT: Final = 32
#: What a room without a document looks like before anybody wrote.
_EMPTY: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<h1>{title}</h1>
<ul id="{id}"></ul>
</html>
"""

_ID: Final = re.compile(r"#[A-Za-z][\w-]*")

logger: logging.Logger = logging.getLogger("beamfast.chat")


@dataclass(frozen=True)
class Options:
    """
    Options of the chat plugin.

    Attributes:
        urls: addresses of rooms, each a room of its own.
        history: messages that a newcomer gets; of a document, that stay in it, and
            0 for all of them.
        max_message: bytes of a message; above it close 1009.
        rate: messages per second that one may write on average.
        burst: messages that one may write at once.
        on_excess: what happens above the rate: the message is dropped, or the
            connection is closed with 1008.
        name: who a message is from: ``nick``, which everyone chooses; ``user``,
            who has logged in; ``ip``, the address.
        announce: tell the others who joins and leaves.
        exclude_sender: one does not get the own messages back.
        format: what goes over the wire; see the page of the plugin.
        document: path of the page that keeps the messages, for the format
            ``stream-item``; ``{room}`` in it becomes the last part of the address.
        selector: id of the element of that page to which messages are appended.
        allowed_origins: foreign origins that may connect, beside the host's own.
    """

    urls: tuple[str, ...] = ()
    history: int = 50
    max_message: int = 4096
    rate: float = 5.0
    burst: int = 10
    on_excess: Literal["drop", "close"] = "drop"
    name: Literal["nick", "user", "ip"] = "nick"
    announce: bool = True
    exclude_sender: bool = True
    format: Literal["text", "json", "stream-item"] = "text"
    document: str = ""
    selector: str = "#messages"
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_urls(self.urls)
        if (self.format == "stream-item") != bool(self.document):
            raise ValueError("the format stream-item and a document need each other")
        if not _ID.fullmatch(self.selector):
            raise ValueError(f"{self.selector} is not an id such as #messages")
        if not self.rate or not self.burst:
            raise ValueError("a rate or burst of 0 would let nobody write")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened in a room, as all workers are told."""

    type: Literal["message", "join", "leave", "history"]
    name: str
    text: str
    time: float
    id: int = 0

    def as_text(self) -> str:
        """Return what the format ``text`` sends."""
        if self.type in ("join", "leave"):
            return f"* {self.name} {self.type}s"
        return f"{self.name}: {self.text}"


class Chat(Plugin[Options]):
    """Answer handshakes for the rooms, and serve their page."""

    name = "chat"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._rooms: dict[str, Room | DocumentRoom] = {}

    def start(self, context: Context) -> None:
        """Open the rooms."""
        if not self.options.urls:
            logger.warning("chat has no urls, so there are no rooms")
        for url in self.options.urls:
            kind = DocumentRoom if self.options.document else Room
            self._rooms[url] = kind(url, self.options, context)

    def stop(self) -> None:
        """Close the rooms; whoever is there is told by the connection."""
        for room in self._rooms.values():
            room.close()
        self._rooms.clear()

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Let somebody in, or return the page."""
        place = find_place(request.path, self._rooms)
        if place is None:
            return None
        room = self._rooms[place[0]]
        options = self.options
        if request.is_websocket and place[1] in ("", CONNECT):
            member = Member(self._name_of(request), options)
            on_open = partial(self._open, room, member)
            return accept_upgrade(
                request,
                Upgrade(on_open, max_size=options.max_message),
                allowed_origins=(*options.allowed_origins, *context.allowed_origins),
            )
        own = "shown" if options.exclude_sender else "sent"
        told: dict[str, str] = {"own": own}
        told |= {"format": options.format, "naming": options.name}
        if isinstance(room, DocumentRoom):
            told |= {"document": room.path, "selector": options.selector}
        return page_response(request, place, "chat", told)

    def _name_of(self, request: Request) -> str:
        naming = self.options.name
        if naming == "ip":
            return request.remote_addr
        if naming == "user":
            if request.user is None:
                raise HandshakeError(403, "Only users with a name may write here")
            return request.user
        chosen = query_parameter(request.query, "name") or ""
        return clean_name(chosen) or f"guest-{secrets.token_hex(2)}"

    def _open(self, room: Room | DocumentRoom, member: Member, websocket: Any) -> None:
        member.websocket = websocket
        websocket.on_message = partial(self._take, room, member)
        websocket.on_close = partial(self._leave, room, member)
        room.join(member)

    def _take(
        self, room: Room | DocumentRoom, member: Member, message: str | bytes
    ) -> None:
        if not member.bucket.take(time.monotonic()):
            if self.options.on_excess == "close":
                member.websocket.close_nowait(
                    CloseCode.POLICY_VIOLATION, "too many messages"
                )
            return
        if isinstance(message, bytes):
            message = message.decode("utf-8", "replace")
        if message.strip():
            room.say(member, message)

    def _leave(self, room: Room | DocumentRoom, member: Member, *_: object) -> None:
        room.leave(member)


def clean_name(text: str) -> str:
    """Return a nickname that fits a line: no controls, one run of spaces at most."""
    visible = "".join(character for character in text if character.isprintable())
    return " ".join(visible.replace(":", " ").split())[:NAME_LIMIT].strip()


class Member:
    """Somebody in a room."""

    def __init__(self, name: str, options: Options) -> None:
        self.name: str = name
        self.bucket: Bucket = Bucket(options.rate, options.burst, time.monotonic())
        self.websocket: Any = None


class Room:
    """
    A room whose messages are remembered while the server runs.

    Args:
        url: its address.
        options: of the plugin.
        context: of the host.
    """

    def __init__(self, url: str, options: Options, context: Context) -> None:
        self._options = options
        self._hub = context.hub
        self._topic = context.topic(Chat.name, url)
        self._forms: dict[Callable[[str], bytes], Callable[[Line], bytes]] = {}
        self._sequence: Sequence = context.hub.sequence(
            self._topic, keep=options.history, deliver=self._deliver
        )

    def join(self, member: Member) -> None:
        """Tell a newcomer what was said last, and then everything."""
        self._sequence.catch_up()
        form = self._form(member.websocket)
        for said in self._sequence.recent():
            line = read_line(said)
            member.websocket.write(form(replace(line, type="history")))
        self._hub.subscribe(member.websocket, self._topic, form)
        self._announce("join", member)

    def leave(self, member: Member) -> None:
        """Tell the others."""
        self._announce("leave", member)

    def _announce(self, kind: Literal["join", "leave"], member: Member) -> None:
        if self._options.announce:
            line = Line(kind, member.name, "", time.time())
            self._say(line, member, is_kept=False)

    def say(self, member: Member, text: str) -> None:
        """Say something to everybody."""
        line = Line("message", member.name, text, time.time())
        mark = member if self._options.exclude_sender else None
        self._say(line, mark, is_kept=True)

    def _say(self, line: Line, mark: Member | None, *, is_kept: bool) -> None:
        told = [line.type, line.name, line.text, line.time]
        self._sequence.say(json.dumps(told), mark, is_kept=is_kept)

    def _deliver(self, said: Said, mark: Member | None) -> None:
        # A Line stays in this process: the others have it from the sequence.
        exclude = None if mark is None else mark.websocket
        self._hub.publish(self._topic, read_line(said), exclude=exclude)

    def _form(self, websocket: Any) -> Callable[[Line], bytes]:
        """Return the wire form, the same object for all that share it."""
        frame = websocket.frame_message
        form = self._forms.get(frame)
        if form is None:
            as_json = self._options.format == "json"
            form = self._forms[frame] = partial(_frame, frame, as_json=as_json)
        return form

    def close(self) -> None:
        """Nothing is left to do: the hub closes the log."""


def read_line(said: Said) -> Line:
    """Return what a message of a sequence says."""
    kind, name, text, when = json.loads(said.message)
    return Line(kind, name, text, when, said.number)


def _frame(frame: Callable[[str], bytes], line: Line, *, as_json: bool) -> bytes:
    return frame(json.dumps(asdict(line)) if as_json else line.as_text())


class DocumentRoom:
    """
    A room whose messages are elements of a document.

    Arguments as :class:`Room`.
    """

    def __init__(self, url: str, options: Options, context: Context) -> None:
        room = url.rpartition("/")[2]
        self.path: str = options.document.replace("{room}", room)
        self._title = room
        self._options = options
        self._context = context
        self._selector = Selector.parse(options.selector)
        oldest = f"{options.selector} > :nth-last-child(n+{options.history + 1})"
        self._oldest = Selector.parse(oldest) if options.history else None
        self._waiting: deque[tuple[str, str]] = deque()
        self._task: asyncio.Task[None] | None = None

    def join(self, member: Member) -> None:
        """Let a newcomer follow the document, which it has loaded or will load."""
        location = self._context.store.find(self.path)
        form = ItemForm(reset_selector="html")
        self._context.committer.subscribe(member.websocket, location, form)
        self._announce("joins", member)

    def leave(self, member: Member) -> None:
        """Write it down."""
        self._announce("leaves", member)

    def _announce(self, verb: str, member: Member) -> None:
        if self._options.announce:
            text = html.escape(f"{member.name} {verb}")
            self._append(member, f'<li class="notice">{text}</li>')

    def say(self, member: Member, text: str) -> None:
        """Append a message to the document."""
        name, words = html.escape(member.name), html.escape(text)
        self._append(member, f"<li><b>{name}</b>: <span>{words}</span></li>")

    def _append(self, member: Member, element: str) -> None:
        user = member.name if self._options.name == "user" else ""
        self._waiting.append((element, user))
        if self._task is None:
            # One at a time, so that nothing overtakes: the first may have to make
            # the document.
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting:
                element, user = self._waiting.popleft()
                append = Operation(Kind.APPEND, self._selector, element.encode())
                try:
                    await self._edit(append, user)
                except BeamfastError as error:
                    logger.warning("%s: a message is lost: %s", self.path, error)
        finally:
            self._task = None

    async def _edit(self, append: Operation, user: str) -> None:
        try:
            await self._commit(append, "POST", user)
        except DocumentNotFound:
            await self._make()
            await self._commit(append, "POST", user)
        if self._oldest is not None:
            with contextlib.suppress(NoElementMatched):
                await self._commit(Operation(Kind.DELETE, self._oldest), "DELETE", user)

    async def _commit(self, operation: Operation, method: str, user: str) -> None:
        context = self._context
        await context.committer.commit(
            context.store.find(self.path),
            ElementEdit(operation, method),
            url=self.path,
            user=user,
        )

    async def _make(self) -> None:
        """Make the document, unless another worker was faster."""
        context = self._context
        page = _EMPTY.format(
            title=html.escape(self._title), id=self._selector.text.removeprefix("#")
        )
        with contextlib.suppress(PreconditionFailed):
            await context.committer.store_file(
                context.store.find(self.path),
                Replacement(page.encode()),
                url=self.path,
                conditions=Conditions.from_headers(Headers([("If-None-Match", "*")])),
            )

    def close(self) -> None:
        """Nothing is waited for: what is in the queue is written anyway."""

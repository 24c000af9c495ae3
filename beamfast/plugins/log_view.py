"""
Log files in the browser, line by line as they are written.

A page, a WebSocket and an event stream for each address; which file, what to
filter by and which severities a viewer wants stand in the query. Lines go to
viewers only: what they send is ignored. Logs tell more than they should, so the
plugin wants the authorization plugin in front of it, or to be told ``public``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal
from weakref import WeakValueDictionary

from beamfast.errors import CloseCode, RequestError
from beamfast.http import EventStream, Request, Response, Upgrade
from beamfast.pages import CONNECT, check_urls, find_place, page_response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import accept_upgrade, check_origin
from beamfast.protocol.target import query_parameter
from beamfast.pubsub.tail import Lines, Tail
from beamfast.rights import MayRead, Streams

#: Below the address of the page.
EVENTS: Final = "events"
#: Words for how bad it is, as log lines have them, by their usual name.
SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "emerg": "critical",
        "alert": "critical",
        "crit": "critical",
        "critical": "critical",
        "fatal": "critical",
        "error": "error",
        "err": "error",
        "warn": "warning",
        "warning": "warning",
        "notice": "notice",
        "info": "info",
        "debug": "debug",
        "trace": "debug",
    }
)
_SEVERITY: Final = re.compile(rf"\b({'|'.join(SEVERITIES)})\b", re.IGNORECASE)
#: Characters of a line in which its severity is looked for.
_HEAD: Final = 200
#: What a filter consists of: a minus sign, and a phrase or a word.
_WORDS: Final = re.compile(r'(?<!\S)(-?)(?:"([^"]*)"?|([^\s"]\S*))')
#: Characters of a filter.
_FILTER_LIMIT: Final = 200
#: Pieces of a file that are passed on before the loop has its turn.
_TURN: Final = 16

#: Messages of which a slow viewer can be told how many lines they were.
_REMEMBERED: Final = 10_000

logger: logging.Logger = logging.getLogger("beamfast.log_view")


@dataclass(frozen=True)
class Options:
    """
    Options of the log-view plugin.

    Attributes:
        urls: addresses of the page; each shows every file.
        file: the files by name: ``file_access`` is shown as ``access``.
        refresh_ms: milliseconds between two looks at a file.
        tail_lines: lines that a viewer gets of what is there already.
        max_batch: bytes that are sent together at most.
        slow_consumer: what happens to a viewer that does not keep up: it gets the
            last lines, and a line that says that others were left out; or ``close``.
        public: anybody may look.
        allowed_origins: foreign origins that may connect, beside the host's own.
    """

    urls: tuple[str, ...] = ()
    file: Mapping[str, str] = field(default_factory=dict)
    refresh_ms: int = 1000
    tail_lines: int = 100
    max_batch: int = 2**16
    slow_consumer: Literal["drop-oldest", "close"] = "drop-oldest"
    public: bool = False
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        check_urls(self.urls)
        if self.urls and not self.file:
            raise ValueError("there is no file to show; give file_access, for example")
        if not self.refresh_ms or not self.max_batch:
            raise ValueError("refresh_ms and max_batch must not be 0")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Wanted:
    """
    The lines that a viewer wants, framed for its connection; a wire form.

    Attributes:
        frame: of the connection.
        words: that a line has to contain, in small letters; empty for all.
        unwanted: that it must not contain, likewise.
        severities: that it may have; one without any is always shown.
        sent: how many lines each of the last messages had.
    """

    frame: Callable[[str, str, str | None], bytes]
    words: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    sent: deque[int] = field(
        default_factory=partial(deque, maxlen=_REMEMBERED), compare=False, repr=False
    )

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two of them the same."""
        return self.frame, self.words, self.unwanted, self.severities

    def __call__(self, lines: Lines) -> bytes:
        """Return the wire bytes of what is wanted, none for nothing."""
        text = self.select(lines.text)
        if not text:
            return b""
        self.sent.append(text.count("\n") + 1)
        return self.frame(text, lines.position, None)

    def past(self, lines: Lines) -> bytes:
        """Return the same for one viewer, of lines from before."""
        text = self.select(lines.text)
        return self.frame(text, lines.position, None) if text else b""

    def instead(self, missed: int, last: Lines) -> bytes:
        """Return what a viewer gets for the last ``missed`` messages."""
        count = sum(islice(reversed(self.sent), missed))
        text = self.select(last.text)
        kept = text.split("\n")[-count:] if text and count else []
        left_out = count - len(kept)
        if left_out:
            least = "at least " if missed > len(self.sent) else ""
            word = "line" if left_out == 1 else "lines"
            kept.insert(0, f"… {least}{left_out:,} {word} skipped …")
        return self.frame("\n".join(kept), last.position, None)

    def select(self, text: str) -> str:
        """Return the lines of ``text`` that are wanted."""
        if not (self.words or self.unwanted or self.severities):
            return text
        return "\n".join(line for line in text.split("\n") if self._wants(line))

    def _wants(self, line: str) -> bool:
        if self.words or self.unwanted:
            small = line.lower()
            if not all(word in small for word in self.words):
                return False
            if any(word in small for word in self.unwanted):
                return False
        if self.severities and (found := _SEVERITY.search(line, 0, _HEAD)):
            return SEVERITIES[found[1].lower()] in self.severities
        return True


def read_filter(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """
    Return what lines have to contain, and what they must not, in small letters.

    Words, or several of them in quotation marks; a ``-`` in front leaves lines out.
    There are no regular expressions: of those of Python nobody can say beforehand
    how long they take, and every viewer would wait for them.

    Raises:
        RequestError: 400, it is too long.
    """
    if len(text) > _FILTER_LIMIT:
        raise RequestError(400, "The filter is too long")
    wanted: set[str] = set()
    unwanted: set[str] = set()
    for minus, phrase, word in _WORDS.findall(text.lower()):
        # Somebody who has just begun a phrase wants what they wanted before.
        if part := phrase or word:
            (unwanted if minus else wanted).add(part)
    return frozenset(wanted), frozenset(unwanted)


class LogView(Plugin[Options]):
    """Answer handshakes and requests for a stream of lines, and serve the page."""

    name = "log-view"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._logs: dict[str, Log] = {}
        self._streams = Streams((), _end)

    def check_place(self, before: Sequence[Plugin[Any]]) -> None:
        """
        Refuse to show logs to everybody unless that is wanted.

        Raises:
            ValueError: no authorization stands in front.
        """
        if self.options.public or not self.options.urls:
            return
        if not any(plugin.name == "authorization" for plugin in before):
            raise ValueError(
                "anybody could read the logs: put the authorization plugin in front, "
                "or set public"
            )

    def start(self, context: Context) -> None:
        """Get ready; files are opened when somebody looks."""
        self._streams.start(context.rights)
        if not self.options.urls:
            logger.warning("log-view has no urls, so nothing is shown")
        for name, path in self.options.file.items():
            topic = context.topic(self.name, name)
            self._logs[name] = Log(Path(path), topic, self.options, context)

    def stop(self) -> None:
        """Close the files."""
        for log in self._logs.values():
            log.close()

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Open a stream of lines, or return the page."""
        options = self.options
        place = find_place(request.path, options.urls)
        if place is None:
            return None
        if not options.public and request.user is None:
            # A rule that lets everybody read a site did not mean its logs.
            return Response(403, "Only users with a name may read the logs")
        if request.probe:
            return MayRead()
        part = place[1]
        allowed = (*options.allowed_origins, *context.allowed_origins)
        if request.is_websocket and part in ("", CONNECT):
            upgrade = Upgrade(self._opening(request))
            return accept_upgrade(request, upgrade, allowed_origins=allowed)
        if part == EVENTS and request.method == "GET":
            check_origin(request, allowed)
            stream = EventStream(self._opening(request))
            return Response(200, stream=stream)
        names = " ".join(options.file)
        return page_response(request, place, "log_view", {"logs": names})

    def _opening(self, request: Request) -> Callable[[Any], None]:
        """
        Return what opens a stream: what its viewer wants to see, and from where on.

        Raises:
            RequestError: 404 for a log that there is not, 400 for a severity.
        """
        query = request.query
        name = query_parameter(query, "log") or next(iter(self._logs))
        log = self._logs.get(name)
        if log is None:
            raise RequestError(404, "There is no such log")
        words, unwanted = read_filter(query_parameter(query, "filter") or "")
        severities = frozenset(
            filter(None, (query_parameter(query, "severity") or "").split(","))
        )
        if not severities <= set(SEVERITIES.values()):
            raise RequestError(400, "There is no such severity")
        after = request.headers.get("last-event-id")
        roles, expires = request.roles, request.expires

        def open_stream(viewer: Any) -> None:
            self._streams.add(viewer, roles, expires)
            viewer.on_close = partial(self._close, log)
            wanted = Wanted(viewer.frame_item, words, unwanted, severities)
            log.join(viewer, wanted, after)

        return open_stream

    def _close(self, log: Log, viewer: Any, *_: object) -> None:
        self._streams.discard(viewer)
        log.left()


def _end(viewer: Any, code: CloseCode) -> None:
    """End the stream of somebody who may not look any more."""
    if hasattr(viewer, "close_nowait"):
        viewer.close_nowait(code, "rights removed")
    else:
        viewer.close()


class Log:
    """
    One file, looked at while it has viewers.

    Args:
        path: of the file.
        topic: of its lines.
        options: of the plugin.
        context: of the host.
    """

    def __init__(
        self, path: Path, topic: str, options: Options, context: Context
    ) -> None:
        self._tail = Tail(path, batch=options.max_batch)
        self._topic = topic
        self._hub = context.hub
        self._tail_lines = options.tail_lines
        self._refresh = options.refresh_ms / 1000
        self._timer: asyncio.TimerHandle | None = None
        # One for all that want the same, which is then sent and counted once.
        self._wanted: WeakValueDictionary[tuple[object, ...], Wanted] = (
            WeakValueDictionary()
        )
        self._when_slow: dict[str, Any] = {}
        if options.slow_consumer == "drop-oldest":
            self._when_slow = {"slow_consumer": "resync", "refresh": self._catch_up}

    def join(self, viewer: Any, wanted: Wanted, after: str | None) -> None:
        """Send what the viewer missed, or the last lines, and then all that come."""
        if self._timer is None:
            self._tail.open()
            self._look()
        wanted = self._wanted.setdefault(wanted.key, wanted)
        # One step of the loop with the subscription: no gap and no repeat.
        missed = None if after is None else self._tail.lines_since(after)
        past = missed or self._tail.last_lines(self._tail_lines)
        if past is not None and past.text:
            viewer.write(wanted.past(past))
        self._hub.subscribe(viewer, self._topic, wanted, **self._when_slow)

    def _catch_up(self, viewer: Any, topic: str, wanted: Wanted) -> None:
        """Go on with the last lines, for a viewer that was too slow for the rest."""
        registry = self._hub.registry
        last = self._tail.last_lines(self._tail_lines) or Lines("", "")
        copy = wanted.instead(registry.missed(viewer, topic), last)
        registry.resume(viewer, topic, copy)

    def left(self) -> None:
        """Stop looking when nobody is left."""
        if not self._hub.subscribers(self._topic):
            self.close()

    def _look(self) -> None:
        pause = self._refresh
        for number, lines in enumerate(self._tail.read(), 1):
            # Lines are no text to the hub: each worker reads the file itself.
            self._hub.publish(self._topic, lines)
            if number == _TURN:
                pause = 0.0
                break
        self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def close(self) -> None:
        """Let the file go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._tail.close()

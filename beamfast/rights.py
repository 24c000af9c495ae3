"""
Who may still read: open streams are asked the questions that a request is asked.

A probe is a GET that goes through the request phase of a host's pipeline until it
reaches the plugin that asks. It counts for no rate limit and changes nothing. When
rules have changed, every open stream is asked again, a slice in each turn of the
loop, so that many streams delay nobody.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from beamfast.errors import CloseCode
from beamfast.http import Headers, Request, Response

#: Streams that are asked in one turn of the loop.
SLICE: Final = 256
#: Seconds between two looks at the rules.
LOOK: Final = 1.0

logger: logging.Logger = logging.getLogger("beamfast.rights")

#: What is to be said to somebody who may not read; None for somebody who may.
Refusal = CloseCode | None


class MayRead(Response):
    """The answer to a probe that has reached the plugin that asks."""

    def __init__(self) -> None:
        super().__init__(204)


class Rights:
    """
    The rights of one host's visitors.

    Args:
        ask: the request phase of the host's pipeline.
    """

    def __init__(
        self,
        ask: Callable[[Request], Response | Awaitable[Response | None] | None]
        | None = None,
    ) -> None:
        self.ask_pipeline = ask
        self._held: list[Streams] = []
        self._watches: list[Callable[[], bool]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_due = False

    def refusal(self, probe: Request) -> Refusal | Awaitable[Refusal]:
        """
        Return why the sender of ``probe`` may not read, or None.

        Args:
            probe: made by :func:`make_probe`.
        """
        if self.ask_pipeline is None:
            return None
        try:
            answer = self.ask_pipeline(probe)
        except Exception:
            logger.exception("%r could not be decided", probe)
            return CloseCode.RIGHTS_REMOVED
        if inspect.isawaitable(answer):
            return self._wait(probe, answer)
        return _refusal_of(answer)

    async def _wait(
        self, probe: Request, pending: Awaitable[Response | None]
    ) -> Refusal:
        try:
            return _refusal_of(await pending)
        except Exception:
            logger.exception("%r could not be decided", probe)
            return CloseCode.RIGHTS_REMOVED

    # When the rules change.

    def hold(self, streams: Streams) -> None:
        """Ask ``streams`` again when rules have changed."""
        self._held.append(streams)

    def watch(self, has_changed: Callable[[], bool]) -> None:
        """Call ``has_changed`` every second; True means that rules have changed."""
        self._watches.append(has_changed)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        # All of them are called, so that each remembers what it has seen.
        if sum(has_changed() for has_changed in self._watches):
            self.changed()

    def changed(self) -> None:
        """Ask every open stream again."""
        self._is_due = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        try:
            while self._is_due:
                self._is_due = False
                for streams in self._held:
                    await streams.ask_again()
        except Exception:
            logger.exception("open streams could not be asked again")
        finally:
            self._task = None

    def close(self) -> None:
        """Ask nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
        self._watches.clear()
        self._held.clear()


class Streams:
    """
    The open streams of one plugin, and as whom each was opened.

    Args:
        fields: by which the plugin knows its requests.
        end: called with a stream and why it may not be read any more.
        on_close: what each stream calls when it is gone.
        paths: of the documents that a stream follows.
    """

    def __init__(
        self,
        fields: Iterable[tuple[str, str]],
        end: Callable[[Any, CloseCode], None],
        on_close: Callable[..., None] | None = None,
        paths: Callable[[Any], Iterable[str]] | None = None,
    ) -> None:
        self._fields = tuple(fields)
        self._end = end
        self._on_close = on_close
        self._paths = paths or _own_path
        self._rights = Rights()
        self._former: Streams | None = None
        self._heir: Streams | None = None
        #: Somebody else serves them now.
        self.is_handed_over: bool = False
        #: Each with its number in the log.
        self._numbers: dict[Any, int] = {}
        # Few have these.
        self._roles: dict[Any, frozenset[str]] = {}
        self._expiries: dict[Any, float] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def start(self, rights: Rights) -> None:
        """Have rules that change counted for what is open."""
        self._rights = rights
        rights.hold(self)

    def add(
        self,
        stream: Any,
        roles: frozenset[str],
        expires: float | None,
        number: int = 0,
    ) -> None:
        """
        Begin to watch a stream.

        Args:
            stream: whose ``user`` and ``path`` say who reads what.
            roles: of the user.
            expires: when what names the user ends; None for never.
            number: in the log.
        """
        stream.on_close = self._on_close
        self._numbers[stream] = number
        if roles:
            self._roles[stream] = roles
        if expires is not None:
            self._expiries[stream] = expires

    def discard(self, stream: Any) -> int:
        """Forget a stream that is gone and return its number."""
        self._roles.pop(stream, None)
        self._expiries.pop(stream, None)
        return self._numbers.pop(stream, 0)

    def succeed(self, former: Streams) -> None:
        """Take over the streams of a plugin that is replaced, once that stops."""
        former._heir, self._former = self, former

    def stop(self) -> None:
        """Leave the streams to whoever comes after, or let them end."""
        if self._former is not None:
            # Never put in its place.
            self._former._heir = None
        if self._heir is not None:
            self._heir._take(self)
            return
        for stream in list(self._numbers):
            stream.on_drain()

    def _take(self, former: Streams) -> None:
        self._former = None
        former.is_handed_over = True
        for stream in former._numbers:
            stream.on_close = self._on_close
        self._numbers |= former._numbers
        self._roles |= former._roles
        self._expiries |= former._expiries
        former._numbers.clear()
        # Another configuration may have other rules.
        self._rights.changed()

    def refusal(self, stream: Any, path: str) -> Refusal | Awaitable[Refusal]:
        """Return why a stream may not follow the document at ``path``, or None."""
        probe = make_probe(path, stream.user, self._fields)
        probe.roles = self._roles.get(stream, frozenset())
        probe.expires = self._expiries.get(stream)
        return self._rights.refusal(probe)

    async def ask_again(self) -> None:
        """End every stream that may not be read any more."""
        for number, stream in enumerate(list(self._numbers), 1):
            for path in self._paths(stream):
                refusal = self.refusal(stream, path)
                if inspect.isawaitable(refusal):
                    refusal = await refusal
                if refusal is not None:
                    self._end(stream, refusal)
                    break
            if number % SLICE == 0:
                await asyncio.sleep(0)


def _own_path(stream: Any) -> tuple[str]:
    return (stream.path,)


def make_probe(
    path: str, user: str | None, fields: Iterable[tuple[str, str]]
) -> Request:
    """
    Return a request that asks whether somebody may read.

    Args:
        path: canonical.
        user: as whom the stream was opened, or None.
        fields: by which the plugin that asks knows its requests.
    """
    probe = Request("GET", path, url=path, path=path, headers=Headers(fields))
    probe.probe = True
    probe.user = user
    return probe


def _refusal_of(answer: Response | None) -> Refusal:
    if answer is None or isinstance(answer, MayRead):
        return None
    # Who has to log in again is told so; whoever may not is not to come back.
    if answer.status == 401 or 300 <= answer.status < 400:
        return CloseCode.AUTHENTICATION_EXPIRED
    return CloseCode.RIGHTS_REMOVED

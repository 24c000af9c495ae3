"""
The pipeline of one host: which plugin answers, and who looks at the answer.

A request goes through the plugins in configured order until one answers (the
request phase); the response then goes through all of them in the same order
(the response phase). Methods are plain or ``async``: plain ones are called
straight through, and a task is made only from the first awaitable on.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, get_args

from beamfast._phases import Phases
from beamfast.context import Context, Status
from beamfast.errors import DocumentError, HandshakeError, RequestError
from beamfast.http import Request, Response

__all__ = [
    "METHODS",
    "Context",
    "Pipeline",
    "Plugin",
    "Status",
    "replace_content",
    "response_to",
    "unanswered",
]

logger: logging.Logger = logging.getLogger("beamfast.pipeline")

#: Seconds that a pipeline which was replaced waits for its last requests.
RETIREMENT: Final = 30.0

METHODS: Final = "GET, HEAD, POST, PUT, DELETE, OPTIONS"

OptionsT = TypeVar("OptionsT")

#: Pairs of a field and a word in it of which a request has one; see :class:`Plugin`.
Needs = tuple[tuple[bytes, bytes], ...] | None


class Plugin(Generic[OptionsT]):
    """
    One concern of a host. Constructing it has no effects.

    Subclasses give their options as the type parameter, a frozen dataclass,
    and override one or both methods; a method that is not overridden costs
    nothing. Neither may keep the request.

    Args:
        options: an instance of the type parameter; its defaults when None.
    """

    name: ClassVar[str]
    options_type: ClassVar[type[Any]]
    #: Further spellings of options in configurations.
    aliases: ClassVar[Mapping[str, str]] = {}
    #: Plugins may be configured inside this one; they are in ``nested``.
    holds_plugins: ClassVar[bool] = False
    nested: tuple[Plugin[Any], ...] = ()
    #: What only those requests have that the plugin has anything to do with, in
    #: either phase: pairs of a field name and of a word in one of its values, both in
    #: lower case, the word empty for any value. None for plugins that see them all.
    needs_fields: ClassVar[Needs] = None

    def __init__(self, options: OptionsT | None = None) -> None:
        self.options: OptionsT = self.options_type() if options is None else options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if getattr(base, "__origin__", None) is Plugin:
                cls.options_type = get_args(base)[0]

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Answer the request, or return None to leave it to the next plugin."""
        return None

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Change ``response`` in place, return another one, or return None."""
        return None

    def check_place(self, before: Sequence[Plugin[Any]]) -> None:
        """
        Refuse a place in the pipeline that would be unsafe.

        Args:
            before: the plugins in front, those of an outer pipeline included.

        Raises:
            ValueError: says what is missing.
        """

    def start(self, context: Context) -> None:
        """Begin work that lasts as long as the host; called once, on the loop."""

    def stop(self) -> None:
        """Flush and free what :meth:`start` began."""

    async def finish(self) -> None:
        """Wait for what :meth:`stop` could only tell to end."""

    def reload(self, previous: Self) -> None:
        """
        Take over what the plugin in this place knew; called before :meth:`start`.

        Share it, and leave it whole: the previous plugin may go on instead.

        Args:
            previous: of the same class, from the configuration before.
        """


RequestMethod = Callable[
    [Request, Context], Response | Awaitable[Response | None] | None
]
RequestPhase = tuple[tuple[Needs, RequestMethod], ...]


class Pipeline(Phases[Request, Response, Context]):
    """
    The compiled plugin lists of one host, or of a plugin that holds others.

    Args:
        plugins: in configured order.
        context: handed to each call.
        server_header: ``Server`` field of every answer; None leaves it to the
            connection.
    """

    def __init__(
        self,
        plugins: Sequence[Plugin[Any]],
        context: Context,
        server_header: str | None = None,
    ) -> None:
        super().__init__(
            *(Response, context),
            tuple(
                (plugin.needs_fields, plugin.handle_request)
                for plugin in plugins
                if type(plugin).handle_request is not Plugin.handle_request
            ),
            tuple(
                (plugin.needs_fields, plugin.handle_response)
                for plugin in plugins
                if type(plugin).handle_response is not Plugin.handle_response
            ),
            server_header,
        )
        self._busy = 0
        self._idle: asyncio.Future[None] | None = None
        self.plugins: tuple[Plugin[Any], ...] = tuple(plugins)

    def take_over(self, previous: Pipeline) -> None:
        """Let plugins know their predecessors: those of the same name, in order."""
        _take_over(self.plugins, previous.plugins)

    async def retire(self) -> None:
        """Stop every plugin, after the last request that one of them answers."""
        try:
            if self._busy:
                self._idle = asyncio.get_running_loop().create_future()
                # One that takes longer fails where its plugin needs what is gone.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._idle, RETIREMENT)
        finally:
            self.stop()
        await self.finish()

    def start(self) -> None:
        """Start every plugin, in order; all or none."""
        for index, plugin in enumerate(self.plugins):
            try:
                plugin.start(self.context)
            except BaseException:
                self._stop(self.plugins[:index])
                raise

    def stop(self) -> None:
        """Stop every plugin; one that fails does not keep the others running."""
        self.context.rights.close()
        self._stop(self.plugins)

    async def finish(self) -> None:
        """Wait for what plugins told to end when they were stopped."""
        for plugin in self.plugins:
            try:
                await plugin.finish()
            except Exception:
                logger.exception("plugin %s could not finish", plugin.name)

    def _stop(self, plugins: Sequence[Plugin[Any]]) -> None:
        for plugin in plugins:
            try:
                plugin.stop()
            except Exception:
                logger.exception("plugin %s could not be stopped", plugin.name)

    # What the phases need when they are not done at once.

    def answer_to(self, error: Exception, request: Request) -> Response:
        """Return the response that an error of a plugin asks for."""
        return response_to(error, request)

    def unanswered(self, request: Request) -> Response:
        """Return what is said when no plugin answers."""
        return unanswered(request)

    def note(self, error: Exception, request: Request) -> None:
        """Log an error of the response phase, which changes nothing."""
        text = "response phase of %r failed (request %s)"
        logger.error(text, request, request.id, exc_info=error)

    def wait_handle(
        self, request: Request, pending: Awaitable[Response | None]
    ) -> Awaitable[Response]:
        """Go on with a request of which a plugin answers later."""
        self._busy += 1
        return self._wait_handle(request, pending)

    async def _wait_handle(
        self, request: Request, pending: Awaitable[Response | None]
    ) -> Response:
        try:
            try:
                answer = await pending
            except Exception as error:
                answer = response_to(error, request)
            done = self.answer(request, answer or unanswered(request))
            return done if isinstance(done, Response) else await done
        finally:
            self._busy -= 1
            if not self._busy and self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    async def wait_ask(
        self,
        request: Request,
        pending: Awaitable[Response | None],
        phase: RequestPhase,
    ) -> Response | None:
        """Finish a request phase of which ``phase`` comes behind what waits."""
        answer = await pending
        has_any = request.headers.has_any
        for needed, method in phase:
            if answer is not None:
                break
            if needed is not None and not has_any(needed):
                continue
            later = method(request, self.context)
            if isinstance(later, Response) or later is None:
                answer = later
            else:
                answer = await later
        return answer

    async def wait_answer(
        self,
        request: Request,
        response: Response,
        pending: Awaitable[Response | None],
        index: int,
    ) -> Response:
        """Finish a response phase whose method before ``index`` waits."""
        try:
            response = await pending or response
        except Exception as error:
            self.note(error, request)
        done = self.answer(request, response, index)
        return await done if inspect.isawaitable(done) else done


def _take_over(plugins: Sequence[Plugin[Any]], previous: Sequence[Plugin[Any]]) -> None:
    """Pair plugins with their predecessors, at every depth."""
    waiting: dict[type[Plugin[Any]], list[Plugin[Any]]] = {}
    for plugin in previous:
        waiting.setdefault(type(plugin), []).append(plugin)
    for plugin in plugins:
        if predecessors := waiting.get(type(plugin)):
            predecessor = predecessors.pop(0)
            plugin.reload(predecessor)
            _take_over(plugin.nested, predecessor.nested)


def response_to(error: Exception, request: Request) -> Response:
    """Return the response that ``error`` asks for; an unforeseen one is logged."""
    if isinstance(error, DocumentError):
        headers = [("X-Beamfast-Error", error.code)]
        if error.status == 503:
            headers.append(("Retry-After", "1"))
        return Response(error.status, str(error), headers=headers)
    if isinstance(error, RequestError):
        return Response(error.status, str(error))
    if isinstance(error, HandshakeError):
        return Response(error.status, str(error), headers=error.headers)
    logger.error("%r failed (request %s)", request, request.id, exc_info=error)
    return Response(500, "Internal server error")


def unanswered(request: Request) -> Response:
    """Return what the core says when no plugin answered."""
    if request.method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        return Response(404, "File not found")
    return Response(405, "Method not allowed", headers=[("Allow", METHODS)])


def replace_content(
    response: Response, status: int, text: str, content_type: str
) -> None:
    """Let an answer say something else; only fields about the old content go."""
    response.status = status
    response.body = text.encode()
    headers = response.headers
    for name in ("Content-Length", "Content-Encoding", "ETag", "Last-Modified"):
        headers.remove(name)
    headers.set("Content-Type", content_type)

"""
Foreign ASGI applications under an address: Starlette, FastAPI, Django and others.

The application stands in the pipeline like any plugin: what comes before it decides
who gets there, and what comes after sees its answers.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from beamfast.application import Application, HttpExchange, Lifespan, Message, Talk
from beamfast.errors import ConfigError
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin
from beamfast.protocol.handshake import (
    check_origin,
    check_upgrade,
    offered_subprotocols,
)


@dataclass(frozen=True)
class Options:
    """
    Options of the asgi-mount plugin.

    Attributes:
        path: address of the application and of everything below it.
        app: ``module:name`` of the application; a program may give it itself.
        max_size: bytes of an inbound WebSocket message; above it close 1009.
        allowed_origins: foreign origins whose pages may open WebSockets.
    """

    path: str = "/"
    app: str | Application = ""
    max_size: int = 2**20
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not self.path.startswith("/"):
            raise ValueError(f"{self.path} does not begin with a slash")
        if not self.app:
            raise ValueError("app is missing; give it as module:name")


class AsgiMount(Plugin[Options]):
    """Hand requests below a path to an application."""

    name = "asgi-mount"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._prefix = options.path.rstrip("/")
        self._app = _load(options.app)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lifespan: Lifespan | None = None

    def start(self, context: Context) -> None:
        """Begin the lifespan of the application."""
        self._lifespan = Lifespan(self._app)
        self._run(self._lifespan.run())

    def stop(self) -> None:
        """Tell the application that it ends."""
        if self._lifespan is not None:
            self._lifespan.end()

    async def finish(self) -> None:
        """Wait until it has; what it still does after that is cancelled."""
        if self._lifespan is not None:
            await self._lifespan.ended()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def handle_request(
        self, request: Request, context: Context
    ) -> Awaitable[Response | None] | None:
        """Ask the application about what is below its path."""
        prefix = self._prefix
        if not (request.path == prefix or request.path.startswith(prefix + "/")):
            return None
        if request.probe:
            return None
        if request.is_websocket:
            check_upgrade(request)
            allowed = (*self.options.allowed_origins, *context.allowed_origins)
            check_origin(request, allowed)
            return self._open(request)
        return self._answer(request)

    async def _ready(self) -> dict[str, Any]:
        assert self._lifespan is not None
        return await self._lifespan.started()

    def _scope(self, request: Request, kind: str, state: Any) -> Message:
        scheme = "https" if request.is_https else "http"
        host, _, port = (request.headers.get("host") or "localhost").partition(":")
        default = 443 if scheme == "https" else 80
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": request.http_version,
            "scheme": scheme.replace("http", "ws") if kind == "websocket" else scheme,
            "path": request.path,
            "raw_path": quote(request.path).encode("ascii"),
            "query_string": request.query.encode("latin-1"),
            "root_path": self._prefix,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": (request.remote_addr, 0),
            "server": (host, int(port) if port.isdecimal() else default),
            "state": state.copy(),
            # Not in the standard: what the plugins before know of the user.
            "beamfast": {"user": request.user, "roles": request.roles},
        }

    async def _answer(self, request: Request) -> Response:
        scope = self._scope(request, "http", await self._ready())
        exchange = HttpExchange(request)
        scope["method"] = request.method
        self._run(exchange.run(self._app, scope))
        return await exchange.response()

    async def _open(self, request: Request) -> Response:
        scope = self._scope(request, "websocket", await self._ready())
        scope["subprotocols"] = offered_subprotocols(request.headers)
        scope["extensions"] = {"websocket.http.response": {}}
        talk = Talk(self.options.max_size)
        self._run(talk.run(self._app, scope))
        return await talk.response()


def _load(app: str | Application) -> Application:
    if not isinstance(app, str):
        return app
    module, separator, name = app.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split(".") if separator else ["app"]:
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"plugin asgi-mount: {app}: {error}") from error
    application: Application = found
    return application

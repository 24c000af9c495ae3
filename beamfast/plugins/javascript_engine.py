"""
Answers made by scripts of the site, in JavaScript or Python.

A script gets ``{method, path, headers, body}`` and returns ``{status, headers,
body}``, or nothing to leave the request to the next plugin. JavaScript runs in a
process of its own with limits (``beamfast[js]``); Python runs in this one, so it is
for people who could as well change the server.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import types
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from beamfast.documents.disk import FileStamp
from beamfast.documents.location import Resolver
from beamfast.errors import DocumentError
from beamfast.http import Request, Response
from beamfast.javascript.process import ScriptFailed, ScriptProcess
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.javascript_engine")

SUFFIXES: Final = (".mjs", ".py")


@dataclass(frozen=True)
class Options:
    """
    Options of the javascript-engine plugin.

    Attributes:
        javascript_engine_enabled: answer at all.
        javascript_engine_scripts_dir: folder of the scripts, outside of what is
            served.
        javascript_engine_route: ``javascript_engine_route_<pattern>`` is the script
            for a path; ``_`` stands for ``/``, and ``*`` at the end for anything.
        time_limit: seconds that one answer may take.
        memory_limit_mb: MiB that one script may use; of JavaScript only.
        body_limit: bytes of a request body that a script gets.
    """

    javascript_engine_enabled: bool = True
    javascript_engine_scripts_dir: Path = Path("scripts")
    javascript_engine_route: Mapping[str, str] = field(default_factory=dict)
    time_limit: float = 5.0
    memory_limit_mb: int = 64
    body_limit: int = 2**20


class JavascriptEngine(Plugin[Options]):
    """Ask the script that is there for a path."""

    name = "javascript-engine"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._routes = {
            f"/{pattern.strip('_').replace('_', '/')}": script
            for pattern, script in self.options.javascript_engine_route.items()
        }
        self._folder = Resolver(
            str(self.options.javascript_engine_scripts_dir.resolve())
        )
        self._sources: dict[str, tuple[FileStamp, Any]] = {}
        self._process: ScriptProcess | None = None
        if any(self.options.javascript_engine_scripts_dir.rglob("*.mjs")):
            self._javascript()

    def stop(self) -> None:
        """End the process of the scripts."""
        if self._process is not None:
            self._process.close()

    def handle_request(
        self, request: Request, context: Context
    ) -> Awaitable[Response | None] | None:
        """Let a script answer, if there is one."""
        if (
            not self.options.javascript_engine_enabled
            or request.probe
            or request.is_websocket
        ):
            return None
        script = self._script(request.path)
        return None if script is None else self._run(script, request)

    async def _run(self, file: Path, request: Request) -> Response | None:
        body = await request.body(self.options.body_limit)
        given = {
            "method": request.method,
            "path": request.path,
            "headers": {name.lower(): value for name, value in request.headers},
            "body": body.decode("utf-8", "replace") if request.has_content else None,
        }
        kind = "JavaScript" if file.suffix == ".mjs" else "Python"
        try:
            if kind == "JavaScript":
                answer = await self._javascript().call(
                    str(file), self._loaded(file), given
                )
            else:
                answer = await self._python(self._loaded(file), given)
            return None if answer is None else as_response(answer)
        except Exception as error:
            if not isinstance(error, ScriptFailed):
                logger.exception("%s failed", file)
            text = str(error) or type(error).__name__
            logger.warning("%s: %s", file, text)
            return Response(500, f"{kind} error: {text}")

    async def _python(self, module: types.ModuleType, given: dict[str, Any]) -> Any:
        """Call ``handle``, in a thread unless it is ``async``."""
        handle = module.handle
        if inspect.iscoroutinefunction(handle):
            work: Awaitable[Any] = handle(given)
        else:
            work = asyncio.to_thread(handle, given)
        try:
            return await asyncio.wait_for(work, self.options.time_limit)
        except TimeoutError:
            raise ScriptFailed("it took too long") from None

    def _script(self, path: str) -> Path | None:
        """Return the file of the script for a path."""
        for name in self._names(path):
            try:
                location = self._folder.resolve(name)
            except DocumentError:
                continue
            if location.exists:
                return Path(location.file)
        return None

    def _names(self, path: str) -> list[str]:
        if path in self._routes:
            return [f"/{self._routes[path]}"]
        prefixes = [
            pattern
            for pattern in self._routes
            if pattern.endswith("*") and path.startswith(pattern[:-1])
        ]
        if prefixes:
            return [f"/{self._routes[max(prefixes, key=len)]}"]
        if path.endswith("/"):
            path += "index"
        return [path + suffix for suffix in SUFFIXES]

    def _javascript(self) -> ScriptProcess:
        if self._process is None:
            self._process = ScriptProcess(
                self.options.memory_limit_mb * 2**20, self.options.time_limit
            )
        return self._process

    def _loaded(self, file: Path) -> Any:
        """Return the source of a script, or its module, anew when it changed."""
        stamp = FileStamp.of(file.stat())
        known = self._sources.get(str(file))
        if known is None or known[0] != stamp or stamp.is_racy:
            loaded = file.read_text("utf-8") if file.suffix == ".mjs" else _module(file)
            known = self._sources[str(file)] = stamp, loaded
        return known[1]


def _module(file: Path) -> types.ModuleType:
    """Run a source file and return its module."""
    module = types.ModuleType(file.stem)
    module.__file__ = str(file)
    exec(compile(file.read_bytes(), file, "exec"), vars(module))  # noqa: S102 - the site's own
    return module


def as_response(answer: Any) -> Response:
    """
    Return what a script answered as a response.

    Raises:
        ScriptFailed: it is none.
    """
    if not isinstance(answer, Mapping):
        raise ScriptFailed("the answer is no object")
    status, body = answer.get("status", 200), answer.get("body")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ScriptFailed(f"status {status!r} is no status of an answer")
    if not isinstance(body, str | bytes | None):
        raise ScriptFailed("the body is no text")
    response = Response(status, body or b"")
    for name, value in (answer.get("headers") or {}).items():
        response.headers.set(str(name), str(value))
    # The connection counts for itself; a wrong number would split the answer.
    for name in ("Content-Length", "Transfer-Encoding", "Connection"):
        response.headers.remove(name)
    return response

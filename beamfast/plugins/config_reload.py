"""
Reload the server by a request: ``PATCH`` on the address of its configuration page.

The page can be edited like any other; this makes the edits count. Concerned with
that one address only, and only where an authorization plugin stands in front.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beamfast.errors import DocumentError
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

ALLOW: Final = "GET, PUT, DELETE, OPTIONS, PATCH, HEAD, POST"
GUARD: Final = "authorization"


@dataclass(frozen=True)
class Options:
    """Options of the config-reload plugin: there are none."""


class ConfigReload(Plugin[Options]):
    """Read the configuration again when it is patched."""

    name = "config-reload"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._is_guarded = False

    def check_place(self, before: Sequence[Plugin[Any]]) -> None:
        """Note whether somebody in front says who may."""
        self._is_guarded = any(plugin.name == GUARD for plugin in before)

    def handle_request(
        self, request: Request, context: Context
    ) -> Response | Awaitable[Response | None] | None:
        """Answer PATCH and OPTIONS of the configuration, leave the rest."""
        if request.method not in ("PATCH", "OPTIONS") or not self._concerns(
            request, context
        ):
            return None
        if request.method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Accept-Ranges", "selector")]
            return Response(200, headers=headers)
        if not self._is_guarded:
            return Response(
                403, f"Reloading needs the {GUARD} plugin in front of {self.name}"
            )
        return self._reload(request, context)

    def _concerns(self, request: Request, context: Context) -> bool:
        file = context.status.config_file
        if file is None:
            return False
        try:
            location = context.store.find(request.path)
        except DocumentError:
            return False
        return location.file == os.path.realpath(file)

    async def _reload(self, request: Request, context: Context) -> Response | None:
        if await request.body():
            # Whatever it means, it is not for us.
            return None
        # What was edited a moment ago may not be in the file yet.
        await context.committer.catch_up()
        await context.committer.flush()
        problems = await context.status.reload()
        if problems:
            return Response(422, "\n".join(problems))
        return Response(202, "Configuration reload initiated")

"""
Who looks at a page: ``Range: presence``, and items for clients that ask.

With this plugin in the pipeline the followers of each document are counted, in all
workers together. A GET with ``Range: presence`` answers with them in JSON. A
WebSocket with subprotocol ``beam.v1``, or an event stream, that is opened with
``?presence`` is told when somebody comes or goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin


@dataclass(frozen=True)
class Options:
    """
    Options of the presence plugin.

    Attributes:
        show_users: also name the followers, not only their number; one setting for
            all hosts that serve the same folder.
    """

    show_users: bool = True


class PresencePlugin(Plugin[Options]):
    """Answer who follows a document."""

    name = "presence"

    def start(self, context: Context) -> None:
        """Count the followers from now on."""
        context.committer.count_audience().is_named = self.options.show_users

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Answer GET and HEAD with ``Range: presence``."""
        if request.method not in ("GET", "HEAD"):
            return None
        if [value.lower() for value in request.headers.get_all("range")] != [
            "presence"
        ]:
            return None
        audience = context.committer.count_audience()
        location = context.store.find(request.path)
        roster = audience.roster(location)
        found: dict[str, object] = {"url": location.key, "count": roster.count}
        if roster.members is not None and audience.is_named:
            found["members"] = [member._asdict() for member in roster.members]
        return Response(
            206,
            msgspec.json.encode(found),
            content_type="application/json",
            headers=[
                ("Content-Range", "presence"),
                ("Cache-Control", "no-store"),
                ("Vary", "Range"),
            ],
        )

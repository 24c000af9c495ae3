"""
Pages that say what items of Rusty Beam's vocabulary may say, at ``/schema/…``.

For people who write users, rules and configurations, and for programs that build
forms of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from beamfast.documents.schema import Schema, schema_page
from beamfast.documents.vocabulary import SCHEMAS
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin


@dataclass(frozen=True)
class Options:
    """
    Options of the schema plugin.

    Attributes:
        path: below which the pages are.
    """

    path: str = "/schema"


class SchemaPages(Plugin[Options]):
    """Answer for the pages; every other request goes on."""

    name = "schema"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._path = f"/{self.options.path.strip('/')}"

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Return the page of a schema, or their list."""
        if request.method not in ("GET", "HEAD"):
            return None
        rest = request.path.removeprefix(self._path)
        if rest == request.path or (rest and not rest.startswith("/")):
            return None
        name = rest.strip("/").removesuffix("/index.html").removesuffix("index.html")
        if not name:
            return _page(self._list())
        schema = SCHEMAS.get(name)
        # Further pages may stand in the folder of that name.
        return None if schema is None else _page(schema_page(schema))

    def _list(self) -> str:
        items = "".join(map(self._item, SCHEMAS.values()))
        return f"<!DOCTYPE html>\n<title>Schemas</title>\n<ul>\n{items}</ul>\n"

    def _item(self, schema: Schema) -> str:
        link = f'<a href="{self._path}/{schema.name}/">{schema.name}</a>'
        return f"<li>{link}: {schema.description}\n"


def _page(text: str) -> Response:
    return Response(200, text, content_type="text/html; charset=utf-8")

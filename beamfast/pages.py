"""
The pages that come with plugins, and the addresses below the one they have.

A plugin at ``/chat`` has its page there, its WebSocket at the same address and at
``/chat/connect``, and the page's script at ``/chat/page.js``: a file of its own, so
that a ``Content-Security-Policy`` without inline scripts lets it run.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import resources
from typing import Final

from beamfast.http import Request, Response

#: Below the address of a page.
CONNECT: Final = "connect"
SCRIPT: Final = "page.js"


def find_place(path: str, urls: Collection[str]) -> tuple[str, str] | None:
    """
    Return which of ``urls`` a path belongs to, and what is below it.

    Args:
        path: of a request.
        urls: the addresses of a plugin, without a slash at the end.
    """
    if path in urls:
        return path, ""
    url, _, part = path.rpartition("/")
    return (url, part) if url in urls else None


def check_urls(urls: Collection[str]) -> None:
    """
    Refuse addresses that no request could have.

    Raises:
        ValueError: one does not begin with a slash, or ends with one.
    """
    for url in urls:
        if not url.startswith("/") or url.endswith("/"):
            raise ValueError(f"{url!r} has to begin with a slash and end without")


def page_response(
    request: Request, place: tuple[str, str], name: str, values: Mapping[str, str]
) -> Response | None:
    """
    Return a page or its script; None when the request is for neither.

    Args:
        request: of a browser.
        place: as :func:`find_place` returned it.
        name: of the files.
        values: what the page is told, as ``data-`` attributes of its ``html``.
    """
    url, part = place
    if request.method not in ("GET", "HEAD"):
        return None
    if part == SCRIPT:
        script = _file(f"{name}.js")
        return Response(200, script, content_type="text/javascript; charset=utf-8")
    if part:
        return None
    # Relative to the page, so that it works behind whatever prefix a proxy adds.
    below = url.rpartition("/")[2]
    told = "".join(
        f' data-{key}="{html.escape(value)}"'
        for key, value in {"url": below, **values}.items()
    )
    text = _file(f"{name}.html").replace("<html", "<html" + told, 1)
    text = text.replace(SCRIPT, html.escape(f"{below}/{SCRIPT}"))
    return Response(200, text, content_type="text/html; charset=utf-8")


@lru_cache(16)
def _file(name: str) -> str:
    return resources.files("beamfast.static").joinpath(name).read_text("utf-8")

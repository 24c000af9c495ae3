"""
The request target: its forms, its decoding and its normal form.

Standards: RFC 9112, section 3.2 (forms), RFC 3986, sections 2.1 and 5.2.4
(percent-encoding, dot segments). The authority form belongs to CONNECT, which
this server does not offer. Targets of clients are in
:mod:`beamfast.protocol.url`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote_to_bytes

from beamfast.errors import RequestError

# A registered name as DNS and configuration use it. RFC 3986, 3.2.2, would also
# allow sub-delimiters, but "a,b" is how a careless proxy joins two Host fields.
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+(?::[0-9]{0,5})?"
    r"|\[[0-9A-Fa-f:.]+\](?::[0-9]{0,5})?"
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_UNUSUAL_PATH: Final = re.compile(r"//|/\.")


class Target(NamedTuple):
    """
    What a request target says.

    Attributes:
        url: path as its sender spelled it, percent-decoded.
        path: ``url`` in normal form.
        query: what follows the ``?``, still encoded.
        authority: of the absolute form; None otherwise.
    """

    url: str
    path: str
    query: str
    authority: str | None = None


def is_authority(text: str) -> bool:
    """Tell whether ``text`` can stand in a ``Host`` field: host, optional port."""
    return _AUTHORITY.fullmatch(text) is not None


def parse_target(method: str, target: str) -> Target:
    """
    Read the target of a request.

    Raises:
        RequestError: 400, the target has no form that this method may use, or
            its path cannot be decoded.
    """
    if target == "*" and method == "OPTIONS":
        return Target("*", "*", "")
    # A fragment never reaches a server (RFC 9110, 7.1).
    if "#" in target:
        raise RequestError(400, "Fragment in request target")
    if target.startswith("/"):
        return Target(*split_path(target))
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise RequestError(400, "Invalid request target")
    end = min(at for at in (rest.find("/"), rest.find("?"), len(rest)) if at >= 0)
    authority, path = rest[:end], rest[end:]
    # User information in a target is to be treated as an error (RFC 9110, 4.2.4).
    if not is_authority(authority):
        raise RequestError(400, "Invalid authority in request target")
    if not path.startswith("/"):
        path = "/" + path
    return Target(*split_path(path), authority)


# The same few pages are asked for again and again.
@lru_cache(256)
def split_path(target: str) -> tuple[str, str, str]:
    """
    Return url, path and query of a target that begins with a slash.

    Raises:
        RequestError: 400, the path cannot be decoded.
    """
    raw, _, query = target.partition("?")
    url = decode_path(raw)
    return url, normalize_path(url), query


def decode_path(raw: str) -> str:
    """
    Percent-decode a path.

    Raises:
        RequestError: 400, an escape is incomplete, is not UTF-8, or hides a
            control character.
    """
    if "%" not in raw:
        return raw
    if _BAD_ESCAPE.search(raw):
        raise RequestError(400, "Invalid URI encoding")
    try:
        url = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(400, "Invalid URI encoding") from None
    if _CONTROL.search(url):
        raise RequestError(400, "Control character in path")
    return url


def normalize_path(url: str) -> str:
    """
    Remove dot segments and repeated slashes.

    A path that climbs above the root keeps a leading ``/..``, so that it names
    nothing, instead of becoming another path (RFC 3986, 5.2.4, would cut it).
    """
    if not _UNUSUAL_PATH.search(url):
        return url
    segments: list[str] = []
    parts = url.split("/")
    for part in parts:
        if part == ".." and segments and segments[-1] != "..":
            segments.pop()
        elif part not in ("", "."):
            segments.append(part)
    path = "/" + "/".join(segments)
    is_folder = parts[-1] in ("", ".", "..") and path != "/"
    return path + "/" if is_folder and segments[-1] != ".." else path


def query_parameter(query: str, name: str) -> str | None:
    """Return the first value of a parameter of a query, decoded, or None."""
    if not query:
        return None
    return parse_qs(query, keep_blank_values=True).get(name, [None])[0]

"""
From a request path to a file inside the document root; the only such resolver.

Every plugin asks here, so that ``/dir``, ``/dir/`` and ``/dir/index.html`` are the
same document for reading, writing and subscribing. Paths arrive percent-decoded,
with dot segments removed except those that climb above the root (RFC 3986, 5.2.4).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from beamfast.errors import AccessDenied, DocumentError, DocumentNotFound

#: Directory of the server's own state; its content is never served.
STATE_DIRECTORY: Final = ".beam"
#: Temporary files of atomic writes begin so.
TEMPORARY_PREFIX: Final = ".beamfast-"

_MAX_NAME: Final = 255
_MAX_PATH: Final = 4096

_TEXT: Final = {
    "css": "text/css",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "js": "application/javascript",
    "json": "application/json",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "application/javascript",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "webmanifest": "application/manifest+json",
}
# XML names its charset itself, and a parameter here would overrule it.
_OTHER: Final = {
    "atom": "application/atom+xml",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "gz": "application/gzip",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "rss": "application/rss+xml",
    "svg": "image/svg+xml",
    "ttf": "font/ttf",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class Location:
    """
    Where a request path leads.

    Attributes:
        key: path inside the root after symbolic links and index files; equal for
            every spelling of the same document.
        file: absolute path of the file, links resolved.
        media_type: value of ``Content-Type``, by extension.
        is_html: the file is HTML.
        is_xml: the file is XML.
        is_directory: the path names a directory that has no index file.
        exists: there is a regular file.
    """

    key: str
    file: str
    media_type: str
    is_html: bool
    is_xml: bool
    is_directory: bool
    exists: bool

    @property
    def has_elements(self) -> bool:
        """True for a document: it has a version, a journal and followers."""
        return self.is_html or self.is_xml


def media_type(name: str, charset: str) -> str:
    """
    Return the ``Content-Type`` for a file name.

    Args:
        name: file name; only its extension counts.
        charset: parameter for text; ``none`` leaves it out.
    """
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    text = _TEXT.get(extension)
    if text is None:
        return _OTHER.get(extension, "application/octet-stream")
    return text if charset == "none" else f"{text}; charset={charset}"


@dataclass(frozen=True, slots=True)
class Resolver:
    """
    Turns paths into locations.

    Attributes:
        root: the document root, absolute, links resolved.
        hide_dotfiles: names that begin with a dot do not exist for clients.
        index_file: what stands for a directory.
        charset: of text files, or ``none``.
    """

    root: str
    hide_dotfiles: bool = True
    index_file: str = "index.html"
    charset: str = "utf-8"

    def resolve(self, path: str) -> Location:
        """
        Return where ``path`` leads; the file need not exist.

        Raises:
            DocumentError: (400) it is not a path that a file can have.
            DocumentNotFound: it climbs above the root, is too long, or hidden.
            AccessDenied: a symbolic link leads out of the root.
        """
        names = self._names(path)
        plain = "/".join((self.root, *names))
        mode = _mode(plain)
        names_directory = stat.S_ISDIR(mode) or (mode == 0 and path.endswith("/"))
        if names_directory or path.endswith("/"):
            plain = f"{plain}/{self.index_file}"
            mode = _mode(plain)
        # A link is followed before anything is decided, also where its target is
        # missing: writing through it must not leave the root either.
        file = os.path.realpath(plain)
        key = self._key(file)
        exists = stat.S_ISREG(mode)
        # Devices and pipes would block whoever opens them.
        if mode and not exists and not stat.S_ISDIR(mode):
            raise AccessDenied("Access denied")
        kind = media_type(file.rpartition("/")[2], self.charset)
        return Location(
            key=key,
            file=file,
            media_type=kind,
            is_html=kind.startswith("text/html"),
            is_xml=kind == "application/xml" or kind.endswith("+xml"),
            is_directory=names_directory
            and not exists
            and stat.S_ISDIR(_mode(file.rpartition("/")[0])),
            exists=exists,
        )

    def _names(self, path: str) -> list[str]:
        if not path.startswith("/") or any(
            char < " " or char == "\x7f" for char in path
        ):
            raise DocumentError("Invalid path", code="bad-path")
        try:
            length = len(path.encode())
        except UnicodeEncodeError:
            raise DocumentError("Invalid path", code="bad-path") from None
        names = [name for name in path.split("/") if name not in ("", ".")]
        for name in names:
            if (
                name == ".."
                or length > _MAX_PATH
                or len(name.encode()) > _MAX_NAME
                or name == STATE_DIRECTORY
                or name.startswith(TEMPORARY_PREFIX)
                or (self.hide_dotfiles and name.startswith("."))
            ):
                raise DocumentNotFound("File not found")
        return names

    def _key(self, file: str) -> str:
        inside = self.root.rstrip("/") + "/"
        if not file.startswith(inside):
            raise AccessDenied("Access denied")
        key = file[len(inside) - 1 :]
        if STATE_DIRECTORY in key.split("/"):
            raise DocumentNotFound("File not found")
        return key


def _mode(file: str) -> int:
    """Return the kind of a file, 0 when there is none."""
    try:
        return Path(file).stat().st_mode
    except PermissionError:
        raise AccessDenied("Access denied") from None
    except OSError:
        return 0

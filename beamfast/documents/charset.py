"""
Bytes of an HTML file to text and back, so that every byte returns.

Standard: the order of BOM, transport, label and guess follows the WHATWG HTML
"encoding sniffing algorithm" and the labels the WHATWG Encoding standard. Left
out: UTF-16 and UTF-32 (such files are served, never edited), ISO-2022-JP (its
escape states make the length of a prefix depend on what follows).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from beamfast.errors import EditRefused

_UTF8_BOM: Final = codecs.BOM_UTF8
_WIDE_BOMS: Final = (
    codecs.BOM_UTF32_LE,
    codecs.BOM_UTF32_BE,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
)
_PRESCAN: Final = 1024

# Comments are taken out first: a commented-out label does not count.
_COMMENT: Final = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_LABEL: Final = re.compile(
    rb"<meta[\s/][^>]*?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:\-]+)", re.IGNORECASE
)

# Labels whose Python codec has another name or another repertoire.
_WHATWG: Final = {
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    # A label inside the file that says UTF-16 is wrong by construction.
    "utf-16": "utf-8",
    "utf-16le": "utf-8",
    "utf-16be": "utf-8",
    "ascii": "windows-1252",
    "us-ascii": "windows-1252",
    "latin1": "windows-1252",
    "l1": "windows-1252",
    "cp1252": "windows-1252",
    "x-cp1252": "windows-1252",
    "iso-8859-1": "windows-1252",
    "iso8859-1": "windows-1252",
    "iso_8859-1": "windows-1252",
    "x-user-defined": "windows-1252",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-9": "windows-1254",
    "latin5": "windows-1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "latin2": "iso-8859-2",
    "l2": "iso-8859-2",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "x-gbk": "gb18030",
    "big5": "cp950",
    "x-x-big5": "cp950",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "ibm866": "cp866",
}
_AS_PYTHON: Final = re.compile(
    r"utf-8|iso-8859-(?:[2-8]|1[03-6])|windows-125\d|koi8-[ru]|euc-jp|gb18030"
)
_MULTIBYTE: Final = frozenset(("utf-8", "cp932", "cp949", "cp950", "gb18030", "euc-jp"))

# Python leaves five bytes of windows-1252 undefined; the Encoding standard maps
# them to the C1 controls of the same number.
_CP1252: Final = "".join(
    chr(byte)
    if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
    else bytes((byte,)).decode("cp1252")
    for byte in range(256)
)
_CP1252_ENCODING: Final = codecs.charmap_build(_CP1252)


@dataclass(frozen=True, slots=True)
class Codec:
    """
    How one file turns into text; ``encode`` undoes ``decode`` exactly.

    Attributes:
        name: of the Python codec, or ``windows-1252`` for the table above.
        bom: byte order mark that stands before the text.
        has_escapes: bytes that are not UTF-8 stand in the text as lone surrogates.
    """

    name: str
    bom: bytes = b""
    has_escapes: bool = False

    @property
    def is_single_byte(self) -> bool:
        """True when every character is one byte."""
        return self.name not in _MULTIBYTE

    @property
    def _errors(self) -> str:
        return "surrogateescape" if self.has_escapes else "strict"

    def decode(self, data: bytes) -> str:
        """Return the text of ``data``, which has no byte order mark."""
        if self.name == "windows-1252":
            return codecs.charmap_decode(data, "strict", _CP1252)[0]
        return data.decode(self.name, self._errors)

    def encode(self, text: str) -> bytes:
        """Return the bytes of text that ``decode`` made."""
        if self.name == "windows-1252":
            return codecs.charmap_encode(text, "strict", _CP1252_ENCODING)[0]
        return text.encode(self.name, self._errors)

    def encode_content(self, text: str) -> bytes:
        """Return the bytes of new text; what does not fit becomes a reference."""
        if self.name == "windows-1252":
            return codecs.charmap_encode(text, "xmlcharrefreplace", _CP1252_ENCODING)[0]
        return text.encode(self.name, "xmlcharrefreplace")


def decode(source: bytes, charset: str | None = None) -> tuple[Codec, str]:
    """
    Return the codec of a file and its text without the byte order mark.

    Args:
        source: the whole file.
        charset: label that the transport names, which wins over the file's own.

    Raises:
        EditRefused: (code ``encoding``) no codec gives the same bytes back.
    """
    if source.startswith(_UTF8_BOM):
        return _decode_utf8(source[len(_UTF8_BOM) :], _UTF8_BOM)
    if source.startswith(_WIDE_BOMS):
        raise EditRefused("UTF-16 and UTF-32 files cannot be edited", code="encoding")
    name = _known(charset) or _labelled(source)
    if name == "utf-8":
        return _decode_utf8(source)
    if name is None:
        try:
            return Codec("utf-8"), source.decode()
        except UnicodeDecodeError:
            name = "windows-1252"
    codec = Codec(name)
    try:
        text = codec.decode(source)
        faithful = name == "windows-1252" or codec.encode(text) == source
    except UnicodeError as error:
        raise EditRefused(f"not {name}: {error}", code="encoding") from None
    if not faithful:
        raise EditRefused(f"{name} does not give the bytes back", code="encoding")
    return codec, text


def _decode_utf8(data: bytes, bom: bytes = b"") -> tuple[Codec, str]:
    try:
        return Codec("utf-8", bom), data.decode()
    except UnicodeDecodeError:
        codec = Codec("utf-8", bom, has_escapes=True)
        return codec, codec.decode(data)


def _known(label: str | None) -> str | None:
    if not label:
        return None
    name = label.strip().lower()
    name = _WHATWG.get(name, name)
    return name if _AS_PYTHON.fullmatch(name) or name in _WHATWG.values() else None


def _labelled(source: bytes) -> str | None:
    match = _LABEL.search(_COMMENT.sub(b"", source[:_PRESCAN]))
    return _known(match[1].decode("ascii")) if match else None

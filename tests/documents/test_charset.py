"""Charsets: every byte of a file returns."""

import codecs

import pytest
from hypothesis import given, strategies as st

from beamfast.documents.charset import Codec, decode
from beamfast.errors import EditRefused

LABELS = [
    "utf-8",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "windows-1251",
    "koi8-r",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gbk",
    "big5",
    "macintosh",
]


def labelled(label, rest=b""):
    return b'<!doctype html><meta charset="' + label.encode() + b'">' + rest


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (b"<p>plain", "utf-8"),
        ("<p>é€😀".encode(), "utf-8"),
        (b"<p>\xe9", "windows-1252"),
        (codecs.BOM_UTF8 + b"\xff", "utf-8"),
        (labelled("ISO-8859-2", b"\xb1"), "iso-8859-2"),
        (labelled("latin1"), "windows-1252"),
        (labelled("utf-16"), "utf-8"),
        (labelled("no-such-charset", b"\xe9"), "windows-1252"),
        (labelled("rot13"), "utf-8"),
        (b"<!--" + labelled("koi8-r") + b"-->\xe9", "windows-1252"),
        (b" " * 1024 + labelled("koi8-r"), "utf-8"),
        (b"<meta http-equiv=x content='text/html; charset=koi8-r'>\xe9", "koi8-r"),
    ],
)
def test_the_codec_is_found_as_a_browser_finds_it(source, name):
    assert decode(source)[0].name == name


def test_the_transport_wins_over_the_label_and_loses_to_the_bom():
    assert decode(labelled("koi8-r"), "iso-8859-2")[0].name == "iso-8859-2"
    assert decode(codecs.BOM_UTF8 + b"a", "iso-8859-2")[0].name == "utf-8"


def test_the_bom_is_not_part_of_the_text():
    codec, text = decode(codecs.BOM_UTF8 + b"<p>")
    assert (codec.bom, text) == (codecs.BOM_UTF8, "<p>")


@pytest.mark.parametrize("name", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_files_cannot_be_edited(name):
    bom = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}
    with pytest.raises(EditRefused) as caught:
        decode(bom.get(name, b"") + "<p>".encode(name))
    assert caught.value.code == "encoding"


def test_bytes_that_the_codec_does_not_know_cannot_be_edited():
    with pytest.raises(EditRefused) as caught:
        decode(labelled("shift_jis", b"\x81"))
    assert caught.value.code == "encoding"


def test_a_codec_that_loses_bytes_is_noticed():
    # cp932 reads both 81CA and FA54 as the same character.
    with pytest.raises(EditRefused, match="bytes back"):
        decode(labelled("shift_jis", b"\xfa\x54"))


def test_the_five_undefined_bytes_of_windows_1252_are_kept():
    raw = b"\x81\x8d\x8f\x90\x9d\x80"
    codec, text = decode(raw)
    assert text == "\x81\x8d\x8f\x90\x9d€"
    assert codec.encode(text) == raw


def test_characters_that_do_not_fit_become_references():
    assert Codec("windows-1252").encode_content("é€ž漢") == b"\xe9\x80\x9e&#28450;"
    assert Codec("iso-8859-2").encode_content("ąé漢") == b"\xb1\xe9&#28450;"
    assert Codec("utf-8").encode_content("é漢") == "é漢".encode()


@pytest.mark.parametrize("label", [None, *LABELS])
@given(rest=st.binary())
def test_decoding_and_encoding_gives_the_bytes_back_or_refuses(label, rest):
    source = rest if label is None else labelled(label, rest)
    try:
        codec, text = decode(source)
    except EditRefused as error:
        assert error.code == "encoding"
    else:
        assert codec.bom + codec.encode(text) == source


def test_single_byte_codecs_say_so():
    assert Codec("windows-1252").is_single_byte
    assert Codec("koi8-r").is_single_byte
    assert not Codec("utf-8").is_single_byte
    assert not Codec("gb18030").is_single_byte

import pytest

from beamfast.commit.publication import RESET_LIMIT, Publication, WireForms
from beamfast.documents.streamitem import (
    LEGACY_TYPE,
    SCHEMA_TYPE,
    render,
    render_reset,
)
from beamfast.entry import Entry, Version

VERSION = Version(3, "0123456789abcdef")
EDIT = Entry(method="PUT", url="/a", selector="#x", content="<p>hi</p>")
FILE = Entry(method="file", url="/a")


class Viewer:
    takes_resets = True
    on_close = None

    @staticmethod
    def frame_item(text, version, event):
        return f"{version} {event} {text}".encode()


class Plain(Viewer):
    takes_resets = False


@pytest.fixture
def forms():
    return WireForms()


def test_an_edit_is_one_item_with_its_version(forms):
    for itemtype in (SCHEMA_TYPE, LEGACY_TYPE):
        form = forms.get(Viewer(), itemtype)
        item = render(EDIT, itemtype)
        expected = f"{VERSION} None {item}".encode()
        assert form(Publication(VERSION, EDIT)) == expected


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (b"<p>\xc3\xa9", "<p>\u00e9"),
        (b"<p>\xff", "<p>\ufffd"),
        (None, ""),
        (b"", ""),
        (b"x" * RESET_LIMIT, "x" * RESET_LIMIT),
        (b"x" * (RESET_LIMIT + 1), None),
    ],
    ids=["text", "not UTF-8", "gone", "empty", "at the limit", "over the limit"],
)
def test_a_change_of_the_whole_document_is_a_reset(forms, source, content):
    form = forms.get(Viewer(), SCHEMA_TYPE)
    item = render_reset("/a", content, SCHEMA_TYPE)
    expected = f"{VERSION} reset {item}".encode()
    assert form(Publication(VERSION, FILE, source)) == expected


def test_who_does_not_know_resets_gets_none(forms):
    form = forms.get(Plain(), SCHEMA_TYPE)
    assert form(Publication(VERSION, FILE, b"<p>")) == b""
    assert form(Publication(VERSION, EDIT)) != b""


def test_subscribers_of_one_kind_share_one_form(forms):
    assert forms.get(Viewer(), SCHEMA_TYPE) is forms.get(Viewer(), SCHEMA_TYPE)


def test_item_types_and_kinds_have_their_own_form(forms):
    class Other(Viewer):
        @staticmethod
        def frame_item(text, version, event):
            return text.encode()

    kinds = [
        forms.get(Viewer(), SCHEMA_TYPE),
        forms.get(Viewer(), LEGACY_TYPE),
        forms.get(Other(), SCHEMA_TYPE),
        forms.get(Plain(), SCHEMA_TYPE),
    ]
    assert len(set(kinds)) == 4

import pytest

from beamfast.commit.publication import (
    RESET_LIMIT,
    ItemForm,
    Publication,
    WireForms,
    version_frame,
)
from beamfast.documents.streamitem import (
    LEGACY_TYPE,
    SCHEMA_TYPE,
    parse,
    render,
    render_reset,
)
from beamfast.entry import Entry, Version

VERSION = Version(3, "0123456789abcdef")
PREVIOUS = Version(2, "fedcba9876543210")
EDIT = Entry(method="PUT", url="/a", selector="#x", content="<p>hi</p>")
FILE = Entry(method="file", url="/a")


class Viewer:
    on_close = None

    @staticmethod
    def frame_item(text, version, event):
        return f"{version} {event} {text}".encode()


def publication(entry, source=None):
    return Publication.of_entry(PREVIOUS, VERSION, entry, source)


@pytest.fixture
def forms():
    return WireForms()


def test_an_edit_is_one_item_with_its_version(forms):
    for itemtype in (SCHEMA_TYPE, LEGACY_TYPE):
        form = forms.get(Viewer(), ItemForm(itemtype))
        item = render(EDIT, itemtype)
        expected = f"{VERSION} None {item}".encode()
        assert form(publication(EDIT)) == expected


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (b"<p>\xc3\xa9", "<p>\u00e9"),
        (b"<p>\xe9", "<p>\u00e9"),
        (b"<meta charset=koi8-r><p>\xc1", "<meta charset=koi8-r><p>\u0430"),
        (b"\xef\xbb\xbf<p>\xff", "<p>\ufffd"),
        (b"\xff\xfe<\x00p\x00>\x00", None),
        (None, ""),
        (b"", ""),
        (b"x" * RESET_LIMIT, "x" * RESET_LIMIT),
        (b"x" * (RESET_LIMIT + 1), None),
    ],
    ids=[
        *("UTF-8", "not UTF-8", "with a label", "broken UTF-8", "UTF-16"),
        *("gone", "empty", "at the limit", "over the limit"),
    ],
)
def test_a_change_of_the_whole_document_is_a_reset(forms, source, content):
    form = forms.get(Viewer(), ItemForm())
    item = render_reset("/a", content, SCHEMA_TYPE)
    expected = f"{VERSION} reset {item}".encode()
    assert form(publication(FILE, source)) == expected


def test_who_does_not_know_resets_gets_none(forms):
    form = forms.get(Viewer(), ItemForm(takes_resets=False))
    assert form(publication(FILE, b"<p>")) == b""
    assert form(publication(EDIT)) != b""


def test_a_versioned_item_says_where_it_comes_from(forms):
    form = forms.get(Viewer(), ItemForm(is_versioned=True))
    item = parse(form(publication(EDIT)).decode().split(" ", 2)[2])
    assert (item.method, item.version) == ("PUT", VERSION)
    reset = parse(form(publication(FILE, b"<p>")).decode().split(" ", 2)[2])
    assert (reset.method, reset.version, reset.content) == ("RESET", VERSION, "<p>")


def test_a_reset_has_a_selector_for_those_who_expect_one(forms):
    form = forms.get(Viewer(), ItemForm(reset_selector="html"))
    reset = parse(form(publication(FILE, b"<p>")).decode().split(" ", 2)[2])
    assert reset.selector == "html"


def test_a_stream_begins_with_its_version():
    frame = version_frame(Viewer(), ItemForm(is_versioned=True), "/a", VERSION)
    item = parse(frame.decode().split(" ", 2)[2])
    assert (item.method, item.url, item.version) == ("VERSION", "/a", VERSION)


def test_subscribers_of_one_kind_share_one_form(forms):
    assert forms.get(Viewer(), ItemForm()) is forms.get(Viewer(), ItemForm())


def test_item_types_and_kinds_have_their_own_form(forms):
    class Other(Viewer):
        @staticmethod
        def frame_item(text, version, event):
            return text.encode()

    kinds = [
        forms.get(Viewer(), ItemForm()),
        forms.get(Viewer(), ItemForm(LEGACY_TYPE)),
        forms.get(Viewer(), ItemForm(is_versioned=True)),
        forms.get(Viewer(), ItemForm(takes_resets=False)),
        forms.get(Other(), ItemForm()),
    ]
    assert len(set(kinds)) == 5

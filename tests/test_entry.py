import hashlib

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from beamfast.entry import Entry, Splice, Version

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers(0, 2**53)
versions = st.builds(
    Version,
    st.integers(0, 10**18 - 1),
    st.binary(min_size=8, max_size=8).map(bytes.hex),
)
splices = st.builds(Splice, numbers, numbers, st.binary(max_size=20))
entries = st.builds(
    Entry,
    operation_id=texts,
    method=st.sampled_from(["PUT", "POST", "DELETE", "import", "file", "gone"]),
    url=texts,
    selector=texts,
    content=texts,
    wrapper=texts,
    attributes=st.none() | st.dictionaries(texts, texts, max_size=3),
    position=st.lists(numbers, max_size=4).map(tuple),
    count=numbers,
    splices=st.lists(splices, max_size=3).map(tuple),
    length_before=numbers,
    length_after=numbers,
    user=texts,
    time=numbers,
)


def test_a_document_that_nobody_edited_has_the_hash_of_its_bytes():
    digest = hashlib.blake2b(b"<p>hi</p>", digest_size=8).hexdigest()
    assert Version.of_file(b"<p>hi</p>") == (0, digest)


def test_the_chain_covers_everything_before():
    start = Version(4, "0123456789abcdef")
    digest = hashlib.blake2b(b"0123456789abcdefevent", digest_size=8).hexdigest()
    assert start.next(b"event") == Version(5, digest)
    assert start.next(b"event") != Version(4, "0" * 16).next(b"event")


def test_two_histories_that_differ_once_never_meet_again():
    left = right = Version.of_file(b"")
    left, right = left.next(b"a"), right.next(b"b")
    for event in (b"c", b"d"):
        left, right = left.next(event), right.next(event)
        assert left.revision == right.revision
        assert left.chain != right.chain


@given(versions)
def test_the_text_form_comes_back(version):
    assert Version.parse(str(version)) == version


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "-0123456789abcdef",
        "01-0123456789abcdef",
        "+1-0123456789abcdef",
        "1-0123456789ABCDEF",
        "1-0123456789abcde",
        "1-0123456789abcdef0",
        "1-0123456789abcdef\n",
        '"1-0123456789abcdef"',
        "\u0661-0123456789abcdef",
        f"{10**18}-0123456789abcdef",
    ],
)
def test_what_is_not_a_version_is_none(text):
    assert Version.parse(text) is None


@given(entries)
def test_an_entry_comes_back_from_its_event(entry):
    assert Entry.from_event(entry.event()) == entry


def test_the_same_entry_has_the_same_event():
    one, other = (Entry(method="PUT", url="/a", selector="p") for _ in range(2))
    assert one.event() == other.event()


@pytest.mark.parametrize(
    ("method", "is_element_edit"),
    [
        *((method, True) for method in ("PUT", "POST", "DELETE")),
        *((method, False) for method in ("import", "file", "append", "gone")),
    ],
)
def test_element_edits_are_told_from_changes_of_the_document(method, is_element_edit):
    assert Entry(method=method, url="/").is_element_edit is is_element_edit


def test_a_record_of_another_schema_is_refused():
    event = Entry(schema=2, method="PUT", url="/").event()
    with pytest.raises(ValueError, match="unknown schema 2"):
        Entry.from_event(event)


@given(st.binary(max_size=40))
@example(b"\x94\xcf\x00\x00\x00\x00\x00\x00\x00\x00\xa1\x80")  # not UTF-8
def test_bytes_that_are_no_record_are_refused(event):
    with pytest.raises(ValueError, match="not a journal record"):
        Entry.from_event(event)


def test_a_record_of_the_wrong_shape_is_refused():
    event = msgspec.msgpack.encode({"method": "PUT", "url": "/"})
    with pytest.raises(ValueError, match="not a journal record"):
        Entry.from_event(event)

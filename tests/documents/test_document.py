"""Documents: snapshots, and the bytes of their elements."""

import codecs

import pytest

from beamfast.documents.document import Document
from beamfast.documents.selector import Selector
from beamfast.entry import Splice, Version
from beamfast.errors import EditRefused


def element_bytes(source, css):
    document = Document(source)
    return [document.element_bytes(found) for found in document.select(Selector(css))]


def test_the_version_of_a_file_is_revision_zero():
    document = Document(b"<p>a")
    assert document.version == Version.of_file(b"<p>a")
    assert Document(b"<p>a", Version(3, "0" * 16)).version.revision == 3


def test_elements_are_given_as_the_file_spells_them():
    source = b"<!doctype html><P Title='x'>a&amp;b</P >\n<p>c\n<p>d"
    assert element_bytes(source, "p") == [
        b"<P Title='x'>a&amp;b</P >",
        b"<p>c\n",
        b"<p>d",
    ]


def test_a_match_inside_a_match_appears_in_both():
    assert element_bytes(b"<div>a<div>b</div></div>", "div") == [
        b"<div>a<div>b</div></div>",
        b"<div>b</div>",
    ]


def test_a_clone_is_serialized_because_it_has_no_bytes():
    assert element_bytes("<b><p>é</b>y</p>".encode(), "p b") == ["<b>é</b>".encode()]


def test_an_implied_element_is_given_by_position():
    assert element_bytes(b"<table><tr><td>1</table>", "tbody") == [b"<tr><td>1"]


def test_files_that_cannot_be_edited_are_documents_all_the_same():
    source = codecs.BOM_UTF16_LE + "<p>a".encode("utf-16-le")
    document = Document(source)
    assert document.source == source
    assert document.size == len(source)
    with pytest.raises(EditRefused) as caught:
        document.select(Selector("p"))
    assert caught.value.code == "encoding"


def test_hostile_markup_is_not_parsed():
    with pytest.raises(EditRefused) as caught:
        assert Document(b"".join(b"<BoDy a%d>" % nth for nth in range(9000))).html
    assert caught.value.code == "hostile-markup"


def test_64_root_tags_are_accepted_and_65_are_not():
    assert Document(b"<html>" * 32 + b"<body>" * 32).html
    with pytest.raises(EditRefused):
        assert Document(b"<html>" * 32 + b"<body>" * 33).html


def test_the_limit_holds_over_splices_and_refuses_nothing_else():
    document = Document(b"<body><p>")
    assert document.html
    for _ in range(40):
        document = document.spliced([Splice(9, 0, b"<i>")], 0)
        assert document.html
    document = document.spliced([Splice(9, 0, b"<body>" * 64)], 64)
    with pytest.raises(EditRefused):
        assert document.html


def test_several_splices_apply_in_one_pass():
    document = Document(b"0123456789")
    after = document.spliced([Splice(1, 2, b"a"), Splice(5, 0, b"b")], 0)
    assert after.source == b"0a34b56789"


def test_the_tree_is_made_when_needed_kept_and_dropped():
    document = Document(b"<p>a")
    assert (document.has_tree, document.cost) == (False, 4)
    tree = document.html
    assert document.html is tree
    assert document.cost == 12 * 4
    assert document.take_tree() is tree
    assert not document.has_tree
    assert document.html is not tree
    document.drop_tree()
    assert document.cost == 4
    assert document.select(Selector("p"))


def test_another_version_shares_the_tree():
    document = Document(b"<p>a")
    tree = document.html
    later = document.with_version(Version(1, "a" * 16))
    assert later.html is tree
    assert later.version.revision == 1
    assert document.version.revision == 0
    assert "1-aaaa" in repr(later)


def test_the_transport_charset_is_kept_through_an_edit():
    document = Document(b"\xb1<p>", charset="iso-8859-2")
    after = document.spliced([Splice(0, 0, b"\xb1")], 0)
    assert after.text.text == "ąą<p>"
    assert after.codec.name == "iso-8859-2"


def test_declarative_shadow_roots_stay_templates():
    source = b"<div><template shadowrootmode=open><p>a</p></template></div>"
    assert element_bytes(source, "template") == [source[5:-6]]


def test_100000_nested_elements_are_selected_and_freed():
    document = Document(b"<div>" * 100_000)
    found = document.select(Selector("div:last-child"))
    assert document.element_bytes(found[-1])

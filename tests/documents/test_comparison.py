"""Two trees compared: what counts as equal, and how a difference is named."""

import pytest
import turbohtml

from beamfast.documents.comparison import (
    difference,
    is_same_tree,
    moved_place,
    place_in,
)


def tree(html):
    return turbohtml.parse(html, allow_declarative_shadow_roots=False)


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        ("<p>a</p>\n", "<p>a</p>"),
        ("<body><p>a</p>\n</body></html>\n\n", "<body><p>a</p></body>"),
        ("<html>\n<head>\n<title>x</title></head>", "<head><title>x</title></head>"),
        ("<body>a\n", "<body>\na"),
    ],
)
def test_white_space_that_parsers_move_does_not_count(read, wanted):
    assert is_same_tree(tree(read), tree(wanted))


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        ("<p>a</p>", "<p>b</p>"),
        ("<p>a </p>", "<p>a</p>"),
        ("<body class=x>", "<body>"),
        ("<body><p>a", "<body><p>a<p>b"),
        ("<body>a b", "<body>a  b"),
        ("<!doctype html><p>", "<p>"),
        ("<svg><title> </title></svg>", "<svg><title></title></svg>"),
    ],
)
def test_every_other_difference_counts_and_can_be_named(read, wanted):
    assert not is_same_tree(tree(read), tree(wanted))
    assert difference(tree(read), tree(wanted)).startswith("No HTML text has")


def test_differences_are_described_by_kind():
    def said(read, wanted):
        return difference(tree(read), tree(wanted)).split("a parser would read ")[1]

    assert said("<p>a", "<p>b") == "the text 'a' instead of the text 'b'"
    assert said("<p><!--a-->", "<p><b>") == "the comment 'a' instead of <b>"
    assert said("<!doctype html>", "<!--x-->").startswith("doctype instead of")
    assert said("<template><i>", "<template><b>") == "<i> instead of <b>"
    assert said("<p a=1>x", "<p a=2>x") == "<p> instead of <p>"


def test_deep_places_are_cut_short():
    deep = "<div>" * 100
    said = difference(tree(deep + "<p>a"), tree(deep + "<p>b"))
    assert "in ..." in said
    assert "div > div > p, a parser would read the text 'a'" in said
    assert len(said) < 300


@pytest.mark.parametrize(
    ("read", "wanted", "index", "count", "place"),
    [
        ("<body><p>a</p><i>b</i>\n", "<body><p>a</p>\n<i>b</i>", 2, 1, (1, 1)),
        ("<body><i>b</i>c\n", "<body>\n<i>b</i>c", 1, 2, (0, 2)),
        ("<body><p>a</p>\n", "<body><p>a</p>", 5, 0, (2, 0)),
    ],
)
def test_new_nodes_are_found_where_white_space_has_moved(
    read, wanted, index, count, place
):
    bodies = (tree(html).select_one("body") for html in (read, wanted))
    assert moved_place(*bodies, index, count) == place


def test_a_path_is_followed_through_white_space_that_moved():
    wanted = tree("<html>\n<body><p>a</p><i>b</i>")
    read = tree("<html><body>\n<p>a</p><i>b</i>\n")
    place = place_in(read, wanted, (0, 1, 1), 1, is_exact=False)
    assert [node.tag for node in place.nodes] == ["i"]
    assert place.parent.tag == "body"
    assert place_in(wanted, wanted, (0, 1, 2), 0, is_exact=True).nodes == ()

"""Attributes and class tokens: only the characters of the value change."""

import pytest
from hypothesis import given, strategies as st

from beamfast.documents.document import Document
from beamfast.documents.edit import Kind, Operation, apply
from beamfast.documents.selector import Selector
from beamfast.errors import EditRefused


def edit(source, kind, css, name, value=b""):
    if isinstance(value, str):
        value = value.encode()
    operation = Operation(kind, Selector.parse(css), value, name=name)
    return apply(Document(source), operation)


def put(source, name, value, css="p"):
    return edit(source, Kind.SET_ATTRIBUTE, css, name, value).source


def remove(source, name, css="p"):
    return edit(source, Kind.REMOVE_ATTRIBUTE, css, name).source


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        (b'<p A="x" b>', "y z", b'<p A="y z" b>'),
        (b"<p a='x'>", "y", b"<p a='y'>"),
        (b"<p a\n=\n'x'>", "y", b"<p a\n=\n'y'>"),
        (b"<p a=x>", "y", b"<p a=y>"),
        (b"<p a=x>", "y z", b'<p a="y z">'),
        (b"<p a=x>", "", b'<p a="">'),
        (b"<p a=x/>", "y/", b'<p a="y/">'),
        (b"<p a>", "y", b'<p a="y">'),
        (b"<p a b>", "y", b'<p a="y" b>'),
        (b'<p a="x">', 'say "y"', b"<p a='say \"y\"'>"),
        (b"<p a='x'>", "it's", b'<p a="it\'s">'),
        (b'<p a="x">', "both \" and '", b'<p a="both &quot; and \'">'),
        (b"<p a='x'>", "both \" and '", b"<p a='both \" and &#39;'>"),
        (b"<p a=x>", 'say "y"', b"<p a='say \"y\"'>"),
        (b'<p a="x > y">', "a > b < c", b'<p a="a > b < c">'),
        (b'<p a="x">', "a & b &copy; &#1; &", b'<p a="a & b &amp;copy; &amp;#1; &">'),
        (b"<p a=1 a=2>", "3", b"<p a=3 a=2>"),
    ],
)
def test_only_the_value_changes_and_the_quotes_stay_if_they_can(old, value, new):
    done = edit(b"<i>x</i>" + old + b"\r\ny", Kind.SET_ATTRIBUTE, "p", "a", value)
    assert done.source == b"<i>x</i>" + new + b"\r\ny"
    assert done.level == "splice"
    element = Document(done.source).select(Selector("p"))[0]
    assert element.attr("a") == value


@pytest.mark.parametrize(
    ("old", "css", "new"),
    [
        (b"<p>", "p", b'<p n="v">'),
        (b"<p\n>", "p", b'<p n="v"\n>'),
        (b"<br />", "br", b'<br n="v" />'),
        (b"<br/>", "br", b'<br n="v"/>'),
        (b"<img src=a/>", "img", b'<img src=a/ n="v">'),
        (b'<img src="a"/>', "img", b'<img src="a" n="v"/>'),
        (b"<IMG SRC=a b>", "img", b'<IMG SRC=a b n="v">'),
        (b"<p a=1 a=2>", "p", b'<p a=1 n="v" a=2>'),
        (b"<svg><path/></svg>", "path", b'<svg><path n="v"/></svg>'),
    ],
)
def test_a_new_attribute_goes_behind_the_others(old, css, new):
    done = edit(old, Kind.SET_ATTRIBUTE, css, "n", "v")
    assert (done.source, done.level) == (new, "splice")


@pytest.mark.parametrize(
    ("source", "css", "result"),
    [
        (b"text", "body", b'<body n="v">text'),
        (b"<!doctype html>\ntext", "html", b'<!doctype html><html n="v">\ntext'),
        (
            b"<table><tr><td>1</table>",
            "tbody",
            b'<table><tbody n="v"><tr><td>1</table>',
        ),
    ],
)
def test_an_implied_element_gets_its_tag(source, css, result):
    assert put(source, "n", "v", css) == result


def test_names_of_foreign_attributes_keep_their_case():
    source = b"<svg VIEWBOX='0 0 1 1'><g/></svg>"
    assert put(source, "viewBox", "0 0 2 2", "svg") == (
        b"<svg VIEWBOX='0 0 2 2'><g/></svg>"
    )
    done = put(b"<svg id=a><g>x</g>y</svg>", "viewbox", "0 0 2 2", "svg")
    assert done == b'<svg id=a viewbox="0 0 2 2"><g>x</g>y</svg>'
    assert Document(done).select(Selector("svg"))[0].attr("viewBox") == "0 0 2 2"
    math = put(b"<math><mi>x</mi></math>", "definitionURL", "<&\"'", "math")
    assert Document(math).select(Selector("math"))[0].attr("definitionURL") == "<&\"'"
    assert remove(source, "viewBox", "svg") == b"<svg><g/></svg>"
    assert put(b"<p>", "onClick", "v") == b'<p onClick="v">'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<p a="x">', b"<p>"),
        (b'<p  a="x" b>', b"<p b>"),
        (b"<p b\n\ta>", b"<p b>"),
        (b"<p b a=x/>", b"<p b>"),
        (b'<p b="1"a="2"c="3">', b'<p b="1"c="3">'),
        (b'<p a="1"b="2">', b'<p b="2">'),
        (b"<p b>", b"<p b>"),
    ],
)
def test_removing_takes_the_white_space_before_it(old, new):
    assert remove(old + b"text", "A") == new + b"text"


def test_removing_leaves_no_duplicate_behind():
    done = edit(b"<i>x</i><p a=1 a=2>y", Kind.REMOVE_ATTRIBUTE, "p", "a")
    assert done.level in ("ancestor", "full")
    assert not Document(done.source).select(Selector("[a]"))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (Kind.ADD_CLASS, b"<p>", b'<p class="k">'),
        (Kind.ADD_CLASS, b"<p class=a>", b'<p class="a k">'),
        (Kind.ADD_CLASS, b'<p class=" a\n b ">', b'<p class=" a\n b k">'),
        (Kind.ADD_CLASS, b'<p class="a k">', b'<p class="a k">'),
        (Kind.ADD_CLASS, b'<p class="K">', b'<p class="K k">'),
        (Kind.REMOVE_CLASS, b'<p class="k">', b'<p class="">'),
        (Kind.REMOVE_CLASS, b'<p class="k  a">', b'<p class="a">'),
        (Kind.REMOVE_CLASS, b'<p class="a  k  b">', b'<p class="a  b">'),
        (Kind.REMOVE_CLASS, b'<p class=" k b k k">', b'<p class=" b">'),
        (Kind.REMOVE_CLASS, b'<p class="kk">', b'<p class="kk">'),
        (Kind.REMOVE_CLASS, b"<p>", b"<p>"),
        (Kind.TOGGLE_CLASS, b'<p class="a">', b'<p class="a k">'),
        (Kind.TOGGLE_CLASS, b'<p class="a k">', b'<p class="a">'),
    ],
)
def test_a_class_comes_and_goes_and_the_others_keep_their_spacing(kind, old, new):
    assert edit(old + b"text", kind, "p", "k").source == new + b"text"


def test_the_result_is_the_element_and_viewers_get_it():
    source = b"<!doctype html><title>t</title><ul class='x'><li>1<li>2</ul>text"
    done = edit(source, Kind.SET_ATTRIBUTE, "ul", "id", "n")
    assert done.result == b"<ul class='x' id=\"n\"><li>1<li>2</ul>"
    assert done.content == '<ul class="x" id="n"><li>1</li><li>2</li></ul>'
    assert (done.position, done.count) == ((1, 1, 0), 1)
    body = edit(source, Kind.ADD_CLASS, "body", "dark")
    assert (body.attributes, body.wrapper) == ({"class": "dark"}, "template")
    assert body.result.startswith(b'<body class="dark"><ul')


def test_filters_are_asked_before_and_after():
    source = b"<div><p class=a>x<b>y</b></p><i class=a></i></div>"
    wanted = [Selector(css) for css in ("div", ".a", ".k", "b", "i", "p.k b")]
    operation = Operation(Kind.SET_ATTRIBUTE, Selector("p"), b"k", name="class")
    done = apply(Document(source), operation, filters=wanted)
    assert {one.text for one in done.matched} == {"div", ".a", ".k", "b", "p.k b"}


def test_the_charset_of_the_file_holds_the_value():
    source = b"<p a='\xe9'>\xe9"
    assert put(source, "a", "é€漢") == b"<p a='\xe9\x80&#28450;'>\xe9"


def test_too_many_attributes_are_refused():
    full = b"<p " + b" ".join(b"a%d" % n for n in range(256)) + b">"
    with pytest.raises(EditRefused) as caught:
        put(full, "n", "v")
    assert caught.value.code == "hostile-markup"
    assert put(full, "a9", "v") == full.replace(b"a9 ", b'a9="v" ')


def test_a_value_that_cannot_be_read_back_is_refused():
    with pytest.raises(EditRefused):
        put(b"<p>", "a", "\0")


OLD = st.sampled_from(
    ["<p>", "<p a>", "<p a=x>", "<p a='x'>", '<p b a="x"/>', "<p a=x/>"]
)


@given(OLD, st.text(st.characters(codec="utf-8", exclude_characters="\0\r")))
def test_any_value_is_read_back(old, value):
    done = edit(f"{old}text".encode(), Kind.SET_ATTRIBUTE, "p", "a", value)
    assert done.level == "splice"
    element = Document(done.source).select(Selector("p"))[0]
    assert element.attr("a") == value
    assert done.source.endswith(b">text")

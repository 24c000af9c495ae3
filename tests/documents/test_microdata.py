"""Items, their properties and values, against the rules of the HTML standard."""

import pytest

from beamfast.documents.microdata import Item, items_of, kind_of


def only(text: str) -> Item:
    return items_of(text)[0]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ('<meta itemprop=p content=" x ">', " x "),
        ("<meta itemprop=p>", ""),
        ("<img itemprop=p src=a.png>", "a.png"),
        ("<video itemprop=p src=a.mp4></video>", "a.mp4"),
        ("<iframe itemprop=p></iframe>", ""),
        ("<a itemprop=p href=/x>text</a>", "/x"),
        ("<link itemprop=p href=/x>", "/x"),
        ("<area itemprop=p>", ""),
        ("<object itemprop=p data=/x>text</object>", "/x"),
        ("<object itemprop=p>text</object>", ""),
        ("<data itemprop=p value=7>seven</data>", "7"),
        ("<data itemprop=p>seven</data>", "seven"),
        ("<meter itemprop=p value=0.5>half</meter>", "0.5"),
        ("<time itemprop=p datetime=2024-01-02>then</time>", "2024-01-02"),
        ("<time itemprop=p> then </time>", "then"),
        ("<input itemprop=p value=v>", "v"),
        ("<input itemprop=p>", ""),
        ("<input itemprop=p type=checkbox checked>", "true"),
        ("<input itemprop=p type=CHECKBOX checked value=v>", "v"),
        ("<input itemprop=p type=radio value=v>", "false"),
        ("<select itemprop=p><option>a<option selected>b</select>", "b"),
        ("<select itemprop=p><option selected value=2>b</select>", "2"),
        ("<select itemprop=p><option>a</select>", ""),
        ("<span itemprop=p>  a <b>b</b>\n </span>", "a b"),
        ("<span itemprop=p></span>", ""),
    ],
)
def test_the_value_of_a_property(element, value):
    assert only(f"<div itemscope>{element}</div>").get("p", "missing") == value


def test_several_names_are_several_properties_and_each_counts_once():
    item = only('<div itemscope><i itemprop="a b a">x</i></div>')
    assert [(one.name, one.value) for one in item.properties] == [
        ("a", "x"),
        ("b", "x"),
    ]


def test_properties_keep_the_order_of_the_document_and_know_their_lines():
    item = only(
        "<div itemscope>\n<i itemprop=a>1</i>\n<i itemprop=b>2</i>\n"
        "<i itemprop=a>3</i></div>"
    )
    assert [(p.name, p.value, p.line) for p in item.properties] == [
        ("a", "1", 2),
        ("b", "2", 3),
        ("a", "3", 4),
    ]
    assert item.texts("a") == ["1", "3"]


def test_a_nested_item_keeps_its_properties_to_itself():
    outer, inner = items_of(
        "<div itemscope><p itemprop=in itemscope><i itemprop=a>1</i></p>"
        "<i itemprop=b>2</i></div>"
    )
    assert outer.items("in") == [inner]
    assert outer.get("a", "none") == "none"
    assert outer.get("in", "none") == "none"
    assert outer.get("b") == "2"
    assert inner.get("a") == "1"
    assert inner.parents == (outer,)
    assert inner.is_property


def test_an_item_that_nothing_refers_to_counts():
    outer, inner = items_of("<div itemscope><p itemscope itemprop=x></p></div>")[:2]
    assert inner.parents == (outer,)
    (lone,) = items_of("<p itemscope itemprop=x itemtype=t></p>")
    assert (lone.types, lone.is_property, lone.parents) == (("t",), True, ())


def test_itemref_adds_elements_from_elsewhere_in_document_order():
    item = items_of(
        "<i id=before itemprop=a>1</i><div itemscope itemref='after none before'>"
        "<i itemprop=a>2</i></div><p id=after><i itemprop=a>3</i></p>"
    )[0]
    assert item.texts("a") == ["1", "2", "3"]


def test_itemref_to_an_element_inside_counts_once():
    item = only("<div itemscope itemref=x><i id=x itemprop=a>1</i></div>")
    assert item.texts("a") == ["1"]


def test_an_itemref_cycle_terminates():
    first, second = items_of(
        "<div id=a itemscope itemref=b itemprop=x></div>"
        "<div id=b itemscope itemref=a itemprop=y></div>"
    )
    assert first.items("y") == [second]
    assert second.items("x") == [first]
    loop = only("<div id=a itemscope itemref=a><i itemprop=p>1</i></div>")
    assert loop.texts("p") == ["1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("folder", ["", "schema/"])
def test_all_four_spellings_of_a_type(scheme, folder):
    itemtype = f"{scheme}://rustybeam.net/{folder}ServerConfig"
    assert kind_of(itemtype) == "ServerConfig"
    assert only(f"<p itemscope itemtype='x {itemtype}'>").kind() == "ServerConfig"


def test_other_types_have_no_kind():
    assert kind_of("https://example.com/schema/ServerConfig") == ""
    assert only("<p itemscope itemtype='https://schema.org/Person'>").kind() == ""


def test_deep_pages_do_not_recurse():
    deep = "<div>" * 400 + "<i itemprop=a>x</i>"
    assert only(f"<div itemscope>{deep}").get("a") == "x"


def test_an_implied_element_has_a_line_too():
    text = "<table><tr><td itemscope itemtype=t>x</table>"
    assert only(text).line == 1

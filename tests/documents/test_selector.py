"""Selectors: range values in, elements and errors out."""

import pytest
import turbohtml
from hypothesis import given, strategies as st

from beamfast.documents.selector import Selector, parse_range, range_selector
from beamfast.errors import SelectorError


def parsed(html):
    return turbohtml.parse(
        html, source_locations=True, allow_declarative_shadow_roots=False
    )


def test_unit_is_read_in_any_case_and_the_value_is_decoded_and_trimmed():
    assert parse_range("SeLector=%20%23main%20%3E%20p ") == Selector("#main > p")


def test_other_units_are_ignored():
    assert parse_range("bytes=0-100") is None
    assert parse_range("invalid-format") is None
    assert parse_range("") is None


def test_a_selector_behind_another_unit_is_not_a_selector():
    assert parse_range("bytes=0-1, selector=x") is None


def test_xpath_is_a_language_of_its_own():
    selector = parse_range("XPath=//li%5B2%5D ")
    assert selector == Selector("//li[2]", "xpath")
    assert selector.content_range() == "xpath //li[2]"
    assert not selector.is_standard
    for value in ("xpath=", "xpath=//li[", "xpath=$x"):
        with pytest.raises(SelectorError) as caught:
            parse_range(value)
        assert caught.value.status == 404


@pytest.mark.parametrize("value", ["selector=", "selector=%20%09", "selector=   "])
def test_empty_selectors_are_answered_with_404(value):
    with pytest.raises(SelectorError) as caught:
        parse_range(value)
    assert (caught.value.status, caught.value.code) == (404, "empty-selector")


@pytest.mark.parametrize(
    "css", ["p,", "div >", "p:foo", ">>>x<<<", "p::before", "[a", "(", "p)", "\0", "{}"]
)
def test_invalid_selectors_are_answered_with_404(css):
    with pytest.raises(SelectorError) as caught:
        parse_range("selector=" + css)
    assert (caught.value.status, caught.value.code) == (404, "invalid-selector")
    assert str(caught.value) == "No elements matched the selector"


@pytest.mark.parametrize("value", ["selector=%ff", "selector=caf\xe9", "selector=%C3"])
def test_values_that_are_not_utf8_are_answered_with_400(value):
    with pytest.raises(SelectorError) as caught:
        parse_range(value)
    assert (caught.value.status, caught.value.code) == (400, "bad-range")


def test_repeated_fields_are_answered_with_400():
    with pytest.raises(SelectorError) as caught:
        range_selector(["selector=p", "selector=b"])
    assert (caught.value.status, caught.value.code) == (400, "bad-range")


def test_one_field_or_none_is_the_normal_case():
    assert range_selector([]) is None
    assert range_selector(["selector=p"]) == Selector("p")


def test_a_percent_sign_without_digits_stays():
    assert parse_range('selector=[title="50%zz"]') == Selector('[title="50%zz"]')


@pytest.mark.parametrize(
    "css",
    [
        ",".join(["a"] * 65),
        " ".join(["a"] * 33),
        ">".join(["a"] * 33),
        ":not(" * 17 + "a" + ")" * 17,
        ":is(" + " ".join(["a"] * 33) + ")",
        "x" * 4097,
        "é" * 2049,
    ],
)
def test_selectors_over_a_limit_are_answered_with_400(css):
    with pytest.raises(SelectorError) as caught:
        Selector.parse(css)
    assert (caught.value.status, caught.value.code) == (400, "selector-too-complex")


@pytest.mark.parametrize(
    "css",
    [
        ",".join(["a"] * 64),
        " ".join(["a"] * 32),
        ", ".join([" > ".join(["a"] * 32)] * 2),
        ":not(" * 16 + "a" + ")" * 16,
        '[title="' + ", ( > " * 100 + '"]',
        "x" * 4096,
        "a" + "\\," * 100,
    ],
)
def test_selectors_at_the_limit_are_accepted(css):
    assert Selector.parse(css).text == css


def test_content_range_holds_visible_ascii_only():
    assert parse_range("selector=%23main").content_range() == "selector #main"
    assert Selector('a[title="é\n"]').content_range() == (
        'selector a[title="%C3%A9%0A"]'
    )


@given(st.text())
def test_content_range_never_carries_control_or_foreign_characters(text):
    value = Selector(text.encode("utf-8", "replace").decode()).content_range()
    assert value.isascii()
    assert value.isprintable()


@given(st.text())
def test_any_value_gives_a_selector_or_the_documented_error(text):
    try:
        parse_range("selector=" + text)
    except SelectorError as error:
        assert error.status in (400, 404)


def test_normalized_folds_white_space():
    assert Selector.parse("ul\n >\t\tli").normalized == "ul > li"


PAGE = parsed(
    "<!doctype html><p id=first class='w-1/2 k'>a<p class=k id=a:b>b"
    "<div><x><p id=1st>c</p></x></div><input type=CHECKBOX><i class=caf\xe9>d</i>"
)


@pytest.mark.parametrize(
    ("css", "count"),
    [
        (":not(a, p, div, x, html, head, body, input)", 1),
        (":nth-child(2 of .k)", 1),
        ("div:has(> x)", 1),
        (":is(p, i)", 4),
        ("[type=checkbox]", 1),
        (r"#\31 st", 1),
        (r".w-1\/2", 1),
        (r"#a\:b", 1),
        (".caf\xe9", 1),
        ("p:hover", 0),
        (":root", 1),
    ],
)
def test_modern_selectors_work_raw_and_encoded(css, count):
    assert len(Selector.parse(css).select(PAGE)) == count
    octets = css.encode()
    raw = parse_range("selector=" + octets.decode("latin-1"))
    encoded = parse_range("selector=" + "".join(f"%{octet:02x}" for octet in octets))
    assert raw == encoded == Selector(css)


def test_template_content_is_out_of_scope_unless_asked_for():
    tree = parsed("<p>a</p><template><p>b</p><i><p>c</p></i></template>")
    assert len(Selector("p").select(tree)) == 1
    assert len(Selector("p").select(tree, template_scope=True)) == 3
    assert len(Selector("template").select(tree)) == 1
    assert [found.tag for found in Selector(":root").select(tree)] == ["html"]


@pytest.mark.parametrize(
    ("css", "concerned"),
    [
        ("ul", True),
        ("body", True),
        ("li", True),
        ("li b", True),
        ("b", True),
        ("ol", False),
        ("li i", False),
    ],
)
def test_a_filter_concerns_what_it_holds_equals_or_lies_inside(css, concerned):
    tree = parsed("<ul><li>a<b>x</b></ul><ol><li><i>c</i></ol>")
    item = tree.select("li")[0]
    assert Selector(css).concerns(item.parent, [item]) is concerned


def test_changed_text_concerns_what_holds_it():
    tree = parsed("<p>a</p><b>c</b>")
    assert Selector("p").concerns(tree.select("p")[0], [])
    assert not Selector("b").concerns(tree.select("p")[0], [])
    assert not Selector("b").concerns(tree, [])

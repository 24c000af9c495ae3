"""XML documents: what is selected, what is written back, what is never loaded."""

import pytest

from beamfast.documents.selector import Selector
from beamfast.documents.xml import (
    XmlSource,
    parse_root,
    path_to,
    read_xml,
    select_xml,
    serialize,
)
from beamfast.errors import EditRefused, SelectorError

SVG = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<!-- a > b <svg> -->
<!DOCTYPE svg [ <!ENTITY x "y>z"> <!-- ] --> <?pi ]> ?> ]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:k="urn:k" viewBox='0 0 1 1'>
  <g id="a"><path d="1"/><path d="2"/><rect/></g>
  <k:g>&x;<![CDATA[<q>]]></k:g><!-- in --><G/>
</svg>
<!-- end < > <? -->
<?pi <? > ?>

"""
RSS = (
    b"<rss version='2.0'><channel><title>t</title>"
    b"<item><title>1</title><link>/1</link></item>"
    b"<item><title>2</title><link>/2</link></item></channel></rss>"
)


def found(source, css):
    selector = css if isinstance(css, Selector) else Selector.parse(css)
    root = parse_root(source)
    return [root.getroottree().getpath(one) for one in select_xml(root, selector)]


@pytest.mark.parametrize(
    ("css", "count"),
    [
        *(("g", 2), ("g > path", 2), ("g:has(path)", 1), ("g:first-of-type", 1)),
        *(("path:first-of-type", 1), ("path:nth-of-type(2)", 1), ("G", 1)),
        *(("svg > g", 2), ("[viewBox]", 1), ("[viewbox]", 0), ("#a, rect", 2)),
        *(("path + rect", 1), ("path ~ *", 2), (":root", 1), ("g:not(#a)", 1)),
        *(('g:contains("<q>")', 1), ("g:only-text", 1), ('g:has-text("q")', 1)),
        *(("path:nth-child(odd)", 1), ("g:empty", 0), ("rect:only-of-type", 1)),
    ],
)
def test_css_selects_by_local_name_and_case(css, count):
    assert len(found(SVG, css)) == count


def test_rss_has_no_void_elements_and_no_namespace():
    assert found(RSS, "item:nth-child(3) > link") == ["/rss/channel/item[2]/link"]
    assert found(RSS, "channel > title") == ["/rss/channel/title"]


@pytest.mark.parametrize(
    ("expression", "count"),
    [("//svg:path", 2), ("//k:g", 1), ("//*[local-name() = 'g']", 2), ("//path", 0)],
)
def test_xpath_knows_the_prefixes_of_the_root(expression, count):
    assert len(found(SVG, Selector.parse_xpath(expression))) == count


def test_what_xml_has_no_meaning_for_is_refused():
    with pytest.raises(SelectorError):
        found(SVG, "p:nth-child(2 of .k)")
    with pytest.raises(SelectorError) as caught:
        found(b"<a>" + b"<b/>" * 20_000 + b"</a>", "b:nth-child(5)")
    assert (caught.value.status, caught.value.code) == (400, "selector-too-complex")


@pytest.mark.parametrize(
    "source",
    [
        SVG,
        RSS,
        b"\xef\xbb\xbf" + SVG,
        SVG.replace(b"UTF-8", b"ISO-8859-1").replace(b"<!-- in", b"<!-- \xe9"),
        b"<a/>",
        b"\n<!DOCTYPE a SYSTEM 'a>b.dtd' [ <!ELEMENT a ANY> ]><a>\xc3\xa9</a><!---->",
    ],
)
def test_what_was_not_changed_is_written_as_it_was(source):
    source = source.replace(b"viewBox='0 0 1 1'", b'viewBox="0 0 1 1"')
    source = source.replace(b"version='2.0'", b'version="2.0"')
    assert XmlSource.parse(source).to_bytes() == source


def test_every_element_has_a_path_of_its_own():
    root = parse_root(SVG)
    for element in root.iter("*"):
        assert select_xml(root, Selector.parse(path_to(element))) == [element]


def test_a_selection_has_a_tag_that_other_parts_do_not_change():
    first = read_xml(RSS, Selector("item"))
    assert first.elements[0].startswith(b"<item><title>1")
    assert first.content == b"\n".join(first.elements)
    other = RSS.replace(b"<title>t", b"<title>u")
    assert read_xml(other, Selector("item")).tag == first.tag
    assert read_xml(RSS.replace(b"/2", b"/3"), Selector("item")).tag != first.tag
    assert read_xml(RSS, Selector("entry")) is None


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (b"<a>", "not-well-formed"),
        (b"", "not-well-formed"),
        (b"<a>&undefined;</a>", "not-well-formed"),
        (b"<p>one<p>two", "not-well-formed"),
        ('<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"), "encoding"),
    ],
)
def test_what_is_no_xml_is_refused(source, code):
    with pytest.raises(EditRefused) as caught:
        XmlSource.parse(source)
    assert caught.value.code == code


def test_entities_are_neither_loaded_nor_expanded(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    source = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'.encode()
    assert b"secret<" not in serialize(parse_root(source))
    assert XmlSource.parse(source).to_bytes() == source
    laughs = b"".join(
        b'<!ENTITY l%d "%s">' % (number, b"&l%d;" % (number - 1) * 10)
        for number in range(1, 10)
    )
    source = b'<!DOCTYPE a [<!ENTITY l0 "lol">' + laughs + b"]><a>&l9;</a>"
    with pytest.raises(EditRefused, match="amplification"):
        XmlSource.parse(source)

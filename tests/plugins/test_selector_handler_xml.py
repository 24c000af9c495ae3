"""XML documents over HTTP: parts, edits, versions, byte ranges."""

import json

import pytest

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><g><path/></g></svg>\n'


@pytest.fixture
async def svg(site):
    (site.root / "a.svg").write_bytes(SVG)
    return site


@pytest.mark.parametrize("name", ["a.xml", "a.svg", "a.rss", "a.atom", "a.xhtml"])
async def test_elements_of_xml_files_can_be_read_and_edited(site, name):
    (site.root / name).write_bytes(b"<?xml version='1.0'?>\n<r><a>1</a></r>")
    answer = await site.ask("GET", f"/{name}", selector="r > a")
    assert (answer.status, answer.body) == (206, b"<a>1</a>")
    assert "xml" in answer.headers["Content-Type"]
    answer = await site.ask("POST", f"/{name}", b"<b/>", "a")
    assert (answer.status, answer.headers["Beam-Edit"]) == (206, "full")
    assert answer.headers["ETag"].startswith('"1-')
    assert site.read(name) == b"<?xml version='1.0'?>\n<r><a>1<b/></a></r>"


async def test_content_that_is_not_well_formed_is_422(svg):
    answer = await svg.ask("POST", "/a.svg", b"<b>", "g")
    assert (answer.status, answer.headers["X-Beamfast-Error"]) == (
        *(422, "not-well-formed"),
    )
    assert svg.read("a.svg") == SVG


async def test_the_version_goes_with_every_way_to_write(svg):
    first = await svg.ask("GET", "/a.svg")
    assert (first.headers["ETag"][:3], first.body) == ('"0-', SVG)
    await svg.ask("DELETE", "/a.svg", b"", "path", If_Match=first.headers["ETag"])
    stale = await svg.ask("PUT", "/a.svg", b"<a/>", If_Match=first.headers["ETag"])
    assert stale.status == 412
    await svg.ask("PUT", "/a.svg", b"<a/>")
    answer = await svg.ask("GET", "/a.svg", selector="a")
    assert (answer.body, answer.headers["ETag"][:3]) == (b"<a/>", '"2-')


async def test_a_patch_edits_xml_as_well(svg):
    items = [
        {"op": "append", "selector": "g", "html": "<rect/>"},
        {"op": "set-attr", "xpath": "//svg:rect", "name": "x", "value": "1"},
    ]
    answer = await svg.ask(
        *("PATCH", "/a.svg", json.dumps(items).encode()),
        Content_Type="application/beam-patch+json",
    )
    assert answer.status == 200
    assert b'<path/><rect x="1"/></g>' in svg.read("a.svg")


async def test_byte_ranges_of_xml_files_go_on_working(svg):
    answer = await svg.ask("GET", "/a.svg", Range="bytes=0-3")
    assert (answer.status, answer.body) == (206, b"<svg")
    assert answer.headers["Content-Range"] == f"bytes 0-3/{len(SVG)}"
    answer = await svg.ask("GET", "/a.svg", Range="bytes=900-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(SVG)}"

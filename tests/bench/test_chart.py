"""The picture is well-formed, and its lines go up."""

import random
import re

from lxml import etree

from beamfast.bench.chart import svg
from beamfast.bench.row import Row

NAMES = {"svg": "http://www.w3.org/2000/svg"}


def lines_of(picture):
    """Return the points of each line."""
    root = etree.fromstring(picture.encode())
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iterfind(".//svg:polyline", NAMES)
    ]


def test_each_row_is_a_line_that_never_falls():
    chance = random.Random(7)
    rows = [
        Row(name, 5000, 1.0, [chance.expovariate(1) / 100 for _ in range(5000)])
        for name in ("a", "b")
    ]
    lines = lines_of(svg(rows, "two"))
    assert len(lines) == 2
    for line in lines:
        across, down = zip(*line, strict=True)
        assert list(across) == sorted(across)
        # In SVG, smaller is higher.
        assert list(down) == sorted(down, reverse=True)


def test_few_samples_say_nothing_about_few_in_a_thousand():
    def right(count):
        samples = [number / 1000 for number in range(1, count + 1)]
        ((*_, (x, _)),) = lines_of(svg([Row("few", count, 1.0, samples)], "few"))
        return x

    assert right(20) < right(1000) < right(100_000)


def test_names_are_escaped_and_rows_without_samples_left_out():
    picture = svg([Row("a < b & c", 1, 1.0, [0.1]), Row("unseen", 0, 1.0, [])], "<t>")
    assert "a &lt; b &amp; c" in picture
    assert "unseen" not in picture
    etree.fromstring(picture.encode())


def test_nothing_at_all_is_a_picture_too():
    assert lines_of(svg([], "empty")) == []


def test_every_mark_is_inside():
    rows = [Row("wide", 3, 1.0, [1e-9, 1.0, 1e4])]
    picture = svg(rows, "wide")
    width, height = map(
        float, re.search(r'viewBox="0 0 (\d+) (\d+)"', picture).groups()
    )
    for line in lines_of(picture):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in line)

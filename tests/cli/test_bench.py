"""``beamfast bench``: a table, JSON and a picture of what was measured."""

import json

import pytest
from lxml import etree

from beamfast import __version__
from beamfast.bench.row import Row
from beamfast.cli.bench import doubts, table

FEW = ("--viewers", "3", "--edits", "4", "--rate", "100", "--requests", "20")


def test_without_an_address_a_server_is_measured_that_goes_again(run, tmp_path):
    found, picture = tmp_path / "found.json", tmp_path / "found.svg"
    done = run("bench", *FEW, "--json", found, "--plot", picture)
    assert done.exit_code == 0, done.output
    assert f"beamfast: {__version__}" in done.stdout
    assert "method: " in done.stdout
    assert "p99.9" in done.stdout
    rows = {row["name"]: row for row in json.loads(found.read_text())["rows"]}
    assert [row["count"] for row in rows.values()] == [20, 3, 4, 12, 4, 12]
    assert not any(row["lost"] for row in rows.values())
    etree.parse(picture)


def test_a_running_server_is_measured_without_edits_unless_an_element_is_named(
    run, serve_site, tmp_path
):
    url = serve_site('<p id="a">1</p>')
    found = tmp_path / "found.json"
    done = run("bench", url, *FEW, "--json", found)
    assert done.exit_code == 0, done.output
    names = [row["name"] for row in json.loads(found.read_text())["rows"]]
    assert names == ["GET the page", "open a WebSocket"]
    before = run("get", "-v", url).stderr
    done = run("bench", url, *FEW, "--selector", "#a")
    assert done.exit_code == 0, done.output
    assert "edit at a viewer" in done.stdout
    assert run("get", url).stdout == '<p id="a">1</p>'
    assert run("get", "-v", url).stderr != before, "the edits were real ones"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["ws://localhost/"], 2, "no http or https address"),
        (["--json", "/nowhere/found.json"], 2, "there is no folder"),
        (["--json", "."], 2, "is a directory"),
        (["--plot", "found.png"], 2, "does not end in .svg"),
        (["--viewers", "-1"], 2, "--viewers"),
        (["http://127.0.0.1:1/"], 1, "127.0.0.1"),
        (["--viewers", "99999999999"], 1, "ulimit"),
    ],
)
def test_what_cannot_be_measured_is_said(run, arguments, code, says):
    done = run("bench", *arguments)
    assert done.exit_code == code
    assert says in done.output


def test_the_table_has_a_column_for_each_percentile():
    rows = [
        Row("get", 2, 1.0, [0.001, 0.002], cpu_seconds=0.0001, load_seconds=0.25),
        Row("edit", 1, 1.0, [0.5], lost=2),
    ]
    head, first, second = table(rows).splitlines()
    assert head.split()[-5:] == ["p50", "p90", "p99", "p99.9", "max"]
    assert first.split() == [
        *("get", "2", "0", "2", "50.0", "25%", "1.000"),
        *["2.000"] * 4,
    ]
    assert second.split() == ["edit", "1", "2", "1", "-", "0%", *["500.000"] * 5]


def test_a_row_that_the_load_held_up_is_named():
    rows = [
        Row("get", 2, 2.0, [1.0, 1.0], load_seconds=1.9),
        Row("open", 2, 2.0, [1.0, 1.0], load_seconds=0.15),
        Row("edit", 2, 2.0, [1.0, 1.0], load_seconds=0.15, together=2),
    ]
    limited, late = doubts(rows)
    assert limited.startswith("get: the load generator used 95% of a core")
    assert late == "edit: up to 150 ms of each time are the load generator's own"

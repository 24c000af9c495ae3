"""Texts to typed options: names, values, and every mistake at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from beamfast.server.options import convert, nearest, read_bool, read_value


@dataclass(frozen=True)
class Options:
    log_file: str = ""
    max_body: int = 1
    interval: float = 1.0
    strict: bool = False
    kind: Literal["auto", "Schema"] = "auto"
    origins: tuple[str, ...] = ()
    limit: int | None = None
    folder: Path | None = None
    page: Mapping[str, str] = field(default_factory=dict)


@pytest.mark.parametrize("name", ["log_file", "log-file", "logFile", "LOGFILE"])
def test_names_match_whatever_their_form(name):
    assert convert(Options, {name: ["x"]}) == ({"log_file": "x"}, {})


def test_an_alias_stands_for_a_field():
    values, problems = convert(Options, {"file": ["x"]}, {"file": "log_file"})
    assert values == {"log_file": "x"}
    assert not problems


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("max_body", ["7"], 7),
        ("max_body", ["7", " 8 "], 8),
        ("interval", ["2.5"], 2.5),
        ("strict", ["Yes"], True),
        ("strict", ["off"], False),
        ("kind", ["SCHEMA"], "Schema"),
        ("origins", ["a, b", "c", ""], ("a", "b", "c")),
        ("limit", ["3"], 3),
        ("folder", ["file:///srv/pages"], Path("/srv/pages")),
        ("folder", ["pages"], Path("pages")),
    ],
)
def test_values_are_read_by_type(name, written, value):
    assert convert(Options, {name: written}) == ({name: value}, {})


def test_every_mistake_is_reported_and_the_rest_is_read():
    values, problems = convert(
        Options,
        {
            "max_body": ["many"],
            "limit": ["-1"],
            "interval": ["nan"],
            "strict": ["perhaps"],
            "kind": ["other"],
            "originz": ["a"],
            "log_file": ["x"],
        },
    )
    assert values == {"log_file": "x"}
    assert problems == {
        "max_body": "max_body: 'many' is not a whole number",
        "limit": "limit: -1 is negative",
        "interval": "interval: nan is out of range",
        "strict": "strict: 'perhaps' is neither true nor false",
        "kind": "kind: 'other' is none of auto, Schema",
        "originz": "unknown option originz; did you mean origins?",
    }


def test_a_number_that_is_none():
    with pytest.raises(ValueError, match="not a number"):
        read_value(float, ["x"])


def test_words_for_true_and_false():
    assert [read_bool(word) for word in ("TRUE", "1", "no", "0")] == [
        *(True, True),
        *(False, False),
    ]


def test_a_name_far_from_all_gets_no_hint():
    assert nearest("zzz", ["origins", "kind"]) == ""


def test_a_table_takes_every_name_that_begins_with_its_own():
    written = {"page_404": ["a.html"], "Page-500": [" b.html "], "error_403": ["c"]}
    values, problems = convert(Options, written, {"error": "page"})
    assert values == {"page": {"404": "a.html", "500": "b.html", "403": "c"}}
    assert not problems


def test_the_name_of_a_table_alone_is_no_option():
    assert list(convert(Options, {"page": ["a.html"]})[1]) == ["page"]


def test_an_empty_path_is_a_mistake():
    assert convert(Options, {"folder": ["file://"]}) == (
        {},
        {"folder": "folder: the path is empty"},
    )


def test_the_key_in_a_table_is_what_follows_as_it_was_written():
    values, _ = convert(Options, {"p-a_ge_Api_users_*": ["x"]})
    assert values == {"page": {"Api_users_*": "x"}}

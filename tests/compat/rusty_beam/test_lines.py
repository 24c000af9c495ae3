"""The tables of promises are complete, and the tests that they name are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent.parent
TABLE = Path(__file__).parent / "lines.md"
OTHERS = [TESTS / "compat" / name / "lines.md" for name in ("production", "websocket")]
ROW = re.compile(r"\| (\d+) \| .+ \| (.+) \|")
OPEN = re.compile(r"\*open:\* \S.+")

ROWS = {
    f"{page.parent.name}-{match[1]}": match[2]
    for page in (TABLE, *OTHERS)
    for line in page.read_text("utf-8").splitlines()
    if (match := ROW.fullmatch(line))
}


@pytest.fixture(scope="module")
def names() -> set[str]:
    """What the tests are called, wherever they are."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE))
    return found


def test_every_line_stands_in_the_table_once():
    lines = re.findall(r"^\| (\d+) \|", TABLE.read_text("utf-8"), re.MULTILINE)
    assert list(map(int, lines)) == list(range(1, 209))


@pytest.mark.parametrize("line", ROWS)
def test_a_line_names_tests_that_exist_or_says_what_is_missing(
    line: str, names: set[str]
):
    cell = ROWS[line]
    if OPEN.fullmatch(cell):
        return
    for part in cell.split("<br>"):
        match = re.fullmatch(r"`(test_\w+)`", part)
        assert match is not None, f"not a test: {part}"
        assert match[1] in names, f"no such test: {part}"

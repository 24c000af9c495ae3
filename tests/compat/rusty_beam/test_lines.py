"""The table of promises is complete, and the tests that it names are there."""

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent.parent
TABLE = Path(__file__).parent / "lines.md"
ROW = re.compile(r"\| (\d+) \| .+ \| (.+) \|")
OPEN = re.compile(r"\*open:\* \S.+")

ROWS = {
    int(match[1]): match[2]
    for line in TABLE.read_text("utf-8").splitlines()
    if (match := ROW.fullmatch(line))
}


@functools.cache
def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_line_stands_in_the_table_once():
    lines = re.findall(r"^\| (\d+) \|", TABLE.read_text("utf-8"), re.MULTILINE)
    assert list(map(int, lines)) == list(range(1, 209))


@pytest.mark.parametrize("line", ROWS)
def test_a_line_names_tests_that_exist_or_says_what_is_missing(line: int):
    cell = ROWS[line]
    if OPEN.fullmatch(cell):
        return
    for part in cell.split("<br>"):
        match = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", part)
        assert match is not None, f"not a test: {part}"
        assert match[2] in names_in(TESTS / match[1]), f"no such test: {part}"

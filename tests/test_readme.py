"""The front page keeps its promises: its commands and its links."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

COMMANDS = [
    line
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_two_commands_do_everything_in_a_fresh_clone():
    install = "python3 -m venv .venv && .venv/bin/pip install"
    assert [line for line in COMMANDS if ".venv" in line] == [
        f"{install} . && .venv/bin/beamfast",
        f"{install} nox && .venv/bin/nox -s tests",
    ]


def test_ci_runs_the_test_command_as_it_is_written():
    (command,) = [line for line in COMMANDS if "nox -s tests" in line]
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert command in script


def test_the_edit_matches_an_element_of_the_demo_page():
    (edit,) = [shlex.split(line) for line in COMMANDS if line.startswith("curl")]
    (selector,) = [word for word in edit if word.startswith("Range: selector=#")]
    demo = (ROOT / "beamfast/static/demo.html").read_text("utf-8")
    assert f'id="{selector.partition("#")[2]}"' in demo


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target

"""The ``system`` marker: what is missing is deselected, and counted aloud."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SAMPLE = """
import pytest

@pytest.mark.system("no-such-program")
def test_with_a_missing_program(): ...

@pytest.mark.system(debian=["no-such-package"])
def test_with_a_missing_package(): ...

@pytest.mark.system("sh")
def test_with_a_program(program):
    assert program("sh").endswith("/sh")

def test_without_a_mark(): ...
"""


@pytest.fixture
def summary(tmp_path: Path) -> str:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "turns.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests")
    (tmp_path / "tests/test_sample.py").write_text(SAMPLE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_tests_that_miss_something_are_deselected_and_the_others_run(summary: str):
    assert "2 passed, 2 deselected" in summary


def test_the_summary_counts_them_and_names_what_is_missing(summary: str):
    assert (
        "2 tests deselected: system packages missing: no-such-package, no-such-program"
    ) in summary

"""The pages tell what the code has: codes, options, the command line."""

import dataclasses
import importlib
import re
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs/reference"
PLUGINS = sorted((ROOT / "docs/howto/plugins").glob("[!i]*.md"))


def table_names(page: Path) -> set[str]:
    """Return the names in backticks that begin a row, or follow its status."""
    rows = re.findall(
        r"^\|(?: \d+ \|)? `([\w-]+)`", page.read_text("utf-8"), re.MULTILINE
    )
    return set(rows)


def test_every_error_code_is_explained_and_no_other():
    raised = {
        code
        for path in (ROOT / "beamfast").rglob("*.py")
        for code in re.findall(
            r'\bcode\s*=\s*"([a-z-]+)"|"X-Beamfast-Error", "([a-z-]+)"',
            path.read_text("utf-8"),
        )
        for code in filter(None, code)
    }
    # The default of the base class; whatever is raised has a better one.
    assert table_names(REFERENCE / "errors.md") == raised - {"bad-request"}


@pytest.mark.parametrize("page", PLUGINS, ids=lambda page: page.stem)
def test_every_option_of_a_plugin_is_explained_and_no_other(page: Path):
    module = importlib.import_module(f"beamfast.plugins.{page.stem.replace('-', '_')}")
    fields = {field.name for field in dataclasses.fields(module.Options)}
    text = page.read_text("utf-8")
    options = re.search(
        r"^## Options\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert options is not None
    assert set(re.findall(r"^\| `(\w+)`", options[1], re.MULTILINE)) == fields


def test_every_option_of_the_command_line_is_explained():
    serve = importlib.import_module("beamfast.cli.serve").serve
    text = (REFERENCE / "command-line.md").read_text("utf-8")
    explained = set(re.findall(r"`(--?[\w-]+)", text))
    for parameter in serve.params:
        if isinstance(parameter, click.Option):
            assert {*parameter.opts, *parameter.secondary_opts} <= explained

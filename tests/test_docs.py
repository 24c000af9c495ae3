"""The pages tell what the code has: codes, options, the command line."""

import dataclasses
import importlib
import importlib.util
import re
from pathlib import Path

import click
import pytest

from beamfast.server.html_config import read_html_config

ROOT = Path(__file__).parent.parent
SCHEMA = "https://rustybeam.net/schema/"
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


def extension(name: str):
    """Return a Sphinx extension of ours."""
    path = ROOT / f"docs/{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plugin_options():
    """What makes the tables of options."""
    return extension("plugin_options")


@pytest.fixture(scope="module")
def class_members():
    """What makes the tables of members."""
    return extension("class_members")


@pytest.mark.parametrize("page", PLUGINS, ids=lambda page: page.stem)
def test_every_option_of_a_plugin_is_explained_and_no_other(page: Path, plugin_options):
    name = page.stem.replace("-", "_")
    module = importlib.import_module(f"beamfast.plugins.{name}")
    text = page.read_text("utf-8")
    fields = [field.name for field in dataclasses.fields(module.Options)]
    assert f"```{{plugin-options}} {page.stem}\n```" in text
    source = (ROOT / f"beamfast/plugins/{name}.py").read_text("utf-8")
    table = "\n".join(plugin_options.options_table(source))
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    assert [row[0] for row in rows] == fields
    aliases = getattr(plugin_class(module), "aliases", {})
    assert all(f"`{alias}`" in table for alias in aliases)


def plugin_class(module):
    """Return the plugin of a module."""
    return next(
        value
        for value in vars(module).values()
        if getattr(value, "options_type", None) is module.Options
    )


def test_the_table_shows_options_as_people_write_them(plugin_options):
    source = """
class Options:
    '''
    Options.

    Attributes:
        size: bytes of ``all``
            that fits.
        names: who | what.
    '''

    size: int = 3 * 2**20
    names: tuple[str, ...] = ("a", "b")

class Plugin:
    aliases: ClassVar = {"limit": "size"}
"""
    assert plugin_options.options_table(source)[2:] == [
        "| `size` | whole number | 3 MiB | bytes of `all` that fits; also `limit` |",
        r"| `names` | list | `a`, `b` | who \| what |",
    ]


def test_every_option_of_the_command_line_is_explained():
    serve = importlib.import_module("beamfast.cli.serve").serve
    text = (REFERENCE / "command-line.md").read_text("utf-8")
    explained = set(re.findall(r"`(--?[\w-]+)", text))
    for parameter in serve.params:
        if isinstance(parameter, click.Option):
            assert {*parameter.opts, *parameter.secondary_opts} <= explained


def examples() -> list[tuple[str, str]]:
    """Return the plugins that pages show, as they show them."""
    found = []
    for page in PLUGINS:
        text = page.read_text("utf-8")
        blocks = re.findall(r"^```html\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        shown = [block for block in blocks if 'itemprop="plugin"' in block]
        found += [(page.stem, block) for block in shown or [""]]
    return found


@pytest.mark.parametrize(("name", "block"), examples())
def test_what_a_page_shows_is_a_configuration(name, block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    # The application that the page about foreign ones names.
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text("async def app(*_): pass")
    monkeypatch.syspath_prepend(tmp_path)
    config = (
        f"<div itemscope itemtype='{SCHEMA}HostConfig'>"
        "<b itemprop=hostname>localhost</b><b itemprop=hostRoot>site</b>"
        f"<ul>{block}</ul></div>"
    )
    plugins = read_html_config(config, "config.html").hosts[0].plugins
    assert name in {one.name for outer in plugins for one in (outer, *outer.nested)}


def test_every_public_name_is_explained_and_no_other():
    text = (REFERENCE / "python.md").read_text("utf-8")
    for module in ("beamfast", "beamfast.protocol"):
        (part,) = re.findall(
            rf"^## `{re.escape(module)}`\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE
        )
        explained = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        assert sorted(explained) == sorted(importlib.import_module(module).__all__)


def public_classes() -> list[type]:
    """Return the classes whose members programs use, without the errors."""
    found = [
        getattr(module, name)
        for module in map(importlib.import_module, ("beamfast", "beamfast.protocol"))
        for name in module.__all__
    ]
    classes = [one for one in found if isinstance(one, type)]
    return [one for one in classes if not issubclass(one, Exception)]


#: Called by transports, clocks and topics, not by programs.
INSIDE = {
    *("attach", "connection_made", "data_received", "eof_received", "connection_lost"),
    *("pause_writing", "resume_writing", "cork", "uncork", "close_transport"),
    *("write", "write_last", "write_message", "write_coded", "is_plain"),
    *("wait_writable", "drop_queue"),
    *("is_paused", "is_closing", "is_mid_message", "waits_for_peer", "leave_epochs"),
    *("coding", "queue_bytes_limit", "queue_items_limit", "on_overflow", "opened"),
    *("deadline", "on_deadline", "on_drain", "expire", "frame_item", "frame_message"),
    *("of_request", "begin", "pull", "read_early", "has_any", "only", "whole"),
}


@pytest.mark.parametrize("one", public_classes(), ids=lambda one: one.__name__)
def test_every_public_member_of_a_class_is_explained(one: type, class_members):
    own = {
        name
        for parent in one.__mro__
        if parent.__module__.startswith("beamfast")
        for name in vars(parent)
        if not name.startswith("_") and name not in INSIDE
    }
    classes = (REFERENCE / "classes.md").read_text("utf-8")
    section = re.search(
        rf"^### `{one.__name__}`\n(.*?)(?=^##|\Z)", classes, re.MULTILINE | re.DOTALL
    )
    if section is None:
        told = (REFERENCE / "websocket-class.md").read_text("utf-8")
    else:
        told = section[1]
        for name in re.findall(r"^```\{class-members\} (.+)", told, re.MULTILINE):
            table = class_members.members_table(name)
            assert not [row for row in table if row.endswith("|  |")]
            told += "\n".join(table)
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", told))))
    assert own <= explained


def test_the_table_shows_members_as_programs_use_them(class_members):
    table = class_members.members_table("connection.eventsource.EventSource")
    assert "| `closed` | True when the stream is closing or closed |" in table
    (send,) = (row for row in table if row.startswith("| `await send("))
    assert send.startswith("| `await send(data, event=None, id=None, ")
    assert not [row for row in table if row.startswith("| `_")]

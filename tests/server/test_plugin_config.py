"""From what is written to a pipeline; tests of the dialects have the rest."""

from pathlib import Path

import pytest

from beamfast.server.config import PluginConfig
from beamfast.server.plugin_config import PipelineReader
from beamfast.server.written import Written

SOURCE = """
from dataclasses import dataclass
from beamfast.pipeline import Plugin

@dataclass(frozen=True)
class Options:
    word: str = "hello"

class Greeter(Plugin[Options]):
    name = "greeter"
"""


@pytest.fixture
def problems():
    return []


@pytest.fixture
def read(tmp_path, problems):
    reader = PipelineReader(
        str(tmp_path / "site.html"), lambda *problem: problems.append(problem)
    )
    return lambda *written: reader.read(list(written))


def written(**texts: str) -> Written:
    return Written("here:1", texts={name: [text] for name, text in texts.items()})


def test_a_source_file_beside_the_configuration_is_a_plugin(tmp_path, read, problems):
    (tmp_path / "greeter.py").write_text(SOURCE)
    for library in ("file://greeter.py", "file://./greeter.py:Greeter"):
        (found,) = read(written(library=library, word="hi"))
        assert found.options == {"word": "hi"}
        assert Path(found.name.removeprefix("file://").split(":")[0]).is_absolute()
        assert found.place == "here:1"
    assert problems == []


def test_a_source_file_that_fails_is_a_mistake_with_its_place(tmp_path, read, problems):
    (tmp_path / "broken.py").write_text("1 / 0")
    assert read(written(library="file://broken.py")) == ()
    ((place, text),) = problems
    assert place == "here:1"
    assert "ZeroDivisionError" in text


def test_priority_and_enabled_are_checked(read, problems):
    read(written(name="websocket", enabled="maybe"))
    read(written(name="websocket", priority="high"))
    assert [text for _, text in problems] == [
        "enabled: 'maybe' is neither true nor false",
        "priority: 'high' is not a whole number",
    ]


def test_a_file_beside_the_configuration_is_an_option(tmp_path, read):
    (tmp_path / "rules.html").write_text("")
    (found,) = read(written(name="redirect", rulesfile="rules.html"))
    assert found == PluginConfig("redirect", {"rules_file": tmp_path / "rules.html"})


def test_a_name_that_says_which_plugin_it_is_is_no_option(tmp_path):
    problems: list[tuple[str, str]] = []
    reader = PipelineReader(
        str(tmp_path / "config.html"), lambda *found: problems.append(found)
    )
    written = Written("1", "", {"name": ["chat"]}, {}, [])
    [plugin] = reader.read([written])
    assert problems == []
    assert "name" not in plugin.options

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = sorted(HERE.glob("fuzz_*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def corpus(target):
    return sorted((HERE / "corpus" / target.stem.removeprefix("fuzz_")).iterdir())


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: path.stem)
def test_target_survives_its_corpus(target):
    module = load(target)
    files = corpus(target)
    assert files
    module.one_input(b"")
    for file in files:
        module.one_input(file.read_bytes())


def test_every_corpus_has_its_target():
    folders = {f"fuzz_{path.name}" for path in (HERE / "corpus").iterdir()}
    assert folders == {target.stem for target in TARGETS}

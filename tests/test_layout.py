"""The house rules of CONTRIBUTING.md and ARCHITECTURE.md, as tests."""

import ast
import importlib
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "beamfast"
TESTS = ROOT / "tests"

MODULES = sorted(
    path
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")]
    if path.name not in ("__init__.py", "__main__.py")
)
PYTHON = sorted(PACKAGE.rglob("*.py"))
CYTHON = sorted(PACKAGE.rglob("*.pyx"))
TEST_FILES = sorted(TESTS.rglob("*.py"))
PLUGINS = [path for path in MODULES if path.parent.name == "plugins"]

SOURCE_SUFFIXES = {".py", ".pyx", ".pxd", ".pyi", ".h", ".md", ".html"}

# What a drawer is called when nobody asked which concept is in it.
FORBIDDEN_NAMES = {
    *("utils", "util", "helpers", "helper", "common", "base"),
    *("misc", "manager", "core", "shared", "tools"),
}

# What each part of the core may see: never asyncio, never a markup library.
CYTHON_IMPORTS = {
    "_frames": {"cython", "cpython", "libc"},
    "_fields": {"cpython", "libc"},
    "_head": {"cpython"},
    "_scan": {"cython", "cpython", "libc", "beamfast._fields", "beamfast._slots"},
    "_inbox": {"cython"},
    "_sending": {
        *("cython", "warnings", "beamfast._frames"),
        *("beamfast._outbound", "beamfast._wire"),
    },
    "_intake": {
        *("libc", "beamfast._frames", "beamfast._outbound", "beamfast._wire"),
    },
    "_slots": {"cython", "cpython"},
    "_logline": {"cython", "cpython", "libc", "beamfast._slots"},
    "_answer": {
        *("cython", "cpython", "libc", "posix"),
        *("beamfast._fields", "beamfast._slots"),
    },
    "_known": {"cython", "beamfast._fields", "beamfast._slots"},
    "_shortway": {
        *("time", "types", "beamfast._answer", "beamfast._scan"),
        *("beamfast._slots", "beamfast._wheel"),
    },
    "_phases": {"types", "cpython", "beamfast._fields"},
    "_backlog": {"cython", "cpython", "libc"},
    "_wheel": {"cpython", "libc"},
    "_wire": {"cython", "cpython", "libc", "beamfast._backlog", "beamfast._wheel"},
    "_outbound": {
        *("cython", "cpython", "libc", "beamfast._frames"),
        *("beamfast._backlog", "beamfast._wire"),
    },
    "_lanes": {
        *("cython", "cpython", "libc"),
        *("beamfast._backlog", "beamfast._outbound"),
    },
    "_topic": {
        *("cython", "libc", "beamfast._lanes"),
        *("beamfast._backlog", "beamfast._outbound", "beamfast._wire"),
    },
    "_fanout": {
        *("cython", "libc", "beamfast._lanes", "beamfast._topic"),
        *("beamfast._backlog", "beamfast._outbound", "beamfast._wire"),
    },
}

MUTABLE_CALLS = {
    *("list", "dict", "set", "bytearray", "defaultdict", "deque"),
    *("Counter", "OrderedDict", "WeakSet", "WeakValueDictionary"),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def per_file(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def line_count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def text_files() -> Iterator[Path]:
    """Everything a reader of the repository sees, this file included."""
    for pattern in ("*.md", "*.toml", "*.py", ".ci/*", ".github/**/*.yml", ".*.yaml"):
        yield from ROOT.glob(pattern)
    for folder in ("beamfast", "tests", "docs", "benches"):
        for path in (ROOT / folder).rglob("*"):
            hidden = {"data", "_build", ".cache"} & set(path.relative_to(ROOT).parts)
            if not hidden and path.suffix in SOURCE_SUFFIXES:
                yield path


@per_file(MODULES)
def test_every_module_has_its_test_file(path: Path):
    relative = path.relative_to(PACKAGE)
    mirror = TESTS / relative.with_name(f"test_{relative.stem.lstrip('_')}.py")
    assert mirror.is_file(), f"{name_of(path)} needs {name_of(mirror)}"


def test_files_are_small():
    limits = [(PYTHON, 400), (CYTHON, 500), (TEST_FILES, 600)]
    too_long = {
        name_of(path): lines
        for paths, limit in limits
        for path in paths
        if (lines := line_count(path)) > limit
    }
    assert too_long == {}


def test_the_median_file_is_below_200_lines():
    assert statistics.median(map(line_count, MODULES)) < 200


def test_no_module_is_a_drawer():
    names = {path.stem.lstrip("_") for path in MODULES}
    folders = {path.name for path in PACKAGE.rglob("*") if path.is_dir()}
    assert (names | folders) & FORBIDDEN_NAMES == set()


def cython_imports(source: str) -> Iterator[str]:
    for line in source.splitlines():
        if found := re.match(r"(?:from\s+([\w.]+)\s+)?c?import\s+([\w., ]+)", line):
            yield from [found[1]] if found[1] else re.findall(r"[\w.]+", found[2])


@per_file(CYTHON)
def test_the_core_imports_what_its_list_allows(path: Path):
    allowed = CYTHON_IMPORTS[path.stem]
    declarations = path.with_suffix(".pxd").read_text("utf-8")
    for module in cython_imports(path.read_text("utf-8") + "\n" + declarations):
        parents = {module.rsplit(".", depth)[0] for depth in range(3)}
        assert parents & allowed, f"{name_of(path)} imports {module}"


@per_file(CYTHON)
def test_cython_shares_by_cimport_only(path: Path):
    assert not re.search(r"^\s*include\s", path.read_text("utf-8"), re.MULTILINE)


@per_file(CYTHON)
def test_every_cython_module_has_a_stub(path: Path):
    assert path.with_suffix(".pyi").is_file()


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        callee = value.func
        name = callee.attr if isinstance(callee, ast.Attribute) else None
        return (callee.id if isinstance(callee, ast.Name) else name) in MUTABLE_CALLS
    literals = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    return isinstance(value, literals)


@per_file(PYTHON)
def test_modules_hold_no_state(path: Path):
    """A table is ``Final`` and upper case; nothing is rebound with ``global``."""
    tree = ast.parse(path.read_text("utf-8"))
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[target], value=value) if is_mutable(value):
                assert ast.unparse(target) == "__all__"
            case ast.AnnAssign(target, annotation, ast.expr() as value):
                table = ast.unparse(annotation).startswith("Final")
                constant = table and ast.unparse(target).isupper()
                assert constant or not is_mutable(value), ast.unparse(target)
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree))


@per_file(PYTHON)
def test_every_module_says_what_it_is(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "no module head"


def test_every_public_name_loads():
    package = importlib.import_module("beamfast")
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name).__name__ == name


def test_importing_the_package_imports_no_layer():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    eager = [
        ast.unparse(statement)
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom | ast.Import)
        and "beamfast" in ast.unparse(statement)
    ]
    assert eager == []


def described_modules() -> set[str]:
    """Return the module paths that ARCHITECTURE.md names as existing."""
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    existing = re.sub(r"\n(#+) Planned\n.*?(?=\n#{1,2} |\Z)", "", text, flags=re.DOTALL)
    return set(re.findall(r"`beamfast/([\w/]+\.(?:py|pyx))`", existing))


def test_the_architecture_page_names_every_module_and_no_other():
    existing = {
        str(path.relative_to(PACKAGE))
        for path in [*MODULES, PACKAGE / "__init__.py", PACKAGE / "__main__.py"]
        if path.is_file()
    }
    assert described_modules() == existing


@per_file(PLUGINS)
def test_every_plugin_has_a_how_to_page(path: Path):
    page = ROOT / "docs/howto/plugins" / f"{path.stem.replace('_', '-')}.md"
    assert page.is_file(), f"{name_of(path)} needs {name_of(page)}"


def test_every_plugin_is_registered_under_its_configured_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    registered = project["entry-points"]["beamfast.plugins"]
    assert sorted(registered) == [path.stem.replace("_", "-") for path in PLUGINS]
    for name, target in registered.items():
        module, _, attribute = target.partition(":")
        assert getattr(importlib.import_module(module), attribute).name == name


def test_every_folder_of_the_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in PACKAGE.rglob("__init__.py")
    }
    assert set(settings["tool"]["setuptools"]["packages"]) == folders


def test_hooks_before_a_commit_use_the_versions_of_the_lint_group():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
        "dependency-groups"
    ]
    pinned = {
        item for item in groups["lint"] + groups["layers"] if isinstance(item, str)
    }
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    used = set(re.findall(r'"([\w-]+==[\w.]+)"', hooks))
    assert used <= pinned


def test_no_file_names_a_place_on_somebodys_machine():
    place = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt)/\w")
    offenders = [
        f"{name_of(path)}: {found[0]}"
        for path in text_files()
        if (found := place.search(path.read_text("utf-8")))
    ]
    assert offenders == []


def test_nothing_is_left_to_do_in_the_sources():
    marks = re.compile(
        r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b|mark\.(?:sk" r"ip|xf" r"ail)"
    )
    offenders = [
        f"{name_of(path)}: {found[0]}"
        for path in text_files()
        if (found := marks.search(path.read_text("utf-8")))
    ]
    assert offenders == []


def test_an_exception_from_a_checker_says_why():
    bare = re.compile(
        r"#\s*(?:noqa(?::\s*[\w, ]+)?|type:\s*ignore(?:\[[\w, -]+\])?)\s*$",
        re.MULTILINE,
    )
    offenders = [
        f"{name_of(path)}: {found[0]}"
        for path in text_files()
        if path.suffix == ".py" and (found := bare.search(path.read_text("utf-8")))
    ]
    assert offenders == []

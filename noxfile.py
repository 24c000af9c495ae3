"""
The tasks of a laptop and of CI; ``nox -l`` lists them.

A bare ``nox`` runs what a pull request must pass. Needs Python with ``venv`` and
headers, a C compiler, and a package index; the tests bring further programs
through apt where they may.
"""

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types", "layers", "docs", "package"]

PROJECT = nox.project.load_toml("pyproject.toml")
EXTENSIONS = [
    f"beamfast._{name}"
    for name in (
        *("frames", "fields", "head", "slots", "scan"),
        *("answer", "known", "logline", "phases", "shortway"),
        *("inbox", "intake", "sending"),
        *("wheel", "backlog", "wire", "outbound", "lanes", "topic", "fanout"),
    )
]
# Cython adds these to its modules; which of them depends on the version.
STUBTEST_ALLOWED = r"""
.*\.__reduce_cython__
.*\.__setstate_cython__
.*\.__pyx_capi__
.*\.__test__
"""

CORE_TESTS = [
    *("pytest", "-q", "tests/test_frames.py", "tests/test_head.py"),
    *("tests/test_fields.py", "tests/test_slots.py", "tests/test_scan.py"),
    *("tests/test_answer.py", "tests/test_known.py"),
    *("tests/test_logline.py", "tests/test_phases.py", "tests/test_shortway.py"),
    *("tests/test_wheel.py", "tests/test_backlog.py", "tests/test_wire.py"),
    *("tests/test_inbox.py", "tests/test_intake.py", "tests/test_sending.py"),
    *("tests/test_outbound.py", "tests/test_outbound_loops.py"),
    *("tests/test_lanes.py", "tests/test_topic.py", "tests/test_fanout.py"),
    "tests/test_fanout_histories.py",
]
# Left out: memory that runs out, what subclasses have to say, and two kinds of line
# that run without being traced (without the GIL; after a return in a finally).
CORE_COVERAGE = r"""
[run]
plugins = Cython.Coverage
core = ctrace
source = beamfast
[report]
show_missing = true
exclude_also =
    raise MemoryError
    raise NotImplementedError
    PyBuffer_Release\(&view\)
    lane_walk\(
"""


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group (PEP 735)."""
    return nox.project.dependency_groups(PROJECT, name)


def apt_command() -> list[str] | None:
    """Return how to call apt-get as root, or None where that is not allowed."""
    if shutil.which("apt-get") is None:
        return None
    # Inside, because sudo drops the environment.
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    command += ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo") is None:
        return None
    may = subprocess.run(
        ["sudo", "-n", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return ["sudo", "-n", *command] if may.returncode == 0 else None


def bring_system_packages(session: nox.Session) -> None:
    """
    Install what some tests need beside Python packages.

    Where that is not allowed or fails, the tests deselect themselves and say so.
    """
    known: dict[str, list[str]] = PROJECT["tool"]["beamfast"]["system-programs"]
    missing = [
        package
        for package, programs in known.items()
        if not any(map(shutil.which, programs))
    ]
    fetched = Path("tests/.cache").exists()
    if not missing and fetched:
        return
    apt = apt_command()
    if apt is None:
        session.warn("apt is not available here: some tests may be deselected")
        return
    # The package lists also serve the tests that download documentation pages.
    commands = [[*apt, "update"]]
    if missing:
        commands.append([*apt, "install", "-y", "--no-install-recommends", *missing])
    for command in commands:
        session.run(*command, external=True, success_codes=range(256))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite; arguments after ``--`` go to pytest."""
    session.install("-e", ".", *group("test"))
    bring_system_packages(session)
    session.run("pytest", *session.posargs)


@nox.session
def kill(session: nox.Session) -> None:
    """Kill the server 200 times, cut the power 500 times, reload it 50 times."""
    session.install("-e", ".", *group("test"))
    env = {
        "BEAMFAST_KILLS": "200",
        "BEAMFAST_HISTORIES": "10000",
        "BEAMFAST_CUTS": "500",
        "BEAMFAST_RELOADS": "50",
        "BEAMFAST_SOCKETS": "1000",
    }
    files = [
        "tests/e2e/test_kill.py",
        "tests/commit/test_following_histories.py",
        "tests/commit/test_power_loss.py",
        "tests/e2e/test_reload_load.py",
    ]
    session.run("pytest", "-s", "--timeout=3600", *files, *session.posargs, env=env)


@nox.session
def endurance(session: nox.Session) -> None:
    """Open and close 10,000 connections of each kind; nothing may grow."""
    session.install("-e", ".", *group("test"))
    tests = ["tests/client/test_cycles.py", "--timeout=3600", *session.posargs]
    session.run("pytest", *tests, env={"BEAMFAST_CYCLES": "10000"})


@nox.session
def random_edits(session: nox.Session) -> None:
    """Do 21,000 random edits on real pages and on tag soup, compared with Lexbor."""
    session.install("-e", ".", *group("test"))
    session.run(
        *("pytest", "-s", "tests/documents/test_random_edits.py", *session.posargs),
        env={"BEAMFAST_RANDOM_EDITS": "full"},
    )


@nox.session
def soak(session: nox.Session) -> None:
    """Come and go 100,000 times, play 12,000 histories of topics, run for minutes."""
    session.install("-e", ".", *group("test"))
    env = {
        "BEAMFAST_CYCLES": "100000",
        "BEAMFAST_HISTORIES": "12000",
        "BEAMFAST_TLS_HISTORIES": "1000",
    }
    files = [
        "tests/connection/test_churn.py",
        "tests/test_fanout_histories.py",
        "tests/test_fanout_tls.py",
    ]
    session.run("pytest", "-s", "--timeout=3600", *files, env=env)
    session.run("python", "-m", "benches.soak", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the test suite and report the lines and branches it misses."""
    session.install("-e", ".", *group("coverage"))
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    session.run("coverage", "report")


def build_apart(session: nox.Session, *directives: str, **env: str) -> Path:
    """
    Build the extensions in a copy of the tree, and return where that is.

    What everybody imports from the tree itself stays as it is.
    """
    session.install(*group("coverage"), *PROJECT["build-system"]["requires"])
    session.install(*PROJECT["project"]["dependencies"])
    place = Path(session.create_tmp()) / "tree"
    shutil.rmtree(place, ignore_errors=True)
    built = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for folder in ("beamfast", "tests", "docs"):
        shutil.copytree(folder, place / folder, ignore=built)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(name, place)
    for source in place.glob("beamfast/*.pyx"):
        # In the first line, where every one has its directives.
        head, rest = source.read_text("utf-8").split("\n", 1)
        source.write_text("\n".join([", ".join([head, *directives]), rest]), "utf-8")
    with session.chdir(place):
        session.run("python", "setup.py", "-q", "build_ext", "--inplace", env=env)
    return place


@nox.session
def coverage_protocol(session: nox.Session) -> None:
    """Check that the own test file of each driver module reaches all of it."""
    session.install("-e", ".", *group("coverage"))
    for module in sorted(Path("beamfast/protocol").glob("*.py")):
        test = Path("tests/protocol") / f"test_{module.stem.strip('_')}.py"
        session.run("coverage", "run", "-m", "pytest", "-q", str(test), silent=True)
        options = ["--include", str(module), "--fail-under", "100"]
        session.run("coverage", "report", *options)


@nox.session
def coverage_core(session: nox.Session) -> None:
    """Check that the tests of the compiled core reach each of its lines."""
    place = build_apart(
        session,
        "linetrace=True",
        CFLAGS="-DCYTHON_TRACE=1 -DCYTHON_USE_SYS_MONITORING=0",
    )
    settings = place / "coverage.ini"
    settings.write_text(CORE_COVERAGE.lstrip())
    with session.chdir(place):
        session.run("coverage", "run", "--rcfile", settings.name, "-m", *CORE_TESTS)
        options = ["--include", "*.pyx", "--fail-under", "100"]
        session.run("coverage", "report", "--rcfile", settings.name, *options)


@nox.session
def sanitizers(session: nox.Session) -> None:
    """Run the tests around the core with memory and arithmetic checked (gcc)."""
    checks = "-fsanitize=address,undefined"
    place = build_apart(
        session,
        CC="gcc",
        CFLAGS=f"{checks} -fno-sanitize-recover=undefined -fno-omit-frame-pointer",
        LDFLAGS=checks,
    )
    libraries = [
        session.run("gcc", f"-print-file-name={name}", external=True, silent=True)
        for name in ("libasan.so", "libubsan.so")
    ]
    env = {
        "LD_PRELOAD": " ".join(map(str.strip, libraries)),
        # The interpreter itself never frees what it needs until its end.
        "ASAN_OPTIONS": "detect_leaks=0",
        # Each object has a fence of its own, which pymalloc would not put up.
        "PYTHONMALLOC": "malloc",
    }
    with session.chdir(place):
        drivers = ["tests/protocol", "tests/connection", "tests/fuzz"]
        limit = ["--timeout", "600"]
        session.run("python", "-m", *CORE_TESTS, *drivers, *limit, env=env)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz each target for a minute; ``-- SECONDS [TARGET ...]`` for others."""
    session.install("-e", ".", *group("fuzz"))
    seconds, *names = session.posargs or ["60"]
    for target in sorted(Path("tests/fuzz").glob("fuzz_*.py")):
        name = target.stem.removeprefix("fuzz_")
        if names and name not in names:
            continue
        # Finds stay out of the corpus in the tree until somebody has read them.
        found = Path(session.create_tmp()) / name
        found.mkdir(exist_ok=True)
        folders = [str(found), f"tests/fuzz/corpus/{name}"]
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={found}-"]
        session.run("python", str(target), *options, *folders)


@nox.session
def conformance(session: nox.Session) -> None:
    """Play the Autobahn cases both ways; ``-- --quick`` for fewer of them."""
    session.install("-e", ".")
    session.run("python", "tests/conformance/autobahn.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, spelling, and that the workflows can run."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "beamfast")
    session.run("codespell")
    session.run(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *map(str, Path(".github/workflows").glob("*.yml")),
    )
    for platform in ("linux", "macos"):
        session.run("cibuildwheel", "--print-build-identifiers", "--platform", platform)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types inside, as users see them, and the stubs of the core."""
    # Pyright follows a path file, not the import hook of the default mode.
    compat = "--config-settings=editable_mode=compat"
    session.install("-e", ".", compat, *group("types"))
    session.run("mypy")
    session.run("pyright", "--verifytypes", "beamfast", "--ignoreexternal")
    allowed = Path(session.create_tmp()) / "stubtest-allowed"
    allowed.write_text(STUBTEST_ALLOWED.lstrip())
    options = ["--ignore-unused-allowlist", "--allowlist", str(allowed)]
    session.run("stubtest", *options, *EXTENSIONS)


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports point down the layers."""
    session.install(*group("layers"))
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install(*group("docs"))
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Time functions and the server; with arguments for pytest, functions only."""
    session.install("-e", ".", *group("bench"))
    session.run("pytest", "benches", "-q", "-p", "no:cacheprovider", *session.posargs)
    if not session.posargs:
        session.run("python", "-m", "benches.compare", "--quick")


@nox.session
def bench_agree(session: nox.Session) -> None:
    """Compare what ``beamfast bench`` finds with the load generator in C."""
    session.install("-e", ".", *group("bench"))
    session.run("python", "-m", "benches.agree", *session.posargs)


@nox.session
def baseline(session: nox.Session) -> None:
    """Compare single functions with the stored figures; ``-- --refresh`` stores new."""
    session.install("-e", ".", *group("bench"))
    session.run("python", "-m", "benches.baseline", *session.posargs)


@nox.session
def bench_peers(session: nox.Session) -> None:
    """Measure every server that can be installed here, interleaved."""
    session.install("-e", ".", *group("bench_peers"))
    modules = Path(session.create_tmp()) / "node"
    # Who cannot be brought is left out, and the run says so.
    if shutil.which("npm"):
        command = ["npm", "install", "--prefix", str(modules), "ws"]
        session.run(*command, external=True, success_codes=range(256))
    if shutil.which("nginx") is None and (apt := apt_command()) is not None:
        for words in (
            ["update"],
            ["install", "-y", "--no-install-recommends", "nginx"],
        ):
            session.run(*apt, *words, external=True, success_codes=range(256))
    session.run(
        "python",
        "-m",
        "benches.compare",
        "--peers",
        "--json=build/benches/peers.json",
        "--markdown=build/benches/peers.md",
        *session.posargs,
        env={"NODE_PATH": str(modules / "node_modules")},
    )


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, a wheel from it, and use the installed wheel elsewhere."""
    session.install(*group("release"))
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    session.install("--force-reinstall", str(wheel))
    with session.chdir(session.create_tmp()):
        session.run("beamfast", "--version")

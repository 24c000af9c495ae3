"""
Run the Autobahn cases against the echo server and the echo client, and judge them.

``python tests/conformance/autobahn.py [--quick] [--scripts FOLDER] [ROLE ...]`` with
the roles ``server`` and ``client`` (the drivers alone), ``connection`` and ``handler``
(the echo server with these options), and ``connect`` (the echo client ``--connect``).
The cases come from the official container, which needs docker, or from a folder that
holds ``autobahn_server.sh`` and ``autobahn_client.sh``.
"""

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent.resolve()
ROLES: Final = ("server", "connection", "handler", "client", "connect")
CLIENTS: Final = ("client", "connect")
IMAGE: Final = (
    "crossbario/autobahn-testsuite:25.10.1"
    "@sha256:519915fb568b04c9383f70a1c405ae3ff44ab9e35835b085239c258b6fac3074"
)
FUZZING_SERVER: Final = "ws://127.0.0.1:9001"

#: Cases whose outcome no RFC decides: they can be no better than this. The list may
#: only shrink.
INFORMATIONAL: Final = frozenset({"7.1.6", "7.13.1", "7.13.2"})

QUICK: Final = (
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"),
    *("9.1.1", "9.1.2", "9.2.1", "9.2.2", "9.3.9", "9.4.9", "9.5.6", "9.6.6"),
    *("9.7.*", "9.8.*", "12.*.1", "12.*.2", "12.*.4", "13.*.1", "13.*.2", "13.*.4"),
)
#: How many there are.
CASES: Final = 517


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the suite wrote, by case."""
    results: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("index*.json")):
        for key, value in json.loads(path.read_text("utf-8")).items():
            # The official suite sorts by agent first.
            results |= {key: value} if "behavior" in value else value
    return results


def complaints(results: dict[str, dict[str, Any]], expected: int = 0) -> Iterator[str]:
    """Yield what is not as good as it can be."""
    if len(results) < max(expected, 1):
        yield f"only {len(results)} cases of {expected or 'any'} ran"
    for case, result in results.items():
        allowed = {"OK"} | ({"INFORMATIONAL"} if case in INFORMATIONAL else set())
        for part in ("behavior", "behaviorClose"):
            if result[part] not in allowed:
                yield f"{case}: {part} is {result[part]}"


@contextlib.contextmanager
def echo_server(role: str) -> Iterator[str]:
    """Run the echo server; give its address."""
    command = [sys.executable, str(HERE / "echo_server.py")]
    if role in ("connection", "handler"):
        command.append(f"--{role}")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def echo_client(role: str) -> list[str]:
    options = ["--connect"] if role == "connect" else []
    return [sys.executable, str(HERE / "echo_client.py"), *options]


def run_scripts(scripts: Path, role: str, cases: Sequence[str], out: Path) -> None:
    """Ask the scripts; their own verdict is more lenient than ours."""
    options = [] if list(cases) == ["*"] else ["--cases", ",".join(cases)]
    if role in CLIENTS:
        script = scripts / "autobahn_client.sh"
        command = [str(script), str(out), *options, "--", *echo_client(role)]
        subprocess.run(command, check=False)
        return
    with echo_server(role) as url:
        script = scripts / "autobahn_server.sh"
        subprocess.run([str(script), url, str(out), *options], check=False)


def run_container(role: str, cases: Sequence[str], out: Path) -> None:
    """Ask the official container."""
    out.mkdir()
    docker = ["docker", "run", "--rm", "--network", "host", "-v", f"{out}:/suite"]
    settings: dict[str, Any] = {
        "outdir": "/suite",
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    spec = out / "spec.json"
    if role in CLIENTS:
        settings["url"] = FUZZING_SERVER
        spec.write_text(json.dumps(settings))
        command = [*docker, "-d", IMAGE, "wstest", "-m", "fuzzingserver"]
        command += ["-s", "/suite/spec.json"]
        started = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        try:
            wait_for_port(9001)
            subprocess.run([*echo_client(role), FUZZING_SERVER], check=False)
        finally:
            subprocess.run(["docker", "stop", started.stdout.strip()], check=False)
        return
    with echo_server(role) as url:
        settings["servers"] = [{"agent": "beamfast", "url": url}]
        spec.write_text(json.dumps(settings))
        command = [*docker, IMAGE, "wstest", "-m", "fuzzingclient"]
        subprocess.run([*command, "-s", "/suite/spec.json"], check=True)


def wait_for_port(port: int) -> None:
    """Return when somebody listens; give up after a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scripts", type=Path)
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(ROLES))
    options = parser.parse_args(arguments)
    bad = False
    for role in options.roles or ROLES:
        if role not in ROLES:
            parser.error(f"no such role: {role}")
        cases = QUICK if options.quick else ("*",)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            out = Path(folder) / role
            if options.scripts:
                run_scripts(options.scripts.resolve(), role, cases, out)
            else:
                run_container(role, cases, out)
            results = read_results(out)
        faults = list(complaints(results, 0 if options.quick else CASES))
        found = Counter(result["behavior"] for result in results.values())
        counts = ", ".join(f"{count} {name}" for name, count in found.most_common())
        lines = [f"Autobahn, {role}: {counts}", *faults]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        bad = bad or bool(faults)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())

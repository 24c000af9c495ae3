"""The judge of the Autobahn cases, without the cases."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
GOOD = {"behavior": "OK", "behaviorClose": "OK", "duration": 1}
INFORMATIONAL = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}


def judge(folder, results, *options):
    """Run the judge with a script that has ``results`` instead of cases."""
    (folder / "results.json").write_text(json.dumps(results))
    script = folder / "autobahn_server.sh"
    lines = [
        "#!/bin/sh",
        f"echo \"$@\" > '{folder}/arguments'",
        'mkdir -p "$2/reports"',
        f"cp '{folder}/results.json' \"$2/reports/index.json\"",
    ]
    script.write_text("\n".join(lines))
    script.chmod(0o755)
    command = [sys.executable, str(HERE / "autobahn.py")]
    command += ["--quick", "--scripts", str(folder), *options, "server"]
    return subprocess.run(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize("by_agent", [False, True])
def test_ok_passes_and_so_does_what_no_rfc_decides(tmp_path, by_agent):
    results = {"1.1.1": GOOD, "7.1.6": INFORMATIONAL}
    done = judge(tmp_path, {"beamfast": results} if by_agent else results)
    assert done.stdout == "Autobahn, server: 1 OK, 1 INFORMATIONAL\n"
    assert done.returncode == 0
    assert "12.*.1" in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize(
    ("case", "result", "complaint"),
    [
        ("6.4.1", GOOD | {"behavior": "NON-STRICT"}, "6.4.1: behavior is NON-STRICT"),
        ("1.1.1", INFORMATIONAL, "1.1.1: behavior is INFORMATIONAL"),
        ("7.1.1", GOOD | {"behaviorClose": "UNCLEAN"}, "behaviorClose is UNCLEAN"),
    ],
)
def test_less_than_ok_is_a_failure(tmp_path, case, result, complaint):
    done = judge(tmp_path, {case: result})
    assert complaint in done.stdout
    assert done.returncode == 1


def test_a_suite_that_did_not_run_is_a_failure(tmp_path):
    done = judge(tmp_path, {})
    assert "only 0 cases of any ran" in done.stdout
    assert done.returncode == 1

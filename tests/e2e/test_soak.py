"""The short form of ``benches/soak.py``: a fifth of the subscribers never reads."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BUDGET = 2**20
#: What the kernel holds of both ends, and the copy of the document.
SLACK = 2**19


def test_who_never_reads_costs_neither_the_others_nor_the_server():
    options = {
        "subscribers": 400,
        "deaf": 100,
        "rate": 20,
        "seconds": 10,
        "size": 12000,
    }
    words = [text for name, value in options.items() for text in (f"--{name}", value)]
    command = [sys.executable, "-m", "benches.soak", *map(str, words)]
    # It fails by itself when an edit is missing, comes twice or out of order.
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["deliveries"] == 400 * 200
    assert found["caught up"] + found["cut off"] == 100
    assert found["caught up"] > 0
    assert found["published_bytes"] > 2 * BUDGET
    assert found["most_bytes_to_catch_up"] < BUDGET + SLACK
    assert found["growth_MiB"] < 16

"""The allocator: tuned where there is something to tune."""

import ctypes
import subprocess
import sys

from beamfast.documents.allocator import tune_allocator

# Both measured in one process, best of several, so that the ratio survives a busy
# machine. The markup is 1 MB of ordinary list items.
PROBE = """
import time, turbohtml
from beamfast.documents.allocator import tune_allocator
text = '<ul>' + '<li class="msg"><b>name</b> said <i>hello</i></li>\\n' * 20_000
def best():
    times = []
    for _ in range(7):
        start = time.process_time()
        turbohtml.parse(text, source_locations=True)
        times.append(time.process_time() - start)
    return min(times)
before = best()
# Where there is nothing to tune, nothing was lost.
print(best() / before if tune_allocator() else 0)
"""


def test_a_machine_without_mallopt_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not tune_allocator()


def test_both_thresholds_are_raised(monkeypatch):
    calls = []

    class Library:
        @staticmethod
        def mallopt(parameter, value):
            calls.append((parameter, value))
            return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    assert tune_allocator()
    # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3).
    assert calls == [(-3, 32 * 2**20), (-1, 64 * 2**20)]


def test_tuning_takes_a_parse_of_one_megabyte_to_at_most_six_tenths(capsys):
    ratio = min(
        float(subprocess.check_output([sys.executable, "-c", PROBE])) for _ in range(2)
    )
    with capsys.disabled():
        sys.stdout.write(f"\nparse of 1 MB, allocator tuned: {ratio:.2f} of before\n")
    assert ratio <= 0.6

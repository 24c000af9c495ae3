"""One worker as its supervisor sees it; the clock is given."""

import contextlib
import os
import selectors
import signal
import sys
from pathlib import Path

import pytest

from beamfast.server.binding import bind_tcp
from beamfast.server.config import HostConfig, ListenerConfig, ServerConfig
from beamfast.server.control import Assignment
from beamfast.server.slot import BACK_OFF, BACK_OFF_LIMIT, STABLE, Slot

#: A worker that reads its assignment, says what it is told to say, and waits.
TALKER = """
import socket, sys
control = socket.socket(fileno=int(sys.argv[-1]))
file = control.makefile("rb")
file.readline()
for word in sys.argv[1:-1]:
    control.sendall(word.encode() + b"\\n")
sys.exit(5 if file.readline() == b"drain\\n" else 0)
"""

PLACE = ListenerConfig("127.0.0.1:0")


@pytest.fixture
def assignment():
    with bind_tcp("127.0.0.1", 0) as listener:
        config = ServerConfig((HostConfig(Path("/srv")),))
        yield Assignment(config, 0, 1, ((listener.fileno(), PLACE),), Path("/run"))


@pytest.fixture
def start(assignment):
    with contextlib.ExitStack() as stack:

        def begin(slot: Slot, *words: str, now: float = 0.0, code: str = TALKER):
            command = [sys.executable, "-I", "-S", "-c", code, *words]
            control = slot.start(command, assignment, now)
            process = slot.process

            def end():
                process.kill()
                process.wait()
                control.close()

            stack.callback(end)
            return control

        yield begin


def wait(control):
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        assert selector.select(20)


def reap(slot, now):
    slot.process.wait()
    return slot.reap(now)


def test_a_worker_is_ready_when_it_says_so(start):
    slot = Slot(0)
    control = start(slot, "heartbeat")
    wait(control)
    assert slot.listen(1.0) is not None
    assert not slot.is_ready
    assert slot.heard == 1.0
    slot.tell("drain")
    assert reap(slot, 2.0) == 5


def test_it_stays_ready(start):
    slot = Slot(0)
    control = start(slot, "ready")
    wait(control)
    assert slot.listen(1.0) is not None
    assert slot.is_ready
    assert slot.listen(2.0) is not None
    assert slot.is_ready
    assert slot.heard == 1.0


def test_a_worker_that_lives_is_not_reaped(start):
    slot = Slot(0)
    start(slot)
    assert slot.reap(1.0) is None
    assert slot.process is not None


def test_an_empty_slot_is_told_nothing_and_not_killed():
    slot = Slot(0)
    slot.tell("drain")
    slot.kill()
    assert slot.reap(1.0) is None


def test_the_end_of_what_it_says_is_noticed(start):
    slot = Slot(0)
    control = start(slot, code="")
    wait(control)
    assert slot.listen(1.0) is None
    assert reap(slot, 2.0) == 0


def test_the_first_restart_is_immediate_and_further_ones_wait_longer(start):
    slot = Slot(0)
    pauses = []
    for number in range(10):
        now = float(number * 100)
        start(slot, now=now)
        slot.kill()
        assert reap(slot, now + 1) == -signal.SIGKILL
        pauses.append(slot.due - now - 1)
    assert pauses[:3] == pytest.approx([0, BACK_OFF, 2 * BACK_OFF])
    assert pauses == sorted(pauses)
    assert pauses[-1] == BACK_OFF_LIMIT


def test_a_worker_that_lived_long_is_restarted_at_once(start):
    slot = Slot(0)
    for now in (0.0, 10.0, 20.0):
        start(slot, now=now)
        slot.kill()
        reap(slot, now)
    assert slot.due > 20.0
    start(slot, now=30.0)
    slot.kill()
    reap(slot, 30.0 + STABLE)
    assert slot.due == 30.0 + STABLE


def test_ctrl_c_is_held_back_until_the_worker_says_what_it_means(start):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    slot = Slot(0)
    code = (
        "import signal, sys\n"
        "sys.exit(7 * (signal.SIGINT in signal.pthread_sigmask(0, ())))"
    )
    start(slot, code=code)
    assert reap(slot, 1.0) == 7
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_worker_gets_the_listener_and_no_other_descriptor(start, assignment):
    listener = assignment.listeners[0][0]
    slot = Slot(0)
    stranger, other = os.pipe()
    os.set_inheritable(stranger, True)
    code = (
        "import os, sys\n"
        "open_ = [n for n in range(3, 64) if os.path.exists(f'/dev/fd/{n}')]\n"
        f"sys.exit({{{listener}, int(sys.argv[-1])}} - set(open_) != set()\n"
        f"         or {stranger} in open_)"
    )
    start(slot, code=code)
    assert reap(slot, 1.0) == 0
    os.close(stranger)
    os.close(other)

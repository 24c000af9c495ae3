"""Where log lines go."""

import logging

import pytest

from beamfast.server.logs import log_to_terminal


@pytest.fixture(autouse=True)
def logger():
    logger = logging.getLogger("beamfast")
    before = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = before
    logger.setLevel(before[1])


def test_what_happens_goes_to_stdout_when_asked(capsys):
    log_to_terminal(verbose=True)
    logging.getLogger("beamfast.x").info("seen %d", 1)
    assert capsys.readouterr() == ("seen 1\n", "")


def test_only_what_is_wrong_goes_to_stderr_else(capsys):
    log_to_terminal(verbose=False)
    logging.getLogger("beamfast.x").info("hidden")
    logging.getLogger("beamfast.x").warning("seen")
    assert capsys.readouterr() == ("", "seen\n")


def test_asking_twice_does_not_print_twice(capsys):
    log_to_terminal(verbose=True)
    log_to_terminal(verbose=True)
    logging.getLogger("beamfast").info("once")
    assert capsys.readouterr().out == "once\n"

"""Another configuration for all workers at once, or for none."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from beamfast.errors import ConfigError
from beamfast.server import reloading as module
from beamfast.server.config import HostConfig, ListenerConfig, ServerConfig
from beamfast.server.control import (
    ABANDON,
    COMMIT,
    PREPARE,
    PREPARED,
    REFUSED,
    config_to_json,
)
from beamfast.server.filewatch import FileWatch
from beamfast.server.reloading import Reloading, restart_needed


class Worker:
    """A slot that remembers what it is told."""

    def __init__(self, *, is_ready: bool = True) -> None:
        self.is_ready = is_ready
        self.told: list[str] = []

    def tell(self, line: str) -> None:
        self.told.append(line.partition(" ")[0])


class Scene:
    def __init__(self, folder) -> None:
        self.config = ServerConfig((HostConfig(folder),), port=81)
        self.workers = [Worker(), Worker()]
        self.accepted: list[bool] = []
        self.answers: list[list[str]] = []
        self.refusal = ""

    def start(self, code: str, exits: int = 0) -> None:
        command = [sys.executable, "-c", f"{code}; raise SystemExit({exits})"]
        self.reloading = Reloading(command, self.accept, FileWatch(Path(__file__)))
        self.reloading.ask(self.answers.append)
        assert self.reloading.begin(0.0) is not None

    def read(self) -> None:
        while not self.reloading.readable(self.workers):
            pass

    def accept(self, config: ServerConfig, is_in_place: bool) -> None:
        assert config == self.config
        if self.refusal:
            raise ConfigError(self.refusal)
        self.accepted.append(is_in_place)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.fixture
def reading(scene):
    """A reload whose configuration the workers are building."""
    scene.start(f"print({config_to_json(scene.config)!r})")
    scene.read()
    return scene


def test_all_workers_build_it_before_any_serves_it(reading):
    one, two = reading.workers
    assert one.told == two.told == [PREPARE]
    reading.reloading.heard(one, PREPARED, "")
    assert two.told == [PREPARE]
    reading.reloading.heard(two, PREPARED, "")
    assert one.told == two.told == [PREPARE, COMMIT]
    assert reading.accepted == [False, True]
    assert reading.answers == [[]]
    assert not reading.reloading.is_running


def test_if_one_refuses_nobody_serves_it(reading):
    one, two = reading.workers
    reading.reloading.heard(one, PREPARED, "")
    reading.reloading.heard(two, REFUSED, json.dumps(["a", "b"]))
    assert one.told == two.told == [PREPARE, ABANDON]
    assert reading.accepted == [False]
    assert reading.answers == [["a", "b"]]
    assert reading.reloading.failures == 1


def test_a_worker_that_ends_is_not_waited_for(reading):
    one, two = reading.workers
    reading.reloading.heard(one, PREPARED, "")
    reading.reloading.gone(two)
    assert one.told == [PREPARE, COMMIT]
    assert two.told == [PREPARE]


def test_workers_that_take_too_long_are_given_up(reading):
    reading.reloading.look(module.PATIENCE - 1)
    assert reading.answers == []
    reading.reloading.look(module.PATIENCE)
    assert reading.answers == [["the workers took too long"]]


def test_a_file_with_mistakes_never_reaches_the_workers(scene):
    scene.start("print('x:1: wrong')", 2)
    scene.read()
    assert scene.answers == [["x:1: wrong"]]
    assert scene.workers[0].told == []


def test_what_cannot_be_accepted_never_reaches_the_workers(scene):
    scene.refusal = "served already"
    scene.start(f"print({config_to_json(scene.config)!r})")
    scene.read()
    assert scene.answers == [["served already"]]
    assert scene.workers[0].told == []


def test_a_reader_that_takes_too_long_is_given_up(scene):
    scene.start("import time; time.sleep(60)")
    scene.reloading.look(module.PATIENCE)
    scene.read()
    assert scene.answers == [["the configuration cannot be read"]]


def test_who_asks_meanwhile_gets_a_reload_of_its_own(reading):
    later: list[list[str]] = []
    reading.reloading.ask(later.append)
    assert reading.reloading.begin(1.0) is None
    for worker in reading.workers:
        reading.reloading.heard(worker, PREPARED, "")
    assert (reading.answers, later) == ([[]], [])
    assert reading.reloading.begin(1.0) is not None
    reading.read()
    for worker in reading.workers:
        reading.reloading.heard(worker, PREPARED, "")
    assert later == [[]]


def test_workers_that_start_are_left_out(scene):
    scene.workers.append(Worker(is_ready=False))
    scene.start(f"print({config_to_json(scene.config)!r})")
    scene.read()
    assert scene.workers[2].told == []


def test_what_counts_from_the_next_start_on(scene):
    config = scene.config
    (host,) = config.hosts
    other = replace(
        config,
        workers=2,
        ordered=True,
        hosts=(replace(host, durability="relaxed"),),
        listeners=(ListenerConfig("unix:x"),),
    )
    assert restart_needed(config, config) == []
    assert restart_needed(config, other) == [
        *("workers", "ordered", "listeners", f"the journal of {host.root}"),
    ]

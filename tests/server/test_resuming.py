"""A supervisor that goes on from a state."""

import json
import os
import tempfile

from beamfast.server.binding import bind
from beamfast.server.config import HostConfig, ListenerConfig, ServerConfig
from beamfast.server.resuming import resume
from beamfast.server.rundir import RootLocks, WorkerFolder, run_directory
from beamfast.server.slot import Slot
from beamfast.server.worker import Supervisor


def test_it_has_everything_that_the_one_before_had(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    config = ServerConfig((HostConfig(tmp_path),), port=0)
    before = Supervisor(config, path=tmp_path, verbose=True)
    before.bound = bind([ListenerConfig("127.0.0.1:0")])
    before.urls = [before.bound[0].url]
    before.folder = WorkerFolder(run_directory())
    before.roots = RootLocks()
    before.roots.hold([tmp_path])
    before.slots = [Slot(0, 1)]
    seen = []

    def run(self) -> int:
        seen.append(self)
        return 7

    monkeypatch.setattr(Supervisor, "run", run)
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(before.to_state()).encode())
        file.seek(0)
        assert resume(os.dup(file.fileno())) == 7
    (after,) = seen
    assert after.config == config
    assert after.urls == before.urls
    assert after.folder.path == before.folder.path
    assert after.slots[0].seat == 1
    assert after.shares
    assert after.verbose
    # One set of descriptors belongs to both; one of them gives it back.
    for one in after.bound:
        for listener in one.sockets:
            listener.detach()
    before.bound[0].close()
    before.folder.close()
    before.roots.close()

"""Where running servers keep sockets and locks, and who may write there."""

import logging
import os
import stat

import pytest

from beamfast.errors import ConfigError
from beamfast.server.rundir import WorkerFolder, hold_roots, run_directory


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_it_is_private_to_the_user(tmp_path):
    folder = run_directory()
    assert folder == tmp_path / f"beamfast-{os.geteuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert run_directory() == folder


def test_systemd_names_it(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    assert run_directory() == tmp_path / "one"


def test_the_users_runtime_folder_holds_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert run_directory() == tmp_path / "beamfast"


def test_a_runtime_folder_that_is_not_there_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert run_directory().parent == tmp_path


def test_a_folder_that_others_may_write_to_is_refused():
    run_directory().chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        run_directory()


def test_a_link_that_somebody_left_there_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    run_directory().rmdir()
    (tmp_path / f"beamfast-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="others may write"):
        run_directory()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "file" / "run"))
    with pytest.raises(ConfigError, match=r"file/run: Not a directory"):
        run_directory()


def test_the_folder_of_the_workers_goes_with_its_supervisor(tmp_path):
    with WorkerFolder(tmp_path) as folder:
        (folder.path / "0").write_text("")
        assert [folder.path] == list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    folder.close()


def test_what_a_killed_supervisor_left_is_removed_and_a_live_one_kept(tmp_path):
    stale = tmp_path / "workers-dead"
    stale.mkdir()
    (stale / "lock").write_text("")
    (stale / "0").write_text("")
    with WorkerFolder(tmp_path) as first, WorkerFolder(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first.path, second.path])


def test_a_root_has_one_server_at_a_time(tmp_path):
    with hold_roots([tmp_path]):
        message = rf"{tmp_path} is served already, by process {os.getpid()}"
        with pytest.raises(ConfigError, match=message), hold_roots([tmp_path]):
            raise AssertionError("two servers")
    with hold_roots([tmp_path]):
        assert len(list(run_directory().iterdir())) == 1
    assert list(run_directory().iterdir()) == []


def test_a_root_is_the_same_by_any_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with (
        hold_roots([tmp_path]),
        pytest.raises(ConfigError, match="served already"),
        hold_roots([tmp_path / "link"]),
    ):
        raise AssertionError("two servers")


def test_hosts_may_share_a_root_and_others_have_their_own(tmp_path):
    with hold_roots([tmp_path, tmp_path]), hold_roots([tmp_path / "other"]):
        assert len(list(run_directory().iterdir())) == 2


def test_what_a_killed_server_left_keeps_nobody_away(tmp_path):
    with hold_roots([tmp_path]):
        (lock,) = run_directory().iterdir()
    lock.write_text("12345678901234567890")
    with hold_roots([tmp_path]):
        assert lock.read_text() == str(os.getpid())


def test_a_lock_that_its_holder_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    real, removed = os.fstat, []

    def fstat(descriptor):
        if not removed:
            removed.extend(run_directory().iterdir())
            removed[0].unlink()
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with hold_roots([tmp_path]):
        assert removed[0].read_text() == str(os.getpid())


def test_without_a_run_directory_it_serves_and_says_so(tmp_path, monkeypatch, caplog):
    run_directory().chmod(0o777)
    with caplog.at_level(logging.WARNING), hold_roots([tmp_path]):
        assert "nothing keeps a second server away" in caplog.text

from beamfast.commit.lock import FileLock


def test_one_process_at_a_time_holds_the_lock(tmp_path):
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    one.release()
    assert not one.acquire()
    other.release()

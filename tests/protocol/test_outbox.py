"""What waits until somebody takes it."""

from beamfast.protocol.outbox import Outbox


def test_what_was_put_in_comes_out_once_and_in_order():
    outbox = Outbox()
    assert not outbox.has_news
    assert outbox.events_received() == outbox.data_to_send() == []
    outbox._emit("one")
    outbox._emit(b"two")
    outbox._put(b"a")
    outbox._put(b"b")
    assert outbox.has_news
    assert outbox.events_received() == ["one", b"two"]
    assert outbox.has_news
    assert outbox.data_to_send() == [b"a", b"b"]
    assert not outbox.has_news
    assert outbox.events_received() == outbox.data_to_send() == []

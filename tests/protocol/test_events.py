from dataclasses import FrozenInstanceError

import pytest

from beamfast.http import Request
from beamfast.protocol.events import Closed, Failed, Opened, Ping, Pong, Requested

EVENTS = [
    Requested(Request("GET", "/", url="/", path="/")),
    Opened("hybi-13", None),
    Ping(b""),
    Pong(b""),
    Failed("why", 1002),
    Closed(1000, "", True, "local"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_is_a_frozen_value_without_a_dictionary(event):
    assert not hasattr(event, "__dict__")
    name = event.__slots__[0]
    with pytest.raises(FrozenInstanceError):
        setattr(event, name, None)


def test_events_can_be_matched_by_position():
    match Closed(1001, "bye", True, "remote"):
        case Closed(code, reason):
            assert (code, reason) == (1001, "bye")

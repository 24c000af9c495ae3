# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
What one read of a socket goes through: from its bytes to whoever gets messages.

:class:`Outbox` and :class:`Intake` are what drivers begin with, events, bytes and
a parser; :func:`data_received` is the way through them on an open WebSocket, which
calls nothing else while the peer sends nothing but messages.
"""

from libc.stdint cimport uint32_t

from beamfast._outbound cimport Outbound
from beamfast._wire cimport CONN_CORKED


cdef class Outbox:
    """
    Events and bytes until someone takes them.

    The lists are created at need: most connections are idle, and there are many.
    """

    @property
    def has_news(self) -> bool:
        """True when one of the two methods below would return something."""
        return self._events is not None or self._output is not None

    def events_received(self) -> list:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, None
        return [] if events is None else events

    def data_to_send(self) -> list:
        """Return the bytes to write since the last call, in order."""
        output, self._output = self._output, None
        return [] if output is None else output

    def _emit(self, event) -> None:
        self.event_list().append(event)

    def _put(self, bytes data not None) -> None:
        if self._output is None:
            self._output = []
        self._output.append(data)

    cdef list event_list(self):
        if self._events is None:
            self._events = []
        return self._events


cdef class Intake(Outbox):
    """
    Where the messages of a driver go, and how it reads them.

    Attributes:
        on_answer: called when a pong is due, if others send messages, which it has
            to precede.
    """

    def __cinit__(self):
        self._alone = True

    def _feed(self, data) -> None:
        """Give bytes to the parser; the class above learns what it finds."""
        self.feed(data)

    cdef int feed(self, data) except -1:
        cdef int code
        deliver = self.event_list().append if self._alone else self._deliver
        # After the end the parser takes nothing more.
        code = self._parser.feed(data, deliver, self._receive_frame)
        if code:
            self._end_input(code)
        return 0

    cdef int read(self, data) except -1:
        if self._parser is None:
            self.receive_data(data)
        else:
            self.feed(data)
        return 0


def data_received(link not None, data) -> None:
    """
    Feed the driver of ``link``; replies of one read leave in one send.

    Args:
        link: a :class:`beamfast.connection.link.Link`.
        data: any bytes-like object.
    """
    cdef Outbound outbound = link
    cdef Intake driver
    if link._has_ended:
        return
    driver = link._own_driver
    if driver is None:
        driver = link._make_driver()
    outbound.conn.flags |= CONN_CORKED
    # For as long as this takes: kept, it would be a cycle.
    driver.on_answer = link._flush
    try:
        driver.read(data)
    except Exception as error:
        link._fail("a callback of the WebSocket of %s failed", error)
    finally:
        driver.on_answer = None
        if driver._held is not None:
            link._hold_failure()
        if driver._events is not None or driver._output is not None:
            link._flush()
        outbound.conn.flags &= ~<uint32_t>CONN_CORKED
        outbound.flush()
        outbound.settle()

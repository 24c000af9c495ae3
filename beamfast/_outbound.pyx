# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The write side of one socket: what leaves when, and what waits for a slow peer.

:class:`Outbound` is the base of ``WebSocket`` and ``EventSource`` and the write
half of their asyncio protocol. It knows bytes, not frames. What a peer that does
not read costs is bounded here: each topic says what may be left out for it, and
when nothing may, ``on_overflow()`` of the class above decides. Reading is not its
business.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from beamfast._backlog cimport (
    FITS,
    FITS_NEVER,
    FITS_WITHOUT,
    Backlog,
    bytes_of,
    queue_is_over,
    queue_rename,
    verdict_t,
)
from beamfast._frames cimport BINARY, HEAD_LIMIT, TEXT, head_write, message_frame
from beamfast._wire cimport (
    CONN_CLOSING,
    CONN_CORKED,
    CONN_DRAINING,
    CONN_ENDED,
    CONN_GONE,
    CONN_LAGS,
    CONN_LOST,
    CONN_MUTE,
    CONN_OVERFLOW,
    CONN_PAUSED,
    CONN_QUEUED,
    CONN_STALE,
    CONN_WAITS,
    GATHER_LIMIT,
    MEMBER_STALE,
    Wire,
)


cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void *PyUnicode_DATA(object text)


cdef enum:
    # What the own queue hands over in one loop turn.
    DRAIN_LIMIT = 64 * 1024
    # Default budget of the own queue.
    QUEUE_BYTES = 1024 * 1024
    QUEUE_ITEMS = 1000


cdef class Outbound(Wire):
    """
    The write side of one socket.

    Bytes leave in the order in which they were written or published, whatever
    way they take. Until :meth:`attach` and after :meth:`connection_lost` there is
    no socket, and what is written is dropped.

    Attributes:
        coding: how the peer takes what topics compress; None for as it is.
        is_plain: a message leaves in one frame, neither masked nor coded.
    """

    def __cinit__(self):
        self.is_plain = True
        self.budget = budget_t(QUEUE_BYTES, QUEUE_ITEMS)

    @property
    def buffered_amount(self) -> int:
        """Bytes written but not yet given to the kernel."""
        cdef size_t waiting = 0
        if self.conn.flags & CONN_LOST:
            return 0
        if self.queue is not None:
            waiting += self.queue.queue.bytes
        if self.state.owner is self:
            waiting += self.state.used
        return waiting + self.transport.get_write_buffer_size()

    @property
    def queue_bytes_limit(self) -> int:
        """Bytes that may wait for a slow peer, 1 MiB."""
        return self.budget.bytes

    @queue_bytes_limit.setter
    def queue_bytes_limit(self, int64_t value):
        self.budget.bytes = value

    @property
    def queue_items_limit(self) -> int:
        """Messages that may wait for a slow peer, 1,000."""
        return self.budget.items

    @queue_items_limit.setter
    def queue_items_limit(self, int64_t value):
        self.budget.items = value

    @property
    def is_paused(self) -> bool:
        """True while written bytes have to wait for the peer."""
        return self.conn.flags & CONN_WAITS != 0

    def write(self, bytes data not None) -> None:
        """Send ``data`` after everything written or published before."""
        if not self.conn.flags & CONN_MUTE:
            self.write_in_order(data)

    def write_message(self, message) -> bool:
        """
        Queue one message for this peer alone.

        Args:
            message: a str goes out as text, bytes-like as binary.

        Returns:
            False when the connection is closing or closed.

        Raises:
            InvalidState: a fragmented message is not finished.
            TypeError: neither text nor bytes.
            ValueError: a str that has no UTF-8 form.
        """
        if not self.is_plain:
            return self.write_coded(message)
        if self.conn.flags & CONN_MUTE:
            return False
        if not self.gather_message(message):
            self.write_in_order(message_frame(message))
        return True

    def write_coded(self, message) -> bool:
        """As :meth:`write_message`, for who is not plain."""
        raise NotImplementedError

    def write_last(self, bytes data not None) -> None:
        """
        Send ``data`` and nothing more: leave all topics, drop later writes.

        For close frames, which nothing may follow (RFC 6455, 5.5.1).
        """
        if not self.conn.flags & CONN_MUTE:
            self.write_in_order(data)
            self.flush()
            self.conn.flags |= CONN_ENDED
            self.leave_all()

    def cork(self) -> None:
        """Gather what is written from now on, to leave in one send."""
        self.conn.flags |= CONN_CORKED

    def uncork(self) -> None:
        """Send what gathered since :meth:`cork`."""
        self.conn.flags &= ~<uint32_t>CONN_CORKED
        self.flush()
        self.settle()

    def wait_writable(self):
        """
        Return a future that is done once no written byte waits any more.

        It is done as well when the connection is lost. None when nothing waits:
        an idle connection owns no future.
        """
        if not self.conn.flags & CONN_WAITS or self.conn.flags & CONN_GONE:
            return None
        # One for each caller: who cancels an own wait must not cancel others.
        waiter = self.state.loop.create_future()
        self.waiters = [waiter, *(self.waiters or ())]
        return waiter

    def drop_queue(self) -> None:
        """Forget what waits in the own queue; it ends between two frames."""
        self.queue = None
        self.conn.flags &= ~<uint32_t>(CONN_QUEUED | CONN_OVERFLOW)
        if not self.conn.flags & CONN_PAUSED:
            self.drained()

    def close_transport(self) -> None:
        """Close once everything written and published so far has been sent."""
        if self.conn.flags & CONN_GONE:
            return
        if not self.conn.flags & CONN_ENDED:
            self.catch_up()
        self.flush()
        # Closing flushes the transport's buffer, not the queue in front of it.
        while self.queue is not None and not self.conn.flags & CONN_GONE:
            self.hand_over(self.take_pieces(DRAIN_LIMIT))
        if not self.conn.flags & CONN_GONE:
            self.conn.flags |= CONN_CLOSING
            self.transport.close()

    def abort(self) -> None:
        """Close at once; what has not been sent is lost."""
        if not self.conn.flags & CONN_LOST:
            self.conn.flags |= CONN_CLOSING
            self.queue = None
            self.release_scratch()
            self.transport.abort()

    def on_overflow(self) -> None:
        """
        The peer is too slow and nothing may be left out for it; here: abort.

        Called once, at a moment when anything may be written, published or
        closed. Until the queue has drained, topics pass this connection over.
        """
        self.abort()

    def leave_epochs(self) -> None:
        """Get every topic in a form that no other bytes in between can break."""
        cdef membership_t *member = conn_shared(&self.conn)
        while member != NULL:
            member.lane.withdraw(member.lane, member.slot)
            member = conn_shared(&self.conn)

    def pause_writing(self) -> None:
        """The transport holds a backlog (called by the transport)."""
        self.conn.flags |= CONN_PAUSED

    def resume_writing(self) -> None:
        """The transport's backlog is gone (called by the transport)."""
        self.conn.flags &= ~<uint32_t>CONN_PAUSED
        if not self.conn.flags & CONN_QUEUED:
            self.drained()
        elif not self.conn.flags & CONN_DRAINING:
            self.drain()

    def connection_lost(self, exc) -> None:
        """There is no socket any more (called by the transport): leave all topics."""
        # Here and nowhere later: the number may belong to another socket as soon
        # as this call has returned.
        self.conn.fd = -1
        self.conn.flags = CONN_LOST
        self.leave_all()
        self.queue = None
        self.release_scratch()
        self.transport = None
        self.wake()

    # For topics.

    cdef membership_t *join(self, lane_t *lane) except NULL:
        """Become a member; the membership holds a reference."""
        if lane_join(lane, &self.conn):
            raise MemoryError
        Py_INCREF(self)
        return &self.conn.memberships[self.conn.count - 1]

    cdef void leave(self, lane_t *lane, lane_t *heir) noexcept:
        """Be a member no more; what waits may be left out as the heir says."""
        cdef membership_t *member = conn_member(&self.conn, lane)
        if self.queue is not None:
            if heir != NULL and heir.policy != lane.policy:
                heir = NULL
            queue_rename(&self.queue.queue, lane, heir)
        lane_leave(lane, member.slot)
        if self.conn.flags & CONN_LAGS and conn_stale(&self.conn) == NULL:
            self.conn.flags &= ~<uint32_t>CONN_LAGS
        if lane.count == 0:
            lane.emptied(lane)
        Py_DECREF(self)

    cdef void doom(self) noexcept:
        self.queue = None
        Wire.doom(self)

    cdef int catch_up(self) except -1:
        """Send what was published before now, in every topic of this connection."""
        cdef const membership_t *behind = conn_behind(&self.conn)
        while behind != NULL:
            behind.lane.catch_up(behind.lane, behind.slot)
            behind = conn_behind(&self.conn)
        return 0

    cdef int put(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1:
        """Send shared bytes, or a batch, from ``offset`` on."""
        cdef bytes data = bytes_of(content)
        cdef size_t size = PyBytes_GET_SIZE(data) - offset
        cdef size_t taken = self.take(PyBytes_AS_STRING(data) + offset, size)
        if taken < size:
            self.pass_on(content, offset + taken, items, source)
        return 0

    cdef int pass_on(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1:
        """Send what cannot go directly: by the transport, or later."""
        if self.conn.flags & CONN_MUTE:
            return 0
        if self.conn.flags & CONN_WAITS:
            return self.enqueue(content, offset, items, source)
        data = bytes_of(content)
        return self.hand_over(memoryview(data)[offset:] if offset else data)

    cdef int settle(self) except -1:
        """Bring the queue within its budget, now that anything may be called."""
        if self.conn.flags & CONN_OVERFLOW:
            self.conn.flags &= ~<uint32_t>CONN_OVERFLOW
            self.relieve()
        return 0

    cdef bint gather_message(self, object message) except -1:
        """Put the frame of a message where the reply to a read gathers, if it can."""
        cdef Py_ssize_t size
        cdef const char *payload
        cdef char *to
        cdef int opcode, used
        if self.conn.flags & (CONN_CORKED | CONN_WAITS | CONN_OVERFLOW) != CONN_CORKED:
            return False
        if type(message) is bytes:
            opcode, size = BINARY, PyBytes_GET_SIZE(message)
            payload = PyBytes_AS_STRING(message)
        elif type(message) is str and PyUnicode_IS_COMPACT_ASCII(message):
            opcode, size = TEXT, PyUnicode_GET_LENGTH(message)
            payload = <const char *>PyUnicode_DATA(message)
        else:
            return False
        if size > GATHER_LIMIT - HEAD_LIMIT or conn_behind(&self.conn) != NULL:
            return False
        to = self.room(size + HEAD_LIMIT)
        used = head_write(<uint8_t *>to, opcode, True, 0, size, NULL)
        memcpy(to + used, payload, size)
        self.state.used += used + size
        return True

    cdef int write_in_order(self, bytes data) except -1:
        cdef uint32_t corked = self.conn.flags & CONN_CORKED
        if conn_behind(&self.conn) != NULL:
            # What topics have published leaves first, and in the same send.
            self.conn.flags |= CONN_CORKED
            self.catch_up()
        self.put(data, 0, 1, NULL)
        if not corked and self.conn.flags & CONN_CORKED:
            self.conn.flags &= ~<uint32_t>CONN_CORKED
            self.flush()
        return self.settle()

    cdef int enqueue(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1:
        if self.queue is None:
            self.queue = Backlog.__new__(Backlog)
            self.conn.flags |= CONN_QUEUED
        self.queue.push(content, offset, items, source)
        if queue_is_over(&self.queue.queue, &self.budget, 4):
            # One that has overflown already is not asked again.
            self.conn.flags |= 0 if self.conn.flags & CONN_STALE else CONN_OVERFLOW
        return 0

    # The own queue.

    cdef int drain(self) except -1:
        """Hand over one turn's share; go on in the next turn if all was taken."""
        self.conn.flags |= CONN_DRAINING
        if self.queue is not None:
            self.hand_over(self.take_pieces(DRAIN_LIMIT))
        self.conn.flags &= ~<uint32_t>CONN_DRAINING
        if self.conn.flags & CONN_GONE:
            return 0
        if self.queue is None:
            # Not before: until the transport has the last piece, nothing that
            # is written meanwhile may overtake it.
            self.conn.flags &= ~<uint32_t>CONN_QUEUED
        if self.conn.flags & CONN_PAUSED:
            return 0
        if self.queue is None:
            return self.drained()
        self.conn.flags |= CONN_DRAINING
        self.state.loop.call_soon(self._drain)
        return 0

    def _drain(self):
        self.conn.flags &= ~<uint32_t>CONN_DRAINING
        if not self.conn.flags & (CONN_PAUSED | CONN_GONE):
            self.drain()

    cdef object take_pieces(self, size_t limit):
        cdef object pieces = self.queue.take(limit)
        if not self.queue.queue.count:
            self.queue = None
        return pieces

    cdef int drained(self) except -1:
        """Nothing waits any more."""
        self.conn.flags &= ~<uint32_t>CONN_STALE
        if self.conn.flags & CONN_LAGS:
            # Not at once: the transport may be in the middle of something.
            self.state.loop.call_soon(self._refresh)
        return self.wake()

    def _refresh(self):
        """Ask topics that left something out for a fresh copy."""
        cdef uint32_t index = self.conn.count
        cdef membership_t *member
        while index and not self.conn.flags & (CONN_WAITS | CONN_MUTE):
            # Downwards: whoever is asked may leave, or join.
            index = min(index, self.conn.count) - 1
            member = &self.conn.memberships[index]
            if member.state & MEMBER_STALE:
                member.lane.refresh(member.lane, member.slot)
            index = min(index, self.conn.count)

    # Too much in the queue.

    cdef int relieve(self) except -1:
        cdef lane_t *lane = NULL
        cdef verdict_t verdict
        while self.queue is not None:
            verdict = self.queue.shrink(&self.conn, &self.budget, &lane)
            self.state.drops += self.queue.drops
            self.queue.drops = 0
            if verdict == FITS_NEVER:
                return self.overflow()
            if verdict == FITS_WITHOUT:
                self.fall_behind(lane)
            if not self.queue.queue.count:
                self.queue = None
                self.conn.flags &= ~<uint32_t>CONN_QUEUED
            elif verdict == FITS:
                return 0
        return 0

    cdef int fall_behind(self, lane_t *lane) except -1:
        """Leave out all that waits from a lane; a fresh copy comes later."""
        cdef membership_t *member = conn_member(&self.conn, lane)
        cdef uint32_t forgotten = self.queue.forget(lane)
        if not member.state & MEMBER_STALE:
            member.state = stale_after(lane.entries[member.slot].seen - forgotten)
        self.conn.flags |= CONN_LAGS
        self.state.resyncs += 1
        if lane.is_shared:
            lane.withdraw(lane, member.slot)
        return 0

    cdef int overflow(self) except -1:
        self.conn.flags |= CONN_STALE
        self.state.overflows += 1
        try:
            self.on_overflow()
        except Exception as error:
            context = {"message": "on_overflow() failed", "exception": error}
            self.state.loop.call_exception_handler(context)
        if not self.conn.flags & CONN_MUTE:
            self.leave_epochs()
        return 0

    cdef void leave_all(self) noexcept:
        while self.conn.count:
            self.leave(self.conn.memberships[0].lane, NULL)

    cdef int wake(self) except -1:
        cdef list waiters = self.waiters
        self.waiters = None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        return 0

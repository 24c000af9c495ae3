# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The write side of one socket: straight to the kernel while that keeps the order,
through the transport when it does not.

:class:`Outbound` is the base of ``WebSocket`` and ``EventSource`` and the write
half of their asyncio protocol. It knows bytes, not frames; what a peer that does
not read costs is bounded here, and what happens to it then is decided by
``on_overflow()`` of the class above. Reading is not its business.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from beamfast._frames cimport message_frame


cdef enum:
    # What the kernel may hold unsent. Its defaults let a peer that does not read
    # swallow megabytes before anybody here notices.
    NOTSENT_LOWAT = 32 * 1024
    # Between cork() and uncork() this much gathers; larger pieces go alone.
    SCRATCH_SIZE = 64 * 1024
    GATHER_LIMIT = 16 * 1024
    # What the own queue hands over in one loop turn.
    DRAIN_LIMIT = 64 * 1024
    # Default budget of the own queue.
    QUEUE_BYTES = 1024 * 1024
    QUEUE_ITEMS = 1000


@cython.final
cdef class Batch:
    """Framed messages in one piece, shared by every connection that gets them."""

    def __dealloc__(self):
        PyMem_Free(self.marks)

    @staticmethod
    cdef Batch of(bytes content, uint32_t first, uint32_t count, mark_t *marks):
        """Take over ``marks``, one for each message, from PyMem_Malloc()."""
        cdef Batch batch = Batch.__new__(Batch)
        cdef const char *data = PyBytes_AS_STRING(content)
        batch.content = content
        batch.marks = marks
        batch.frames = frames_t(data, len(content), first, first + count - 1, marks)
        return batch


@cython.final
cdef class LoopState:
    """
    What all connections of one event loop share; there is no module state.

    Args:
        loop: runs everything that is given this object.
    """

    def __cinit__(self, loop):
        self.loop = loop
        self.scratch = <char *>PyMem_Malloc(SCRATCH_SIZE)
        if self.scratch == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.scratch)


cdef class Outbound:
    """
    The write side of one socket.

    Bytes leave in the order in which they were written or published, whatever
    way they take. Until :meth:`attach` and after :meth:`connection_lost` there is
    no socket, and what is written is dropped.

    Attributes:
        transport: the asyncio transport, None while there is no socket.
        queue_bytes_limit: bytes that may wait for a slow peer, 1 MiB.
        queue_items_limit: messages that may wait for a slow peer, 1,000.
    """

    def __cinit__(self):
        conn_init(&self.conn, <void *>self)
        self.queue_bytes_limit = QUEUE_BYTES
        self.queue_items_limit = QUEUE_ITEMS

    def __dealloc__(self):
        # A membership holds a reference, so there are none any more.
        self.release_queue()

    @property
    def buffered_amount(self) -> int:
        """Bytes written but not yet given to the kernel."""
        cdef size_t waiting = 0
        if self.conn.flags & CONN_LOST:
            return 0
        if self.queue != NULL:
            waiting += self.queue.bytes
        if self.state.owner is self:
            waiting += self.state.used
        return waiting + self.transport.get_write_buffer_size()

    @property
    def is_paused(self) -> bool:
        """True while written bytes have to wait for the peer."""
        return self.conn.flags & CONN_WAITS != 0

    @property
    def is_closing(self) -> bool:
        """True once the transport is closing, and while there is none."""
        return self.conn.flags & CONN_GONE != 0

    def attach(self, transport, LoopState state not None) -> None:
        """
        Take over the write side of a transport whose protocol is this object.

        Args:
            transport: bytes that it still holds leave first.
            state: of the transport's loop.

        Raises:
            RuntimeError: there is a transport already.
        """
        cdef uint32_t flags = 0
        cdef bint encrypted = transport.get_extra_info("ssl_object") is not None
        if self.transport is not None:
            raise RuntimeError("attach() was called twice")
        socket = transport.get_extra_info("socket")
        fd = -1 if socket is None else socket.fileno()
        # The number is kept and the object is not: uvloop would cache it.
        if fd < 0 or not socket_prepare(fd, NOTSENT_LOWAT) or encrypted:
            flags = CONN_INDIRECT
        else:
            self.conn.fd = fd
        self.transport = transport
        self.state = state
        self.conn.flags = flags | (CONN_CLOSING if transport.is_closing() else 0)
        # With these limits the transport says when it holds the first byte of a
        # backlog and when the last one is gone, so one flag mirrors it. The TLS
        # transports compare with >= and would pause with nothing to send at 0.
        transport.set_write_buffer_limits(high=1 if encrypted else 0, low=0)
        # A transport that paused its former protocol does not tell the new one.
        if transport.get_write_buffer_size():
            self.conn.flags |= CONN_PAUSED

    def write(self, bytes data not None) -> None:
        """Send ``data`` after everything written or published before."""
        if not self.conn.flags & CONN_MUTE:
            self.write_in_order(data)

    def write_message(self, message) -> bool:
        """
        Send one frame that is neither masked nor coded, as :meth:`write` would.

        Returns:
            False when the connection takes no more bytes.
        """
        if self.conn.flags & CONN_MUTE:
            return False
        self.write_in_order(message_frame(message))
        return True

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
        self.release_queue()
        self.conn.flags &= ~<uint32_t>(CONN_QUEUED | CONN_OVERFLOW)
        if not self.conn.flags & CONN_PAUSED:
            self.conn.flags &= ~<uint32_t>CONN_STALE
            self.wake()

    def close_transport(self) -> None:
        """Close once everything written and published so far has been sent."""
        if self.conn.flags & CONN_GONE:
            return
        if not self.conn.flags & CONN_ENDED:
            self.catch_up()
        self.flush()
        # Closing flushes the transport's buffer, not the queue in front of it.
        while self.queue != NULL and not self.conn.flags & CONN_GONE:
            self.hand_over(self.take_pieces(DRAIN_LIMIT))
        if not self.conn.flags & CONN_GONE:
            self.conn.flags |= CONN_CLOSING
            self.transport.close()

    def abort(self) -> None:
        """Close at once; what has not been sent is lost."""
        if not self.conn.flags & CONN_LOST:
            self.conn.flags |= CONN_CLOSING
            self.release_queue()
            self.release_scratch()
            self.transport.abort()

    def on_overflow(self) -> None:
        """
        The peer is too slow and its queue is over budget; here: abort.

        Called once, at a moment when anything may be written, published or
        closed. Until the queue has drained, topics pass this connection over.
        """
        self.abort()

    def pause_writing(self) -> None:
        """The transport holds a backlog (called by the transport)."""
        self.conn.flags |= CONN_PAUSED

    def resume_writing(self) -> None:
        """The transport's backlog is gone (called by the transport)."""
        self.conn.flags &= ~<uint32_t>CONN_PAUSED
        if not self.conn.flags & CONN_QUEUED:
            self.conn.flags &= ~<uint32_t>CONN_STALE
            self.wake()
        elif not self.conn.flags & CONN_DRAINING:
            self.drain()

    def connection_lost(self, exc) -> None:
        """There is no socket any more (called by the transport): leave all topics."""
        # Here and nowhere later: the number may belong to another socket as soon
        # as this call has returned.
        self.conn.fd = -1
        self.conn.flags = CONN_LOST
        self.leave_all()
        self.release_queue()
        self.release_scratch()
        self.transport = None
        self.wake()

    # For topics.

    cdef int join(self, lane_t *lane) except -1:
        """Become a member; the membership holds a reference."""
        if lane_join(lane, &self.conn):
            raise MemoryError
        Py_INCREF(self)
        return 0

    cdef void leave(self, lane_t *lane) noexcept:
        """Be a member no more; if it was one at all."""
        cdef uint32_t index
        for index in range(self.conn.count):
            if self.conn.memberships[index].lane == lane:
                lane_leave(lane, self.conn.memberships[index].slot)
                if lane.count == 0:
                    lane.emptied(lane)
                Py_DECREF(self)
                return

    cdef int catch_up(self) except -1:
        """Send what was published before now, in every topic of this connection."""
        cdef const membership_t *behind = conn_behind(&self.conn)
        while behind != NULL:
            behind.lane.catch_up(behind.lane, behind.slot)
            behind = conn_behind(&self.conn)
        return 0

    cdef int put(self, object content, size_t offset, uint32_t items) except -1:
        """Send shared bytes, or a batch, from ``offset`` on."""
        cdef bytes data = bytes_of(content)
        cdef size_t size = PyBytes_GET_SIZE(data) - offset
        cdef size_t taken = self.take(PyBytes_AS_STRING(data) + offset, size)
        return self.pass_on(content, offset + taken, items) if taken < size else 0

    cdef int pass_on(self, object content, size_t offset, uint32_t items) except -1:
        """Send what cannot go directly: by the transport, or later."""
        if self.conn.flags & CONN_MUTE:
            return 0
        if self.conn.flags & CONN_WAITS:
            return self.enqueue(content, offset, items)
        data = bytes_of(content)
        return self.hand_over(memoryview(data)[offset:] if offset else data)

    cdef int settle(self) except -1:
        """Report an overflow, now that it can be acted upon."""
        if self.conn.flags & CONN_OVERFLOW:
            self.conn.flags &= ~<uint32_t>CONN_OVERFLOW
            try:
                self.on_overflow()
            except Exception as error:
                context = {"message": "on_overflow() failed", "exception": error}
                self.state.loop.call_exception_handler(context)
        return 0

    cdef void doom(self) noexcept:
        """The socket is broken: connection_lost() follows in a later turn."""
        self.conn.flags |= CONN_DEAD
        self.release_queue()
        self.transport.abort()

    # The ways out.

    cdef Py_ssize_t take(self, const char *data, size_t size) except -1:
        """Gather or send what can be; return how much needs no further care."""
        if self.conn.flags & CONN_CORKED:
            # What has to wait is not gathered: the queue shares it.
            if size <= GATHER_LIMIT and not self.conn.flags & CONN_WAITS:
                self.gather(data, size)
                return size
            self.flush()
        return self.try_direct(data, size)

    cdef int write_in_order(self, bytes data) except -1:
        cdef uint32_t corked = self.conn.flags & CONN_CORKED
        if conn_behind(&self.conn) != NULL:
            # What topics have published leaves first, and in the same send.
            self.conn.flags |= CONN_CORKED
            self.catch_up()
        self.put(data, 0, 1)
        if not corked and self.conn.flags & CONN_CORKED:
            self.conn.flags &= ~<uint32_t>CONN_CORKED
            self.flush()
        return self.settle()

    cdef size_t try_direct(self, const char *data, size_t size) noexcept:
        """Return how many bytes need no further care: sent, or lost for good."""
        cdef ssize_t sent
        if self.conn.flags & ~<uint32_t>CONN_CORKED:
            return 0
        sent = conn_send(&self.conn, data, size)
        if sent >= 0:
            return sent
        if conn_error() == 0:
            return 0
        self.doom()
        return size

    cdef int hand_over(self, object data) except -1:
        """Give bytes to the transport, which may call pause_writing()."""
        try:
            # write() and never writelines(): some releases of CPython 3.12 and
            # 3.13 do not report a backlog that the latter leaves.
            self.transport.write(data)
        except Exception:
            # uvloop raises when somebody else has closed the transport.
            self.doom()
        return 0

    cdef int enqueue(self, object content, size_t offset, uint32_t items) except -1:
        cdef size_t size = PyBytes_GET_SIZE(bytes_of(content)) - offset
        if self.queue == NULL:
            self.queue = <queue_t *>calloc(1, sizeof(queue_t))
            if self.queue == NULL:
                raise MemoryError
            self.conn.flags |= CONN_QUEUED
        if queue_push(self.queue, piece_t(<void *>content, offset, size, items)):
            raise MemoryError
        Py_INCREF(content)
        if self.conn.flags & CONN_STALE:
            return 0
        if (
            self.queue.bytes > <size_t>self.queue_bytes_limit
            or self.queue.items > <uint64_t>self.queue_items_limit
        ):
            self.conn.flags |= CONN_STALE | CONN_OVERFLOW
        return 0

    cdef int gather(self, const char *data, size_t size) except -1:
        cdef LoopState state = self.state
        # Others lose only what they gain by gathering; their order stays.
        while state.owner is not None and (
            state.owner is not self or state.used + size > SCRATCH_SIZE
        ):
            state.owner.flush()
        state.owner = self
        memcpy(state.scratch + state.used, data, size)
        state.used += size
        return 0

    cdef int flush(self) except -1:
        """Send what has gathered, corked or not."""
        cdef LoopState state = self.state
        cdef size_t size, sent
        if state is None or state.owner is not self:
            return 0
        size = state.used
        state.used = 0
        state.owner = None
        sent = self.try_direct(state.scratch, size)
        if sent < size:
            self.pass_on(state.scratch[sent:size], 0, 1)
        return 0

    # The own queue.

    cdef int drain(self) except -1:
        """Hand over one turn's share; go on in the next turn if all was taken."""
        self.conn.flags |= CONN_DRAINING
        if self.queue != NULL:
            self.hand_over(self.take_pieces(DRAIN_LIMIT))
        self.conn.flags &= ~<uint32_t>CONN_DRAINING
        if self.conn.flags & CONN_GONE:
            return 0
        if self.queue == NULL:
            # Not before: until the transport has the last piece, nothing that
            # is written meanwhile may overtake it.
            self.conn.flags &= ~<uint32_t>(CONN_QUEUED | CONN_STALE)
        if self.conn.flags & CONN_PAUSED:
            return 0
        if self.queue == NULL:
            return self.wake()
        self.conn.flags |= CONN_DRAINING
        self.state.loop.call_soon(self._drain)
        return 0

    def _drain(self):
        self.conn.flags &= ~<uint32_t>CONN_DRAINING
        if not self.conn.flags & (CONN_PAUSED | CONN_GONE):
            self.drain()

    cdef object take_pieces(self, size_t limit):
        """Take whole pieces, at least one, so that the rest begins with a frame."""
        cdef size_t taken = 0
        cdef piece_t piece
        cdef list parts = []
        while self.queue.count and (
            not taken or taken + self.queue.pieces[self.queue.head].size <= limit
        ):
            piece = queue_pop(self.queue)
            taken += piece.size
            parts.append(memoryview(bytes_of(<object>piece.content))[piece.offset:])
            Py_DECREF(<object>piece.content)
        if not self.queue.count:
            self.release_queue()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef void release_queue(self) noexcept:
        cdef queue_t *queue = self.queue
        cdef piece_t piece
        self.queue = NULL
        if queue == NULL:
            return
        while queue.count:
            piece = queue_pop(queue)
            Py_DECREF(<object>piece.content)
        queue_free(queue)

    cdef void release_scratch(self) noexcept:
        if self.state is not None and self.state.owner is self:
            self.state.owner = None
            self.state.used = 0

    cdef void leave_all(self) noexcept:
        while self.conn.count:
            self.leave(self.conn.memberships[0].lane)

    cdef int wake(self) except -1:
        cdef list waiters = self.waiters
        self.waiters = None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        return 0


cdef bytes bytes_of(object content):
    """Return the bytes of what put() takes."""
    return (<Batch>content).content if type(content) is Batch else <bytes>content

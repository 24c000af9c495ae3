# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The ways that bytes take to one socket: straight to the kernel while that keeps
the order, gathered to leave in one send, and by the transport for the rest.

:class:`Wire` is the lower half of :class:`beamfast._outbound.Outbound`, which
decides what leaves when and keeps what has to wait.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t
from libc.string cimport memcpy


cdef enum:
    # What the kernel may hold unsent. Its defaults let a peer that does not read
    # swallow megabytes before anybody here notices.
    NOTSENT_LOWAT = 32 * 1024
    # Between cork() and uncork() this much gathers.
    SCRATCH_SIZE = 64 * 1024


@cython.final
cdef class LoopState:
    """
    What all connections of one event loop share; there is no module state.

    Args:
        loop: runs everything that is given this object.

    Attributes:
        overflows: connections that were too slow, with nothing to leave out.
        resyncs: times that what waited was left out for a fresh copy.
        drops: messages that were left out for newer ones.
    """

    def __cinit__(self, loop):
        self.loop = loop
        self.scratch = <char *>PyMem_Malloc(SCRATCH_SIZE)
        if self.scratch == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.scratch)


cdef class Wire(Timed):
    """
    The way to one socket, which exists from :meth:`attach` to its loss.

    Attributes:
        transport: the asyncio transport, None while there is no socket.
    """

    def __cinit__(self):
        conn_init(&self.conn, <void *>self)

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

    cdef int pass_on(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1:
        """Send what cannot go directly: by the transport, or later."""
        raise NotImplementedError

    cdef void doom(self) noexcept:
        """The socket is broken: connection_lost() follows in a later turn."""
        self.conn.flags |= CONN_DEAD
        self.transport.abort()

    cdef Py_ssize_t take(self, const char *data, size_t size) except -1:
        """Gather or send what can be; return how much needs no further care."""
        if self.conn.flags & CONN_CORKED:
            # What has to wait is not gathered: the queue shares it.
            if size <= GATHER_LIMIT and not self.conn.flags & CONN_WAITS:
                self.gather(data, size)
                return size
            self.flush()
        return self.try_direct(data, size)

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

    cdef int gather(self, const char *data, size_t size) except -1:
        memcpy(self.room(size), data, size)
        self.state.used += size
        return 0

    cdef char *room(self, size_t size) except NULL:
        """Return where ``size`` more bytes of this connection can gather."""
        cdef LoopState state = self.state
        # Others lose only what they gain by gathering; their order stays.
        while state.owner is not None and (
            state.owner is not self or state.used + size > SCRATCH_SIZE
        ):
            state.owner.flush()
        state.owner = self
        return state.scratch + state.used

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
            self.pass_on(state.scratch[sent:size], 0, 1, NULL)
        return 0

    cdef void release_scratch(self) noexcept:
        if self.state is not None and self.state.owner is self:
            self.state.owner = None
            self.state.used = 0

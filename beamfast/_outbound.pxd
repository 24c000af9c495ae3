# cython: language_level=3
"""What lanes and topics take from :mod:`beamfast._outbound`."""

from libc.stdint cimport uint32_t

from beamfast._backlog cimport Backlog, budget_t, conn_t, lane_t, membership_t
from beamfast._wire cimport Wire


cdef extern from "topic.h":
    int lane_join(lane_t *lane, conn_t *conn) noexcept nogil
    void lane_leave(lane_t *lane, uint32_t slot) noexcept nogil
    const membership_t *conn_behind(const conn_t *conn) noexcept nogil
    membership_t *conn_member(const conn_t *conn, const lane_t *lane) noexcept nogil
    membership_t *conn_stale(const conn_t *conn) noexcept nogil
    uint32_t stale_after(uint32_t seq) noexcept nogil
    uint32_t stale_missed(const membership_t *membership) noexcept nogil
    membership_t *conn_shared(const conn_t *conn) noexcept nogil
    bint conn_is_coded(const conn_t *conn, const lane_t *beside) noexcept nogil


cdef class Outbound(Wire):
    # Neither of these two exists while the connection is idle.
    cdef Backlog queue
    cdef list waiters
    cdef public object coding
    cdef budget_t budget
    # Nothing may come between the frames of a message.
    cdef public bint is_mid_message
    # Messages leave in one frame each, neither masked nor coded.
    cdef public bint is_plain

    # For topics. None of them calls back into Python code of a subclass, except
    # settle(), which is for when no walk is in a slice.
    cdef membership_t *join(self, lane_t *lane) except NULL
    cdef void leave(self, lane_t *lane, lane_t *heir) noexcept
    cdef int catch_up(self) except -1
    cdef int put(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1
    cdef int settle(self) except -1

    cdef bint gather_message(self, object message) except -1
    cdef int write_in_order(self, bytes data) except -1
    cdef int enqueue(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1
    cdef int drain(self) except -1
    cdef object take_pieces(self, size_t limit)
    cdef int drained(self) except -1
    cdef void leave_all(self) noexcept
    cdef int wake(self) except -1

    # Too much in the queue.
    cdef int relieve(self) except -1
    cdef int fall_behind(self, lane_t *lane) except -1
    cdef int overflow(self) except -1

# cython: language_level=3
"""What :mod:`beamfast._outbound` and lanes take from :mod:`beamfast._wire`."""

from libc.stdint cimport uint32_t, uint64_t

from beamfast._backlog cimport conn_t
from beamfast._wheel cimport Timed


cdef extern from "conn.h":
    enum:
        CONN_LOST
        CONN_CLOSING
        CONN_DEAD
        CONN_ENDED
        CONN_STALE
        CONN_PAUSED
        CONN_QUEUED
        CONN_CORKED
        CONN_INDIRECT
        CONN_DRAINING
        CONN_OVERFLOW
        CONN_LAGS
        CONN_GONE
        CONN_MUTE
        CONN_WAITS

    enum:
        MEMBER_STALE

    void conn_init(conn_t *conn, void *owner) noexcept nogil
    ssize_t conn_send(const conn_t *conn, const char *data, size_t size) noexcept nogil
    int conn_error() noexcept nogil
    int socket_prepare(int fd, int notsent_lowat) noexcept nogil


cdef enum:
    # Larger pieces do not gather between cork() and uncork(), but go alone.
    GATHER_LIMIT = 16 * 1024


cdef class Wire(Timed)


cdef class LoopState:
    cdef readonly object loop
    # Bytes that the one connection `owner` gathers between cork() and uncork().
    cdef Wire owner
    cdef char *scratch
    cdef size_t used
    cdef readonly uint64_t overflows, resyncs, drops


cdef class Wire(Timed):
    cdef conn_t conn
    cdef LoopState state
    cdef readonly object transport

    # None of these calls Python code of a subclass.
    cdef int pass_on(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1
    cdef void doom(self) noexcept
    cdef Py_ssize_t take(self, const char *data, size_t size) except -1
    cdef size_t try_direct(self, const char *data, size_t size) noexcept
    cdef int hand_over(self, object data) except -1
    cdef int gather(self, const char *data, size_t size) except -1
    cdef char *room(self, size_t size) except NULL
    cdef int flush(self) except -1
    cdef void release_scratch(self) noexcept

# cython: language_level=3
"""What :mod:`beamfast._fanout` takes from :mod:`beamfast._outbound`."""

from libc.stdint cimport uint32_t, uint64_t


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
        CONN_GONE
        CONN_MUTE
        CONN_DEAF
        CONN_WAITS

    ctypedef struct membership_t:
        lane_t *lane
        uint32_t slot

    ctypedef struct conn_t:
        int fd
        uint32_t flags
        uint32_t count
        membership_t *memberships
        void *owner

    void conn_init(conn_t *conn, void *owner) noexcept nogil
    ssize_t conn_send(const conn_t *conn, const char *data, size_t size) noexcept nogil
    int conn_error() noexcept nogil
    int socket_prepare(int fd, int notsent_lowat) noexcept nogil


cdef extern from "topic.h":
    ctypedef struct entry_t:
        conn_t *conn
        uint32_t seen

    ctypedef struct lane_t:
        entry_t *entries
        uint32_t count
        uint32_t seq
        void *owner
        int (*catch_up)(lane_t *lane, uint32_t slot) except -1
        void (*emptied)(lane_t *lane) noexcept

    ctypedef struct mark_t:
        uint32_t end
        uint32_t items

    ctypedef struct frames_t:
        const char *data
        size_t size
        uint32_t first
        uint32_t last
        const mark_t *marks

    ctypedef struct late_t:
        conn_t *conn
        size_t offset
        int error

    ctypedef struct walk_t:
        uint32_t cursor
        uint32_t sent
        uint32_t late

    void lane_walk(
        lane_t *lane,
        const frames_t *frames,
        uint32_t budget,
        walk_t *walk,
        late_t *late,
    ) noexcept nogil
    int lane_join(lane_t *lane, conn_t *conn) noexcept nogil
    void lane_leave(lane_t *lane, uint32_t slot) noexcept nogil
    const membership_t *conn_behind(const conn_t *conn) noexcept nogil
    size_t frames_after(const frames_t *frames, uint32_t seen) noexcept nogil
    uint32_t frames_items(const frames_t *frames, size_t offset) noexcept nogil


cdef extern from "queue.h":
    ctypedef struct piece_t:
        void *content
        size_t offset
        size_t size
        uint32_t items

    ctypedef struct queue_t:
        piece_t *pieces
        size_t bytes
        uint64_t items
        uint32_t head
        uint32_t count

    int queue_push(queue_t *queue, piece_t piece) noexcept nogil
    piece_t queue_pop(queue_t *queue) noexcept nogil
    void queue_free(queue_t *queue) noexcept nogil


cdef class Batch:
    cdef frames_t frames
    cdef bytes content
    cdef mark_t *marks

    @staticmethod
    cdef Batch of(bytes content, uint32_t first, uint32_t count, mark_t *marks)


cdef class Outbound


cdef class LoopState:
    cdef readonly object loop
    # Bytes that the one connection `owner` gathers between cork() and uncork().
    cdef Outbound owner
    cdef char *scratch
    cdef size_t used


cdef class Outbound:
    cdef conn_t conn
    cdef LoopState state
    cdef readonly object transport
    # None of these three exists while the connection is idle.
    cdef queue_t *queue
    cdef list waiters
    cdef public Py_ssize_t queue_bytes_limit, queue_items_limit
    # Nothing may come between the frames of a message.
    cdef public bint is_mid_message

    # For topics. None of them calls back into Python code of a subclass, except
    # settle(), which is for when no walk is in a slice.
    cdef int join(self, lane_t *lane) except -1
    cdef void leave(self, lane_t *lane) noexcept
    cdef int catch_up(self) except -1
    cdef int put(self, object content, size_t offset, uint32_t items) except -1
    cdef int pass_on(self, object content, size_t offset, uint32_t items) except -1
    cdef int settle(self) except -1
    cdef void doom(self) noexcept

    cdef int write_in_order(self, bytes data) except -1
    cdef Py_ssize_t take(self, const char *data, size_t size) except -1
    cdef size_t try_direct(self, const char *data, size_t size) noexcept
    cdef int hand_over(self, object data) except -1
    cdef int enqueue(self, object content, size_t offset, uint32_t items) except -1
    cdef int gather(self, const char *data, size_t size) except -1
    cdef int flush(self) except -1
    cdef int drain(self) except -1
    cdef object take_pieces(self, size_t limit)
    cdef void release_queue(self) noexcept
    cdef void release_scratch(self) noexcept
    cdef void leave_all(self) noexcept
    cdef int wake(self) except -1

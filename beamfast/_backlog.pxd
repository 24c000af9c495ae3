# cython: language_level=3
"""What :mod:`beamfast._outbound` and lanes take from :mod:`beamfast._backlog`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "conn.h":
    ctypedef struct membership_t:
        lane_t *lane
        uint32_t slot
        uint32_t state

    ctypedef struct conn_t:
        int fd
        uint32_t flags
        uint32_t count
        membership_t *memberships
        void *owner


cdef extern from "topic.h":
    enum:
        SLOW_CLOSE
        SLOW_RESYNC
        SLOW_DROP_OLDEST
        SLOW_COALESCE

    ctypedef struct entry_t:
        conn_t *conn
        uint32_t seen

    ctypedef struct lane_t:
        entry_t *entries
        uint32_t count
        uint32_t seq
        int policy
        bint is_shared
        bint is_coded
        void *owner
        int (*catch_up)(lane_t *lane, uint32_t slot) except -1
        void (*emptied)(lane_t *lane) noexcept
        int (*refresh)(lane_t *lane, uint32_t slot) except -1
        lane_t *(*withdraw)(lane_t *lane, uint32_t slot) except? NULL

    ctypedef struct mark_t:
        uint32_t end
        uint32_t items

    ctypedef struct frames_t:
        const char *data
        size_t size
        uint32_t first
        uint32_t last
        const mark_t *marks

    size_t frames_after(const frames_t *frames, uint32_t seen) noexcept nogil
    uint32_t frames_items(const frames_t *frames, size_t offset) noexcept nogil


cdef extern from "queue.h":
    ctypedef struct piece_t:
        void *content
        size_t offset
        size_t size
        void *source
        uint32_t items

    ctypedef struct budget_t:
        int64_t bytes
        int64_t items

    ctypedef struct queue_t:
        piece_t *pieces
        size_t bytes
        uint64_t items
        uint32_t head
        uint32_t count

    int queue_push(queue_t *queue, piece_t piece) noexcept nogil
    piece_t queue_pop(queue_t *queue) noexcept nogil
    piece_t queue_remove(queue_t *queue, uint32_t index) noexcept nogil
    void queue_replace(queue_t *queue, uint32_t index, piece_t piece) noexcept nogil
    uint32_t queue_find(
        const queue_t *queue, const void *source, uint32_t index
    ) noexcept nogil
    bint queue_is_over(
        const queue_t *queue, const budget_t *budget, int quarters
    ) noexcept nogil
    lane_t *queue_heaviest(const queue_t *queue, const conn_t *conn) noexcept nogil
    void queue_rename(queue_t *queue, const void *start, void *end) noexcept nogil


cdef enum verdict_t:
    FITS
    FITS_WITHOUT
    FITS_NEVER


cdef class Batch:
    cdef frames_t frames
    cdef bytes content
    cdef mark_t *marks
    # One for each message, in lanes that keep the latest of each key; else None.
    cdef tuple keys

    @staticmethod
    cdef Batch of(bytes content, uint32_t first, uint32_t count, mark_t *marks)
    cdef Batch part(self, list chosen)
    cdef uint32_t index_at(self, size_t offset) noexcept


cdef class Backlog:
    cdef queue_t queue
    # Messages that were left out for newer ones.
    cdef uint64_t drops

    cdef verdict_t shrink(
        self, const conn_t *conn, const budget_t *budget, lane_t **lane
    ) except? FITS
    cdef int push(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1
    cdef object take(self, size_t limit)
    cdef void clear(self) noexcept
    cdef uint32_t forget(self, void *source) noexcept
    cdef void drop_oldest(self, void *source) noexcept
    cdef uint32_t coalesce(self, void *source) except? 0xFFFFFFFF
    cdef uint32_t coalesce_piece(
        self, uint32_t index, set newer
    ) except? 0xFFFFFFFF


cdef bytes bytes_of(object content)

# cython: language_level=3
"""What :mod:`beamfast._fanout` takes from :mod:`beamfast._lanes`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from beamfast._backlog cimport (
    Batch,
    conn_t,
    entry_t,
    frames_t,
    lane_t,
    mark_t,
    membership_t,
)
from beamfast._outbound cimport Outbound


cdef extern from "topic.h":
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
    void stale_pass_over(membership_t *membership) noexcept nogil
    bint entry_is_deaf(const entry_t *entry) noexcept nogil


cdef enum:
    # Sends in one loop turn: about a millisecond.
    SLICE = 256


cdef class Turns


cdef class Counters:
    cdef readonly uint64_t messages, encodes, compressions
    cdef readonly uint64_t deliveries, delivered_bytes

    cdef void published(self, uint64_t encodes) noexcept
    cdef void delivered(self, uint64_t deliveries, uint64_t size) noexcept


cdef class Lane:
    cdef lane_t lane
    cdef object topic
    # What members have in common; begins with wire form and filters.
    cdef tuple key
    cdef object wire_form
    cdef frozenset filters
    # Compresses what the wire form returns; None where nothing is compressed.
    cdef object coder
    # What it is among the lanes of its key.
    cdef int role
    # The open run: what was published since the last freeze.
    cdef list messages, keys
    cdef mark_t *marks
    cdef uint32_t run_count, run_capacity
    cdef Py_ssize_t run_size
    # Frozen batches, the oldest first, and how far the walk of that one is.
    cdef list batches
    cdef bint walking, listed
    cdef Lane next
    cdef uint32_t cursor, turn_end
    cdef Turns turns
    # Which of the stretches of one topic its newest message belongs to.
    cdef uint32_t group

    cdef bint is_busy(self) noexcept
    cdef bint is_concerned(self, object matched) except -1
    cdef entry_t *entry_of(self, Outbound member) noexcept
    cdef int64_t chase(self, list members) except -1
    cdef int pass_over(self, list members) except -1
    cdef int append(self, bytes message, bint same_item, object key) except -1
    cdef int freeze(self) except -1
    cdef object open_tail(self, uint32_t count)
    cdef int begin_turn(self) except -1
    cdef bint turn_is_over(self) noexcept
    cdef uint32_t weight(self) noexcept
    cdef uint32_t walk(self, uint32_t budget) except? 0xFFFFFFFF
    cdef int finish(self, Batch batch, late_t *late, uint32_t count) except -1


cdef class Turns:
    cdef readonly bint is_ordered
    # In the order of their first publish; what is sealed comes before.
    cdef Lane first, last
    cdef list sealed
    # How many of the latter have had their turn.
    cdef Py_ssize_t unsealed
    # The one whose turn it is.
    cdef Lane current
    # The topic that was published on last, and how often that has changed.
    cdef object newest
    cdef uint32_t group

    cdef bint is_empty(self) noexcept
    cdef int follow(self, object topic, object lanes) except -1
    cdef int seal(self) except -1
    cdef int unseal(self) except -1
    cdef int add(self, Lane lane) except -1
    cdef Lane due(self)
    cdef int catch_up(self, Outbound member) except -1


cdef int policy_of(str name, object refresh) except -1

# cython: language_level=3
"""C fields and methods of the classes in :mod:`beamfast._fanout`."""

from libc.stdint cimport uint32_t, uint64_t

from beamfast._outbound cimport (
    Batch,
    LoopState,
    Outbound,
    entry_t,
    lane_t,
    late_t,
    mark_t,
)


cdef class Counters:
    cdef readonly uint64_t messages, encodes, deliveries, delivered_bytes

    cdef void published(self, uint64_t encodes) noexcept
    cdef void delivered(self, uint64_t deliveries, uint64_t size) noexcept


cdef class Lane:
    cdef lane_t lane
    cdef Topic topic
    cdef object wire_form
    cdef frozenset filters
    # The open run: what was published since the last freeze.
    cdef list messages
    cdef mark_t *marks
    cdef uint32_t run_count, run_capacity
    cdef Py_ssize_t run_size
    # Frozen batches, the oldest first, and how far the walk of that one is.
    cdef list batches
    cdef bint walking, listed
    cdef Lane next
    cdef uint32_t cursor, turn_end

    cdef bint is_concerned(self, object matched) except -1
    cdef entry_t *entry_of(self, Outbound member) noexcept
    cdef int append(self, bytes message, bint same_item) except -1
    cdef int freeze(self) except -1
    cdef int begin_turn(self) except -1
    cdef bint turn_is_over(self) noexcept
    cdef uint32_t walk(self, uint32_t budget) except? 0xFFFFFFFF
    cdef int finish(self, Batch batch, late_t *late, uint32_t count) except -1


cdef class Topic:
    cdef readonly str name
    cdef TopicRegistry registry
    cdef dict by_key
    # The same lanes; replaced, never changed, so publish() walks it safely.
    cdef tuple lanes
    cdef frozenset union
    cdef readonly Counters counters

    cdef Lane lane_of(self, Outbound member)
    cdef Lane lane_for(self, object wire_form, frozenset filters)
    cdef int release(self, Lane lane) except -1


cdef class TopicRegistry:
    cdef object loop
    cdef readonly LoopState state
    cdef dict by_name
    # Lanes with something to send, in the order of their first publish.
    cdef Lane first, last
    # The one whose turn it is.
    cdef Lane current
    cdef bint armed
    cdef readonly Counters counters
    cdef readonly uint64_t sends

    cdef int arm(self) except -1
    cdef int enlist(self, Lane lane) except -1
    cdef int deliver(
        self, Lane lane, bytes message, Outbound exclude, bint same_item
    ) except -1

# cython: language_level=3
"""C fields and methods of the classes in :mod:`beamfast._fanout`."""

from libc.stdint cimport uint64_t

from beamfast._lanes cimport Counters, Lane, Turns
from beamfast._outbound cimport Outbound
from beamfast._wire cimport LoopState


cdef enum role_t:
    # Every message stands alone: not compressed, or by itself.
    ALONE
    # Messages refer to earlier ones, which every member has got.
    SHARED
    # For who will be in the lane that shares a window, and is not yet.
    WAITING


cdef class Topic:
    cdef readonly str name
    cdef TopicRegistry registry
    cdef dict by_key
    # The same lanes; replaced, never changed, so publish() walks it safely.
    cdef tuple lanes
    cdef frozenset union
    # How many of them are for who waits to share a window.
    cdef int waiting
    cdef readonly Counters counters

    cdef Lane lane_of(self, Outbound member)
    cdef Lane lane_for(self, Outbound member, Lane former, tuple key, int policy)
    cdef Lane lane_at(self, tuple key, int policy, role_t role)
    cdef int release(self, Lane lane) except -1
    cdef int move(self, Outbound member, Lane former, Lane lane) except -1
    cdef list without(self, object exclude)
    cdef int admit(self) except -1


cdef class TopicRegistry:
    cdef object loop
    cdef readonly LoopState state
    cdef dict by_name
    # Lanes with something to send.
    cdef Turns turns
    cdef bint armed
    cdef readonly Counters counters
    cdef readonly uint64_t sends

    cdef int arm(self) except -1
    cdef int deliver(
        self, Lane lane, bytes message, list excluded, bint same_item, object key
    ) except -1

# cython: language_level=3
"""C fields and methods of the class in :mod:`beamfast._fanout`."""

from libc.stdint cimport uint64_t

from beamfast._lanes cimport Counters, Lane, Turns
from beamfast._wire cimport LoopState


cdef class TopicRegistry:
    cdef object loop, call_soon
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

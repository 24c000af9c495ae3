# cython: language_level=3
"""What :mod:`beamfast._fanout` takes from :mod:`beamfast._topic`."""

from beamfast._lanes cimport Counters, Lane, Turns
from beamfast._outbound cimport Outbound


cdef enum role_t:
    # Every message stands alone: not compressed, or by itself.
    ALONE
    # Messages refer to earlier ones, which every member has got.
    SHARED
    # For who will be in the lane that shares a window, and is not yet.
    WAITING


cdef class Topic:
    cdef readonly str name
    # All topics by name; this one takes itself out.
    cdef dict by_name
    cdef Turns turns
    cdef dict by_key
    # The same lanes; replaced, never changed, so publish() walks it safely.
    cdef tuple lanes
    cdef frozenset union
    # The only lane, when it gets every message.
    cdef Lane lone
    # How many of them are for who waits to share a window.
    cdef int waiting
    cdef readonly Counters counters

    cdef Lane lane_of(self, Outbound member)
    cdef Lane lane_for(self, Outbound member, Lane former, tuple key, int policy)
    cdef Lane lane_at(self, tuple key, int policy, role_t role)
    cdef int count_lanes(self) except -1
    cdef int release(self, Lane lane) except -1
    cdef int move(self, Outbound member, Lane former, Lane lane) except -1
    cdef list without(self, object exclude)
    cdef int admit(self) except -1

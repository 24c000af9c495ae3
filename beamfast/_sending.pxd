# cython: language_level=3
"""What is in :mod:`beamfast._sending`; no other compiled module takes it."""

from beamfast._outbound cimport Outbound


cdef class AtOnce:
    cdef readonly object __wrapped__


cdef class Sending:
    cdef object function
    cdef Outbound websocket
    cdef object message
    cdef bint has_begun
    # The coroutine that does it, where one has to.
    cdef object rest

    cdef bint send_at_once(self) except -1

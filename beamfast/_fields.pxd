# cython: language_level=3
"""What other compiled modules take from :mod:`beamfast._fields`."""

from libc.stdint cimport uint16_t


ctypedef struct span_t:
    # Where in the head a value begins and ends.
    uint16_t start, stop


cdef class Fields:
    cdef list pairs
    cdef dict found
    cdef bytes joined
    # Of a head that was scanned: its bytes, pairs of a name as it is spelled and in
    # lower case, and a span_t for each. None once all of it has been taken apart.
    cdef bytes data
    cdef list names
    cdef bytes spans

    cdef bint has_one(self, tuple needs) except -1
    cdef bint holds(self, bytes key) except -1
    cdef Py_ssize_t find(self, bytes key, Py_ssize_t at) noexcept
    cdef bytes value(self, Py_ssize_t number)
    cdef int take_apart(self) except -1
    cdef bytes wire(self)

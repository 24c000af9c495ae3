# cython: language_level=3
"""What :mod:`beamfast._shortway` takes from :mod:`beamfast._scan`."""

from beamfast._fields cimport Fields
from beamfast._slots cimport Slots


cdef class HeadScanner:
    cdef object model, fields, split_path, is_host
    cdef Slots slots
    cdef Py_ssize_t[6] places
    cdef Py_ssize_t line_limit, head_limit
    cdef int field_limit
    cdef dict targets
    cdef list names

    cdef object scan(self, bytes data)
    cdef int examine(self, Fields fields) except -2
    cdef tuple target(self, const char *start, Py_ssize_t size)
    cdef tuple name(self, const char *start, Py_ssize_t size)

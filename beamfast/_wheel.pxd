# cython: language_level=3
"""What other compiled modules take from :mod:`beamfast._wheel`."""

from libc.stdint cimport int64_t, uint32_t


cdef class Timed:
    cdef public double deadline
    # Where a wheel holds it.
    cdef int bucket
    cdef uint32_t slot


cdef class Wheel:
    cdef object loop
    cdef object handle
    cdef list buckets
    cdef int64_t turned
    cdef Py_ssize_t count
    cdef bint is_closed

    cdef int put_off(self, Timed timed, double deadline) except -1
    cdef int place(self, Timed timed) except -1
    cdef int take_out(self, Timed timed) except -1
    cdef int arm(self) except -1
    cdef int turn_to(self, int index, double now) except -1

# cython: language_level=3
"""The fields of :class:`beamfast._shortway.ShortWay`; nobody cimports them yet."""

from beamfast._answer cimport AnswerWriter
from beamfast._scan cimport HeadScanner
from beamfast._wheel cimport Wheel


cdef class ShortWay:
    cdef type response
    cdef Wheel wheel
    # Where in requests the attributes are that are set or needed.
    cdef Py_ssize_t method, remote_addr, is_secure, started
    cdef readonly AnswerWriter answers
    cdef public HeadScanner scanner
    cdef public object application
    cdef public double idle_timeout
    cdef public bint is_draining

# cython: language_level=3
"""The fields of :class:`beamfast._known.KnownAnswers`; nobody cimports them yet."""

from beamfast._slots cimport Slots


cdef class KnownAnswers:
    cdef type request
    cdef Slots responses
    # Where in requests and in answers the attributes are that are needed.
    cdef Py_ssize_t path, method, asked, body, told
    # Location, document and model by path, of one turn.
    cdef dict answers
    cdef object turn

# cython: language_level=3
"""The fields of :class:`beamfast._phases.Phases`; nobody cimports them yet."""


cdef class Phases:
    cdef type response
    cdef readonly object context
    cdef readonly tuple request_phase, response_phase
    # Methods that need nothing, and what the others need.
    cdef tuple usual_phase, needs
    cdef str server_header

    cdef object run_request(self, object request)
    cdef object run_response(self, object request, object response, Py_ssize_t at)

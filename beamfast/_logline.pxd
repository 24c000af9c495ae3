# cython: language_level=3
"""The fields of :class:`beamfast._logline.LogLines`; nobody cimports them yet."""


cdef class LogLines:
    cdef type request, response
    cdef object spell, format_time
    cdef bint is_combined
    # Where in requests and answers the attributes are that a line needs.
    cdef Py_ssize_t[9] places
    # The time as a line has it, and when it is another one.
    cdef bytes stamp
    cdef double until
    cdef char *data
    cdef Py_ssize_t used, room, count

    cdef int check(self, object request, object response) except -1
    cdef int text(self, object text, bint is_trusted) except -1
    cdef int quoted(self, bytes value) except -1
    cdef int number(self, Py_ssize_t number) except -1
    cdef int put(self, const char *text, Py_ssize_t size) except -1

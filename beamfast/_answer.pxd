# cython: language_level=3
"""What :mod:`beamfast._shortway` takes from :mod:`beamfast._answer`."""


cdef class AnswerWriter:
    cdef type response
    cdef object status_line, format_date, clock
    # Where in answers the attributes are that are written.
    cdef Py_ssize_t[5] places
    # First lines by status.
    cdef dict lines
    cdef readonly bytes server_line
    # What is made once a second, and the second after.
    cdef object now
    cdef bytes date, own
    cdef long long until

    cdef bytes join(self, object response, bint is_head)
    cdef int turn(self) except -1

# cython: language_level=3
"""What :mod:`beamfast._scan` takes from :mod:`beamfast._fields`."""


cdef class Fields:
    cdef public list raw
    cdef public dict index
    cdef bytes joined

# cython: language_level=3
"""The fields of :class:`beamfast._head.HeadCollector`; nobody cimports them yet."""


cdef class HeadCollector:
    cdef public int part
    cdef public bint begun
    cdef public object llhttp
    cdef public bytes method, target
    cdef public list raw
    cdef public dict index
    cdef public Py_ssize_t head_size, head_fed, overhead, body_size
    cdef Py_ssize_t line_limit, head_limit
    cdef int field_limit, fields

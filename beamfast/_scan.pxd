# cython: language_level=3
"""The fields of what :mod:`beamfast._scan` makes; nobody cimports them yet."""


cdef class RequestValues:
    cdef public str method, target, url, path, query, http_version
    cdef public str remote_addr, user, handshake_key
    cdef public object headers, roles, expires
    cdef public bint is_secure, probe
    cdef public double started
    cdef public object _source, _body, _is_websocket
    cdef public str _id
    cdef public bint _is_cut


cdef class HeadScanner:
    cdef object kind, fields, split_path, is_host
    cdef Py_ssize_t line_limit, head_limit
    cdef int field_limit
    cdef dict targets
    cdef list names

    cdef tuple target(self, const char *start, Py_ssize_t size)
    cdef tuple name(self, const char *start, Py_ssize_t size)

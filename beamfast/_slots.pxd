# cython: language_level=3
"""What other compiled modules take from :mod:`beamfast._slots`."""


cdef class Slots:
    cdef object kind
    cdef object base
    cdef Py_ssize_t start, count

    cpdef object copy(self, object model)
    cdef Py_ssize_t offset(self, str name) except -1


cdef object get_slot(object target, Py_ssize_t offset)
cdef void put_slot(object target, Py_ssize_t offset, object value) noexcept

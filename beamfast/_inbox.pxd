# cython: language_level=3
"""What is in :mod:`beamfast._inbox`; no other compiled module takes it."""


cdef class Inbox:
    # From `first` on; what was taken before it is None until it is cut off.
    cdef list waiting
    cdef Py_ssize_t first
    # Bytes of text count as characters: it is a bound, not an account.
    cdef Py_ssize_t size
    cdef object transport
    cdef object loop
    cdef int pauses
    # Of the one task that waits.
    cdef object waiter
    cdef bint is_woken
    cdef public int limit
    cdef public bint is_pulled
    cdef public bint is_held
    cdef public bint is_over

    cpdef object take(self)
    cpdef object take_in_turn(self, receiver)
    cpdef int wake(self) except -1
    cpdef int pause(self, int why) except -1
    cpdef int resume(self, int why) except -1
    cdef bint is_full(self) noexcept


cdef class Messages:
    cdef Inbox inbox
    cdef object receiver


cdef class Arrival:
    cdef Inbox inbox
    # None waits once, whatever comes.
    cdef object receiver
    cdef bint is_loop
    cdef object waiter

    cpdef object close(self)

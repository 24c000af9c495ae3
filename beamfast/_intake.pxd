# cython: language_level=3
"""What is in :mod:`beamfast._intake`; no other compiled module takes it."""

from beamfast._frames cimport FrameParser


cdef class Outbox:
    cdef public list _events
    cdef public list _output

    cdef list event_list(self)


cdef class Intake(Outbox):
    cdef public object on_answer
    # Of a driver that reads frames as RFC 6455 has them.
    cdef public FrameParser _parser
    # What gets messages, unless they stand among the events.
    cdef public object _deliver
    cdef public bint _alone
    # A failure that waits until messages have been answered.
    cdef public object _held

    cdef int feed(self, data) except -1
    cdef int read(self, data) except -1

# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The short way of a request: it comes whole in one read, and its answer is one write.

Nearly every request takes it. From the read to the write nothing is called but the
scanner, the application, and what joins the bytes of the answer.
"""

from time import monotonic
from types import GenericAlias

from beamfast._answer cimport AnswerWriter
from beamfast._slots cimport Slots, get_slot, put_slot
from beamfast._wheel cimport Timed, Wheel


cdef class ShortWay:
    """
    What connections share that answer requests at once.

    Args:
        request: class of the requests, with its attributes in slots.
        response: class of the answers, likewise.
        answers: writes them down.
        wheel: keeps the deadlines of connections.

    Attributes:
        application: from a request to its answer, or to something that waits.
        scanner: of reads that are one whole request.
        idle_timeout: seconds that a connection may be silent after an answer.
        is_draining: connections do not stay open.
        answers: as given.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(
        self, type request not None, type response not None,
        AnswerWriter answers not None, Wheel wheel not None,
    ):
        cdef Slots slots = Slots(request)
        self.method = slots.offset("method")
        self.remote_addr = slots.offset("remote_addr")
        self.is_secure = slots.offset("is_secure")
        self.started = slots.offset("started")
        self.response, self.answers, self.wheel = response, answers, wheel

    def serve(
        self, Timed connection not None, bytes data not None, transport,
        str peer not None, bint is_secure,
    ):
        """
        Answer a read.

        Args:
            connection: nothing of it is in work; its deadline is moved.
            data: that came.
            transport: of the connection.
            peer: address of the other end.
            is_secure: the connection is encrypted.

        Returns:
            True when the answer is written; the request and its answer when more is
            to be done for it; None when a parser has to see ``data``.
        """
        cdef bytes whole
        if self.scanner is None or self.wheel is None:
            raise ValueError("there is no scanner yet")
        request = self.scanner.scan(data)
        if request is None:
            return None
        put_slot(request, self.remote_addr, peer)
        put_slot(request, self.is_secure, is_secure)
        now = monotonic()
        put_slot(request, self.started, now)
        answer = self.application(request)
        if not self.is_draining and isinstance(answer, self.response):
            whole = self.answers.join(
                answer, get_slot(request, self.method) == "HEAD"
            )
            if whole is not None:
                transport.write(whole)
                self.wheel.put_off(connection, <double>now + self.idle_timeout)
                return True
        return request, answer

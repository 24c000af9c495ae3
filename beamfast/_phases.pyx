# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The two phases of a pipeline, for as long as nobody has to wait.

Who is asked, in which order, and what happens to what they raise is decided here;
:class:`beamfast.pipeline.Pipeline` extends :class:`Phases` with what waits.
"""

from types import GenericAlias

from cpython.tuple cimport PyTuple_GET_SIZE

from beamfast._fields cimport Fields


cdef tuple checked(pair):
    """Return needs and method, the needs as a tuple."""
    needed, method = pair
    return None if needed is None else tuple(needed), method


cdef class Phases:
    """
    Methods of plugins, called in order.

    A phase is a tuple of pairs: what a request must have for the method to be
    called, as :meth:`beamfast._fields.Fields.has_any` takes it, or None; and the
    method.

    Args:
        response: class of the answers.
        context: handed to each method.
        request_phase: methods that get a request.
        response_phase: methods that get a request and its answer.
        server_header: ``Server`` field of every answer; None for no such field.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *args, **kwargs):
        self.request_phase = self.usual_phase = self.response_phase = self.needs = ()
        self.response = object

    def __init__(
        self, type response not None, context, tuple request_phase not None,
        tuple response_phase not None, str server_header,
    ):
        self.response, self.context = response, context
        self.request_phase = tuple([checked(pair) for pair in request_phase])
        self.response_phase = tuple([checked(pair) for pair in response_phase])
        # Most requests have nothing of what some plugins need.
        self.needs = tuple(
            [need for needed, _ in self.request_phase for need in needed or ()]
        )
        self.usual_phase = tuple(
            [pair for pair in self.request_phase if pair[0] is None]
        )
        self.server_header = server_header

    def handle(self, request):
        """
        Return the response, or an awaitable of it from the first ``async`` plugin on.

        Never raises: what a plugin raises becomes a response.
        """
        try:
            answer = self.run_request(request)
        except Exception as error:
            answer = self.answer_to(error, request)
        if answer is None:
            answer = self.unanswered(request)
        if isinstance(answer, self.response):
            return self.run_response(request, answer, 0)
        return self.wait_handle(request, answer)

    def ask(self, request):
        """Take ``request`` through the request phase; raises what a plugin raises."""
        return self.run_request(request)

    def answer(self, request, response, Py_ssize_t index=0):
        """Take ``response`` through the response phase, from method ``index`` on."""
        return self.run_response(request, response, index)

    def answer_to(self, error, request):
        """Return the response that an error of the request phase asks for."""
        raise NotImplementedError

    def unanswered(self, request):
        """Return the response when no method has one."""
        raise NotImplementedError

    def note(self, error, request):
        """Note an error of the response phase, which changes nothing."""
        raise NotImplementedError

    def wait_handle(self, request, pending):
        """Return an awaitable that goes on with :meth:`handle` behind ``pending``."""
        raise NotImplementedError

    def wait_ask(self, request, pending, tuple phase):
        """Return an awaitable of the answer of ``pending``, or else of ``phase``."""
        raise NotImplementedError

    def wait_answer(self, request, response, pending, Py_ssize_t index):
        """Return an awaitable that goes on with :meth:`answer` behind ``pending``."""
        raise NotImplementedError

    cdef object run_request(self, object request):
        cdef Fields fields = request.headers
        cdef tuple pair, phase = self.usual_phase
        cdef Py_ssize_t at
        if fields.has_one(self.needs):
            phase = self.request_phase
        for at in range(PyTuple_GET_SIZE(phase)):
            pair = <tuple>phase[at]
            if pair[0] is not None and not fields.has_one(<tuple>pair[0]):
                continue
            answer = pair[1](request, self.context)
            if answer is None:
                continue
            if isinstance(answer, self.response):
                return answer
            return self.wait_ask(request, answer, phase[at + 1 :])
        return None

    cdef object run_response(self, object request, object response, Py_ssize_t at):
        cdef Fields fields = request.headers
        cdef tuple pair
        while at < PyTuple_GET_SIZE(self.response_phase):
            pair = <tuple>self.response_phase[at]
            at += 1
            if pair[0] is not None and not fields.has_one(<tuple>pair[0]):
                continue
            try:
                changed = pair[1](request, response, self.context)
            except Exception as error:
                self.note(error, request)
                continue
            if changed is None:
                continue
            if not isinstance(changed, self.response):
                return self.wait_answer(request, response, changed, at)
            response = changed
        if self.server_header is not None:
            response.headers.set("Server", self.server_header)
        return response

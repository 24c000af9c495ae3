# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Answers that were given in this turn of the event loop, and are given again.

Where a path leads and what stands there has been looked at once in a turn; whoever
asks for it later in the same turn needs neither once more. What may change within a
turn, by an edit, is asked each time.
"""

cimport cython

from beamfast._fields cimport Fields
from beamfast._slots cimport Slots, get_slot, put_slot


@cython.final
cdef class KnownAnswers:
    """
    Whole documents as answers to GET and HEAD, by path.

    Args:
        request: class of the requests, with its attributes in slots.
        response: class of the answers, likewise.
    """

    def __cinit__(self, type request not None, type response not None):
        cdef Slots slots = Slots(request)
        self.request = request
        self.path = slots.offset("path")
        self.method = slots.offset("method")
        self.asked = slots.offset("headers")
        self.responses = Slots(response)
        self.body = self.responses.offset("body")
        self.told = self.responses.offset("headers")
        self.answers = {}

    def find(self, request, committer):
        """
        Return an answer that can be changed by itself, or None.

        Args:
            request: with conditions, it is not for here.
            committer: has the number of its ``turn``, and at a ``glance`` it returns
                the document at a location, or None when somebody has to look.
        """
        cdef tuple known
        cdef Fields fields
        if not isinstance(request, self.request):
            raise TypeError(f"{request!r} is no request")
        known = self.answers.get(get_slot(request, self.path))
        if known is None or self.turn != committer.turn:
            return None
        method = get_slot(request, self.method)
        if method != "GET" and method != "HEAD":
            return None
        fields = get_slot(request, self.asked)
        # Every conditional field begins so (RFC 9110, 13.1).
        if fields.has_prefix(b"if-"):
            return None
        location, document, model = known
        if committer.glance(location) is not document:
            return None
        answer = self.responses.copy(model)
        fields = get_slot(model, self.told)
        put_slot(answer, self.told, fields.copy())
        put_slot(answer, self.body, document.source)
        return answer

    def keep(self, str path not None, turn, location, document, model) -> None:
        """
        Remember what the answer for a path is until the turn ends.

        Args:
            path: of the request.
            turn: number of the turn.
            location: where the path leads.
            document: what stands there.
            model: the answer without its body.
        """
        if self.turn != turn:
            # Nothing is held longer than until somebody asks in a later turn.
            self.answers.clear()
            self.turn = turn
        self.answers[path] = location, document, model

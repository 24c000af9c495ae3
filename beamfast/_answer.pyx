# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Answers whose bytes are at hand, joined with the fields that only the server knows.

Nearly every answer is one: status line, fields, date and server, length, body. What
is sent piece by piece, or has such fields of its own, is put together elsewhere.
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from libc.string cimport memcpy
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from beamfast._fields cimport Fields
from beamfast._slots cimport Slots, get_slot


cdef extern from "decimal.h":
    enum:
        DECIMAL_SIZE
    char *decimal_before(char *end, size_t number) noexcept

cdef enum:
    STATUS = 0
    BODY
    FIELDS
    STREAM
    UPGRADE

cdef tuple NAMES = ("status", "body", "headers", "stream", "upgrade")
cdef bytes LENGTH = b"Content-Length: "
cdef bytes END = b"\r\n"


cdef inline char *put(char *at, bytes text) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    memcpy(at, PyBytes_AS_STRING(text), size)
    return at + size


cdef bytes decimal(Py_ssize_t number):
    cdef char[DECIMAL_SIZE] digits
    cdef char *end = digits + DECIMAL_SIZE
    cdef char *at = decimal_before(end, number)
    return PyBytes_FromStringAndSize(at, end - at)


@cython.final
cdef class AnswerWriter:
    """
    Writes answers down, on connections that stay open.

    Args:
        response: class of the answers, with its attributes in slots.
        status_line: from a status to the first line, with its end.
        date_line: from seconds since the epoch to the field ``Date``, likewise.
        clock: returns the seconds since the epoch; the one of the system when None.

    Attributes:
        server_line: the field ``Server``, empty for none.
    """

    def __cinit__(self, type response not None, status_line, date_line, clock=None):
        cdef Slots slots = Slots(response)
        for number, name in enumerate(NAMES):
            self.places[number] = slots.offset(name)
        self.response = response
        self.status_line, self.format_date = status_line, date_line
        self.clock = clock
        self.lines = {}
        self.server_line = self.date = self.own = b""

    def name_server(self, bytes line not None) -> None:
        """Set the field ``Server``; it counts from now on."""
        self.server_line = line
        self.until = 0

    def second(self):
        """Return the time in seconds since the epoch, one object for each second."""
        self.turn()
        return self.now

    def date_line(self):
        """Return the field ``Date``, made once a second (RFC 9110, 6.6.1)."""
        self.turn()
        return self.date

    def own_lines(self):
        """Return the fields ``Date`` and ``Server`` that nearly every answer has."""
        self.turn()
        return self.own

    def whole(self, response, bint is_head):
        """
        Return the bytes of an answer.

        Args:
            response: the answer.
            is_head: the request was a HEAD.

        Returns:
            all of it; None when more follows than bytes that are known, or when it
            has a length or a date already, or an empty ``Server``.
        """
        return self.join(response, is_head)

    cdef bytes join(self, object response, bint is_head):
        cdef bytes body, start, lines, more, length = None, whole
        cdef Fields fields
        cdef Py_ssize_t size
        cdef int status
        cdef char *at
        if not isinstance(response, self.response):
            raise TypeError(f"{response!r} is no response")
        found = get_slot(response, self.places[BODY])
        if (
            not PyBytes_CheckExact(found)
            or get_slot(response, self.places[STREAM]) is not None
            or get_slot(response, self.places[UPGRADE]) is not None
        ):
            return None
        fields = get_slot(response, self.places[FIELDS])
        if fields.holds(b"content-length") or fields.holds(b"date"):
            return None
        self.turn()
        more = self.own
        if fields.holds(b"server"):
            more = self.date
            # A host whose header is configured empty does not say what it is.
            if not fields.first(b"server"):
                return None
        body = found
        found = get_slot(response, self.places[STATUS])
        start = self.lines.get(found)
        if start is None:
            start = self.lines[found] = self.status_line(found)
        status = found
        lines = fields.wire()
        size = PyBytes_GET_SIZE(start) + PyBytes_GET_SIZE(lines)
        size += PyBytes_GET_SIZE(more) + PyBytes_GET_SIZE(END)
        # 101, 204 and 304 have no body to measure (RFC 9110, 8.6).
        if status != 204 and status != 304 and status != 101:
            length = decimal(PyBytes_GET_SIZE(body))
            size += PyBytes_GET_SIZE(LENGTH) + PyBytes_GET_SIZE(length)
            size += PyBytes_GET_SIZE(END)
        if is_head or status == 204 or status == 304:
            body = b""
        whole = PyBytes_FromStringAndSize(NULL, size + PyBytes_GET_SIZE(body))
        at = put(put(put(PyBytes_AS_STRING(whole), start), lines), more)
        if length is not None:
            at = put(put(put(at, LENGTH), length), END)
        put(put(at, END), body)
        return whole

    cdef int turn(self) except -1:
        """Let what is made once a second be that of now."""
        cdef timespec time
        cdef long long second
        if self.clock is None:
            clock_gettime(CLOCK_REALTIME, &time)
            second = time.tv_sec
        else:
            second = self.clock()
        if second + 1 != self.until:
            self.date = self.format_date(second)
            self.own = self.date + self.server_line
            self.now = second
            self.until = second + 1
        return 0

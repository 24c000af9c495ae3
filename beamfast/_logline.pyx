# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Lines of an access log, gathered until they are written.

Nearly all of a line is ASCII without quotes: it is copied from where it stands.
Whatever else there is goes through the function that knows how to spell it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcpy

from beamfast._slots cimport Slots, get_slot


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    bint PyUnicode_IS_ASCII(object text)

cdef extern from "decimal.h":
    enum:
        DECIMAL_SIZE
    char *decimal_before(char *end, size_t number) noexcept

cdef enum:
    # What is kept between two writes; a turn with many long lines takes more.
    KEPT_SIZE = 16 * 1024
    # Of a request, then of an answer.
    REMOTE_ADDR = 0
    USER
    METHOD
    TARGET
    HTTP_VERSION
    FIELDS
    STATUS
    BODY
    ANSWER_FIELDS

cdef tuple OF_REQUEST = (
    *("remote_addr", "user", "method", "target", "http_version", "headers"),
)
cdef tuple OF_RESPONSE = ("status", "body", "headers")


cdef bint is_plain(const char *text, Py_ssize_t size) noexcept:
    """Tell whether there is nothing but printable ASCII without ``"`` and ``\\``."""
    cdef Py_ssize_t at
    cdef unsigned char letter
    cdef bint found = False
    for at in range(size):
        letter = <unsigned char>text[at]
        found |= <unsigned char>(letter - 32) > 94 or letter == c'"' or letter == c"\\"
    return not found


@cython.final
cdef class LogLines:
    """
    Lines in the common or combined form, or any other.

    Args:
        request: class of the requests, with its attributes in slots.
        response: class of the answers, likewise.
        spell: from a text to one that cannot break a line.
        format_time: from seconds since the epoch to the time in a line, for one
            second.
        is_combined: add who sent the client here, and what the client is.
    """

    def __cinit__(
        self, type request not None, type response not None, spell, format_time,
        bint is_combined,
    ):
        cdef Slots slots = Slots(request)
        for number, name in enumerate(OF_REQUEST):
            self.places[number] = slots.offset(name)
        slots = Slots(response)
        for number, name in enumerate(OF_RESPONSE):
            self.places[STATUS + number] = slots.offset(name)
        self.request, self.response = request, response
        self.spell, self.format_time = spell, format_time
        self.is_combined = is_combined
        self.stamp = b""
        self.until = 0.0

    def __dealloc__(self):
        PyMem_Free(self.data)

    def size(self, request, response):
        """Return how many bytes of content the answer has for this request."""
        cdef object body, length
        self.check(request, response)
        if get_slot(request, self.places[METHOD]) == "HEAD":
            return 0
        body = get_slot(response, self.places[BODY])
        if isinstance(body, bytes):
            return PyBytes_GET_SIZE(body)
        # A file that is sent as it is read.
        length = get_slot(response, self.places[ANSWER_FIELDS]).first(
            b"content-length"
        )
        return 0 if length is None else int(length)

    def add(self, request, response, double now):
        """
        Add the line for an answer that was given at ``now``.

        Args:
            now: seconds since the epoch.

        Returns:
            how many lines wait.
        """
        cdef Py_ssize_t before = self.used, size = self.size(request, response)
        cdef object user, fields
        if not self.until - 1.0 <= now < self.until:
            self.stamp = self.format_time(int(now)).encode()
            self.until = <long long>now + 1.0
        try:
            self.text(get_slot(request, self.places[REMOTE_ADDR]), True)
            self.put(" - ", 3)
            user = get_slot(request, self.places[USER])
            if user:
                self.text(user, False)
            else:
                self.put("-", 1)
            self.put(" ", 1)
            self.put(PyBytes_AS_STRING(self.stamp), PyBytes_GET_SIZE(self.stamp))
            self.put(' "', 2)
            self.text(get_slot(request, self.places[METHOD]), True)
            self.put(" ", 1)
            self.text(get_slot(request, self.places[TARGET]), False)
            self.put(" HTTP/", 6)
            self.text(get_slot(request, self.places[HTTP_VERSION]), True)
            self.put('" ', 2)
            self.number(get_slot(response, self.places[STATUS]))
            self.put(" ", 1)
            self.number(size)
            if self.is_combined:
                fields = get_slot(request, self.places[FIELDS])
                self.quoted(fields.first(b"referer"))
                self.quoted(fields.first(b"user-agent"))
            self.put("\n", 1)
        except BaseException:
            # Of a line that cannot be written nothing is.
            self.used = before
            raise
        self.count += 1
        return self.count

    def put_line(self, str line not None):
        """Add a line as it is; return how many wait."""
        self.text(line, True)
        self.put("\n", 1)
        self.count += 1
        return self.count

    def take(self):
        """Return the lines that wait, each with its end, and forget them."""
        cdef object lines = PyUnicode_DecodeUTF8(self.data, self.used, "surrogatepass")
        self.used = self.count = 0
        if self.room > KEPT_SIZE:
            PyMem_Free(self.data)
            self.data = NULL
            self.room = 0
        return lines

    cdef int check(self, object request, object response) except -1:
        if not isinstance(request, self.request):
            raise TypeError(f"{request!r} is no request")
        if not isinstance(response, self.response):
            raise TypeError(f"{response!r} is no response")
        return 0

    cdef int text(self, object text, bint is_trusted) except -1:
        """Add a text, spelled so that it cannot break the line, if need be."""
        cdef const char *letters
        cdef Py_ssize_t size
        if isinstance(text, str) and PyUnicode_IS_ASCII(text):
            letters = PyUnicode_AsUTF8AndSize(text, &size)
            if is_trusted or is_plain(letters, size):
                return self.put(letters, size)
        if not is_trusted:
            text = self.spell(text)
        spelled = text.encode("utf-8", "surrogatepass")
        return self.put(PyBytes_AS_STRING(spelled), PyBytes_GET_SIZE(spelled))

    cdef int quoted(self, bytes value) except -1:
        """Add the value of a field."""
        if value is None or PyBytes_GET_SIZE(value) == 0:
            return self.put(' "-"', 4)
        self.put(' "', 2)
        if is_plain(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)):
            self.put(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        else:
            self.text(value.decode("latin-1"), False)
        return self.put('"', 1)

    cdef int number(self, Py_ssize_t number) except -1:
        cdef char[DECIMAL_SIZE] digits
        cdef char *end = digits + DECIMAL_SIZE
        cdef char *at = decimal_before(end, number)
        return self.put(at, end - at)

    cdef int put(self, const char *text, Py_ssize_t size) except -1:
        cdef Py_ssize_t room
        cdef void *moved
        if self.used + size > self.room:
            room = max(2 * self.room, self.used + size, KEPT_SIZE)
            moved = PyMem_Realloc(self.data, room)
            if moved == NULL:
                raise MemoryError
            self.data = <char *>moved
            self.room = room
        memcpy(self.data + self.used, text, size)
        self.used += size
        return 0

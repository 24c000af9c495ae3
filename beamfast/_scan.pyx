# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Reads that are plainly one whole request, without a parser.

Nearly every read of a server is the head of one GET and nothing else. What
:class:`HeadScanner` takes is far less than RFC 9112 allows, so that there is no
doubt about it; whatever else comes is left to llhttp, which knows the other rules
and says what is wrong. :class:`RequestValues` is what it fills.
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memchr, memcmp

from beamfast._fields cimport Fields


cdef enum:
    IN_NAME = 1
    IN_TARGET = 2
    # How many targets are remembered, and how long one may be.
    TARGETS = 256
    TARGET_SIZE = 512
    # The same of field names; the number is a power of two.
    NAMES = 256
    NAME_SIZE = 64

cdef unsigned char[256] CLASSES
cdef unsigned char code
for code in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
    CLASSES[code] = IN_NAME | IN_TARGET
for code in b"!#$%&'*+-.^_`|~":
    CLASSES[code] |= IN_NAME
# RFC 3986, 3.3 and 3.4. Others are in use, and for the parser to judge.
for code in b"-._~!$&'()*+,;=:@/?%":
    CLASSES[code] |= IN_TARGET

cdef tuple NOTHING = ()
cdef frozenset NO_ROLES = frozenset()

# What asks for more than an answer, or may end the connection.
cdef frozenset LEFT_ALONE = frozenset(
    {
        *(b"content-length", b"transfer-encoding", b"trailer"),
        *(b"expect", b"upgrade", b"proxy-connection"),
    }
)
cdef list STAYS = [b"keep-alive"]


cdef inline bint is_visible(const char *at, const char *end) noexcept:
    """Tell whether there is nothing but ASCII and spaces."""
    cdef bint found = False
    while at < end:
        found |= <unsigned char>(at[0] - 32) > 94
        at += 1
    return not found


cdef class RequestValues:
    """The values of :class:`beamfast.http.Request`, which says what they mean."""

    def __cinit__(self):
        self.query = self.handshake_key = self._id = ""
        self.http_version = "1.1"
        self.remote_addr = "-"
        self.roles = NO_ROLES


@cython.final
cdef class HeadScanner:
    """
    Reads one whole request that has no content and leaves the connection open.

    One scanner serves all connections: it keeps nothing of a request but how its
    target and its field names are spelled.

    Args:
        kind: what to make, a class of :class:`RequestValues`.
        fields: of which class its fields are.
        split_path: from a target that begins with a slash to url, path and query;
            None when it has none.
        is_host: tells whether a value may stand in a ``Host`` field.
        line_limit: bytes of the request line.
        head_limit: bytes of request line and fields.
        field_limit: number of fields.
    """

    def __cinit__(
        self,
        type kind not None,
        type fields not None,
        split_path,
        is_host,
        Py_ssize_t line_limit,
        Py_ssize_t head_limit,
        int field_limit,
    ):
        if not issubclass(kind, RequestValues) or not issubclass(fields, Fields):
            raise TypeError("not the classes that a scanner can fill")
        self.kind, self.fields = kind, fields
        self.split_path, self.is_host = split_path, is_host
        self.line_limit, self.head_limit = line_limit, head_limit
        self.field_limit = field_limit
        self.targets = {}
        self.names = [None] * NAMES

    def read(self, bytes data not None):
        """Return the request that ``data`` is; None when a parser has to see it."""
        # Behind its last byte every bytes object has a NUL, which is of no class.
        cdef const char *at = PyBytes_AS_STRING(data)
        cdef const char *end = at + PyBytes_GET_SIZE(data)
        cdef const char *start
        cdef const char *stop
        cdef str method
        cdef bytes value
        cdef list values, raw = []
        cdef dict index = {}
        cdef tuple target, name
        cdef RequestValues request
        cdef Fields fields
        if end - at > self.head_limit:
            return None
        if end - at > 5 and memcmp(at, b"GET /", 5) == 0:
            method = "GET"
            at += 4
        elif end - at > 6 and memcmp(at, b"HEAD /", 6) == 0:
            method = "HEAD"
            at += 5
        else:
            return None
        start = at
        while CLASSES[<unsigned char>at[0]] & IN_TARGET:
            at += 1
        if end - at < 11 or memcmp(at, b" HTTP/1.1\r\n", 11):
            return None
        if at + 9 - PyBytes_AS_STRING(data) > self.line_limit:
            return None
        if at - start > TARGET_SIZE:
            return None
        target = self.target(start, at - start)
        if target is None:
            return None
        at += 11
        while at[0] != c"\r":
            start = at
            while CLASSES[<unsigned char>at[0]] & IN_NAME:
                at += 1
            if at[0] != c":":
                return None
            name = self.name(start, at - start)
            if name is None:
                return None
            at += 1
            while at[0] == c" ":
                at += 1
            start = at
            at = <const char *>memchr(start, c"\r", end - start)
            if at == NULL or at[1] != c"\n":
                return None
            stop = at
            while stop > start and stop[-1] == c" ":
                stop -= 1
            if stop == start or not is_visible(start, stop):
                return None
            at += 2
            value = PyBytes_FromStringAndSize(start, stop - start)
            raw.append((<object>name[0], value))
            values = index.get(<object>name[1])
            if values is None:
                index[<object>name[1]] = [value]
            else:
                values.append(value)
        if end - at != 2 or at[1] != c"\n" or len(raw) > self.field_limit:
            return None
        # One valid Host, and a connection that stays (RFC 9112, 3.2 and 9.3).
        values = index.get(b"host")
        if values is None or len(values) != 1 or not self.is_host(values[0]):
            return None
        values = index.get(b"connection")
        if values is not None and values != STAYS:
            return None
        fields = (<PyTypeObject *>self.fields).tp_new(
            self.fields, <PyObject *>NOTHING, NULL
        )
        fields.raw = raw
        fields.index = index
        request = (<PyTypeObject *>self.kind).tp_new(
            self.kind, <PyObject *>NOTHING, NULL
        )
        request.method = method
        request.target, request.url, request.path, request.query = target
        request.headers = fields
        return request

    cdef tuple target(self, const char *start, Py_ssize_t size):
        """Return what a target says and how it is spelled; None when it is wrong."""
        cdef bytes spelled = PyBytes_FromStringAndSize(start, size)
        cdef tuple found = self.targets.get(spelled)
        if found is None:
            text = spelled.decode("ascii")
            parts = self.split_path(text)
            if parts is None:
                return None
            # The same few pages are asked for again and again.
            if len(self.targets) >= TARGETS:
                self.targets.clear()
            found = self.targets[spelled] = (text, *parts)
        return found

    cdef tuple name(self, const char *start, Py_ssize_t size):
        """Return a name as it is spelled and in lower case; None to leave it alone."""
        cdef bytes spelled, key
        cdef tuple found
        cdef Py_ssize_t slot
        if size == 0 or size > NAME_SIZE:
            return None
        # Few names are in use, so each has a place where the last such one is kept.
        slot = (size * 31 + start[0] * 7 + start[size - 1] * 5 + start[size // 2]) & (
            NAMES - 1
        )
        found = self.names[slot]
        if found is not None:
            spelled = found[0]
            if PyBytes_GET_SIZE(spelled) == size and not memcmp(
                PyBytes_AS_STRING(spelled), start, size
            ):
                return found
        spelled = PyBytes_FromStringAndSize(start, size)
        key = spelled.lower()
        if key in LEFT_ALONE:
            return None
        found = self.names[slot] = (spelled, key)
        return found

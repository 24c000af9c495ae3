# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Reads that are plainly one whole request, without a parser.

Nearly every read of a server is the head of one GET and nothing else. What
:class:`HeadScanner` takes is far less than RFC 9112 allows, so that there is no
doubt about it; whatever else comes is left to llhttp, which knows the other rules
and says what is wrong.
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint16_t
from libc.string cimport memchr, memcmp

from beamfast._fields cimport Fields, span_t
from beamfast._slots cimport Slots, put_slot


cdef enum:
    IN_NAME = 1
    IN_TARGET = 2
    # How many targets are remembered, and how long one may be.
    TARGETS = 256
    TARGET_SIZE = 512
    # The same of field names; the number is a power of two.
    NAMES = 256
    NAME_SIZE = 64
    # What a span_t can hold, and how many of them there are.
    HEAD_SIZE = 65535
    FIELDS = 128

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

# What asks for more than an answer, or may end the connection.
cdef frozenset LEFT_ALONE = frozenset(
    {
        *(b"content-length", b"transfer-encoding", b"trailer"),
        *(b"expect", b"proxy-connection"),
    }
)
# How clients ask for a WebSocket (RFC 6455, 4.1); all else is for the parser.
cdef tuple UPGRADES = (b"websocket", b"WebSocket")
cdef tuple UPGRADING = (b"Upgrade", b"upgrade", b"keep-alive, Upgrade")


cdef inline bint is_visible(const char *at, const char *end) noexcept:
    """Tell whether there is nothing but ASCII and spaces."""
    cdef bint found = False
    while at < end:
        found |= <unsigned char>(at[0] - 32) > 94
        at += 1
    return not found


@cython.final
cdef class HeadScanner:
    """
    Reads one whole request that has no content and leaves the connection open.

    One scanner serves all connections: it keeps nothing of a request but how its
    target and its field names are spelled.

    Args:
        model: a request, of which others are copies but for method, target, url,
            path, query and headers.
        fields: of which class the fields are.
        split_path: from a target that begins with a slash to url, path and query;
            None when it has none.
        is_host: tells whether a value may stand in a ``Host`` field.
        line_limit: bytes of the request line.
        head_limit: bytes of request line and fields.
        field_limit: number of fields.
    """

    def __cinit__(
        self,
        model,
        type fields not None,
        split_path,
        is_host,
        Py_ssize_t line_limit,
        Py_ssize_t head_limit,
        int field_limit,
    ):
        if not issubclass(fields, Fields):
            raise TypeError("not a class that a scanner can fill")
        self.model, self.fields = model, fields
        self.slots = Slots(type(model))
        for number, name in enumerate(
            ("method", "target", "url", "path", "query", "headers")
        ):
            self.places[number] = self.slots.offset(name)
        self.split_path, self.is_host = split_path, is_host
        self.line_limit, self.head_limit = line_limit, head_limit
        self.field_limit = field_limit
        self.targets = {}
        self.names = [None] * NAMES

    def read(self, bytes data not None):
        """Return the request that ``data`` is; None when a parser has to see it."""
        return self.scan(data)

    cdef object scan(self, bytes data):
        # Behind its last byte every bytes object has a NUL, which is of no class.
        cdef const char *at = PyBytes_AS_STRING(data)
        cdef const char *end = at + PyBytes_GET_SIZE(data)
        cdef const char *start
        cdef const char *stop
        cdef span_t[FIELDS] spans
        cdef Py_ssize_t count = 0, number
        cdef int upgrades
        cdef str method
        cdef list names = []
        cdef tuple target, name
        cdef Fields fields
        if end - at > self.head_limit or end - at > HEAD_SIZE:
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
            while stop > start and (stop - 1)[0] == c" ":
                stop -= 1
            if stop == start or not is_visible(start, stop):
                return None
            if count == self.field_limit or count == FIELDS:
                return None
            spans[count].start = <uint16_t>(start - PyBytes_AS_STRING(data))
            spans[count].stop = <uint16_t>(stop - PyBytes_AS_STRING(data))
            names.append(name)
            count += 1
            at += 2
        if end - at != 2 or at[1] != c"\n":
            return None
        fields = (<PyTypeObject *>self.fields).tp_new(
            self.fields, <PyObject *>NOTHING, NULL
        )
        fields.data = data
        fields.names = names
        fields.spans = PyBytes_FromStringAndSize(
            <const char *>spans, count * <Py_ssize_t>sizeof(span_t)
        )
        upgrades = self.examine(fields)
        if upgrades < 0 or (upgrades and method != "GET"):
            return None
        request = self.slots.copy(self.model)
        put_slot(request, self.places[0], method)
        for number in range(4):
            put_slot(request, self.places[1 + number], <object>target[number])
        put_slot(request, self.places[5], fields)
        if upgrades:
            request._is_websocket = True
        return request

    cdef int examine(self, Fields fields) except -2:
        """
        Look for one valid Host, and for what the connection becomes.

        Returns:
            1 for a WebSocket, 0 when it stays as it is, -1 to leave it alone.
        """
        cdef Py_ssize_t number, hosts = 0, connections = 0, upgrades = 0
        cdef tuple name
        cdef bytes key, connection = None
        for number, name in enumerate(fields.names):
            key = <bytes>name[1]
            if PyBytes_GET_SIZE(key) == 4 and key == b"host":
                hosts += 1
                if not self.is_host(fields.value(number)):
                    return -1
            elif PyBytes_GET_SIZE(key) == 10 and key == b"connection":
                connections += 1
                connection = fields.value(number)
            elif PyBytes_GET_SIZE(key) == 7 and key == b"upgrade":
                upgrades += 1
                if fields.value(number) not in UPGRADES:
                    return -1
        # RFC 9112, 3.2 and 9.3.
        if hosts != 1 or connections > 1 or upgrades > 1:
            return -1
        if upgrades:
            return 1 if connection in UPGRADING else -1
        return 0 if connection is None or connection == b"keep-alive" else -1

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
        cdef Py_ssize_t number
        cdef size_t slot = 0
        if size == 0 or size > NAME_SIZE:
            return None
        # Few names are in use, so each has a place where the last such one is kept.
        for number in range(size):
            slot = slot * 31 + <unsigned char>start[number]
        slot &= NAMES - 1
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

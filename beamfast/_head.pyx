# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
The head of an HTTP/1.1 request, collected field by field.

llhttp calls back for every header field, and a browser sends a dozen of them.
:class:`HeadCollector` keeps those calls out of the interpreter; it counts, and
decides nothing. What the fields mean is known to
:class:`beamfast.protocol.http11.RequestParser`, which extends it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE


cdef enum:
    PART_IDLE
    PART_HEAD
    PART_BODY
    PART_SKIP
    PART_UPGRADE

#: Which part of a message comes next.
IDLE = PART_IDLE
HEAD = PART_HEAD
BODY = PART_BODY
#: A head that was announced before.
SKIP = PART_SKIP
#: Whatever comes next belongs to WebSocket, or not: undecided.
UPGRADE = PART_UPGRADE


cdef class HeadCollector:
    """
    Callbacks of llhttp up to the end of the head.

    Args:
        line_limit: bytes of the request line.
        head_limit: bytes of request line and fields, trailers included.
        field_limit: number of fields, trailers included.

    Attributes:
        part: what comes next: ``IDLE``, ``HEAD``, ``BODY``, ``SKIP``, ``UPGRADE``.
        begun: a message has begun in the read at hand; the reader clears it.
        llhttp: the parser that calls, None between messages.
        method: of the request, as it stands on the wire.
        target: request target as far as it has arrived.
        raw: fields as they stand on the wire, without the whitespace around.
        index: their values by names in lower case.
        head_size: bytes of the head so far, with separators.
        head_fed, overhead, body_size: counters of the class above.
    """

    def __cinit__(self, Py_ssize_t line_limit, Py_ssize_t head_limit, int field_limit):
        self.line_limit = line_limit
        self.head_limit = head_limit
        self.field_limit = field_limit
        self.part = PART_IDLE
        self.method = self.target = b""
        self.raw = []
        self.index = {}

    def on_excess(self, status: int) -> None:
        """Refuse a head that is over a limit: 414 or 431. Has to raise."""
        raise NotImplementedError

    def on_trailer(self, key: bytes) -> None:
        """Look at the name, in lower case, of a field behind the content."""

    def on_message_begin(self) -> None:
        """Start a head (called by llhttp)."""
        if self.part == PART_SKIP:
            return
        self.part = PART_HEAD
        self.begun = True
        self.target = b""
        self.raw = []
        self.index = {}
        self.fields = 0
        self.head_size = self.head_fed = self.overhead = self.body_size = 0

    def on_url(self, bytes piece not None) -> None:
        """Collect the request target, which arrives in pieces (called by llhttp)."""
        cdef Py_ssize_t line
        if self.part == PART_SKIP:
            return
        if self.target:
            self.target += piece
        else:
            self.target = piece
            self.method = self.llhttp.get_method()
        # Two spaces and the version are the rest of the line.
        line = PyBytes_GET_SIZE(self.method) + PyBytes_GET_SIZE(self.target) + 10
        if line > self.line_limit:
            self.on_excess(414)
        self.head_size = line + 2

    def on_header(self, bytes name not None, bytes value not None) -> None:
        """Collect one header field, or drop one trailer field (called by llhttp)."""
        cdef bytes key
        cdef list values
        cdef const char *text = PyBytes_AS_STRING(value)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
        if self.part == PART_SKIP:
            return
        self.fields += 1
        self.head_size += PyBytes_GET_SIZE(name) + size + 4
        if self.fields > self.field_limit or self.head_size > self.head_limit:
            self.on_excess(431)
        key = name.lower()
        if self.part == PART_BODY:
            self.on_trailer(key)
            return
        # Trailing whitespace is not part of a value (RFC 9112, 5.1).
        if size and (text[size - 1] == c" " or text[size - 1] == c"\t"):
            value = value.rstrip(b" \t")
        self.raw.append((name, value))
        values = self.index.get(key)
        if values is None:
            self.index[key] = [value]
        else:
            values.append(value)

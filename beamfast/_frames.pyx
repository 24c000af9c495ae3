# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
WebSocket frames (RFC 6455, section 5): build them, mask them, parse them.

The parser is incremental and does no I/O; it knows every rule that a frame can
break by itself. What a frame means (closing handshake, pings, extensions) is the
business of :mod:`beamfast.protocol.rfc6455`.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **content, Py_ssize_t size) except -1
    void Py_CLEAR(PyObject *content)


cdef extern from "mask.h":
    uint32_t mask_rotate(uint32_t key, size_t phase) noexcept nogil


cdef extern from "utf8.h":
    enum:
        UTF8_ACCEPT
        UTF8_REJECT

    uint8_t utf8_scan(uint8_t state, const uint8_t *data, size_t size) noexcept nogil


cdef enum:
    # What is unmasked on the stack, and the first allocation for a payload that
    # has only been announced.
    SMALL = 4096
    FIRST_ALLOCATION = 65536


#: Added to the opcode of a message that arrives in pieces, and at its end.
PIECE = PIECE_BIT
LAST = LAST_BIT


cdef uint32_t load_key(bytes key) except? 0:
    cdef uint32_t loaded
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError("a masking key has four bytes")
    memcpy(&loaded, PyBytes_AS_STRING(key), 4)
    return loaded


cdef bytes frame_bytes(
    int opcode, const char *payload, Py_ssize_t size, bint fin, int rsv, bytes key
):
    """Return one frame; the caller has checked the arguments."""
    cdef uint8_t head[HEAD_LIMIT]
    cdef uint32_t loaded = 0 if key is None else load_key(key)
    cdef int used = head_write(
        head, opcode, fin, rsv, size, NULL if key is None else &loaded
    )
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, used + size)
    cdef uint8_t *to = <uint8_t *>PyBytes_AS_STRING(frame)
    memcpy(to, head, used)
    payload_copy(to + used, <const uint8_t *>payload, size, &loaded)
    return frame


def build_frame(
    int opcode, payload, *, bint fin=True, int rsv=0, bytes mask=None
) -> bytes:
    """
    Return ``payload`` as one frame; without ``mask``, as a server sends it.

    Args:
        opcode: 0 to 2 for data; 8 to 10 for control frames, which must be final.
        payload: a str is sent as UTF-8; at most 125 bytes for control frames.
        fin: False for all but the last fragment of a message.
        rsv: the reserved bits that an extension owns, RSV1 = 4.
        mask: the four bytes of the masking key of a client.

    Raises:
        ValueError: the caller broke one of these rules, or ``payload`` holds a
            lone surrogate. Never raised because of anything a peer sent.
    """
    cdef Py_buffer view
    if opcode & 7 > 2 or opcode & ~15:
        raise ValueError(f"no such opcode: {opcode}")
    if rsv & ~7:
        raise ValueError(f"not three reserved bits: {rsv}")
    if opcode & CONTROL and not fin:
        raise ValueError("a control frame cannot be fragmented")
    if isinstance(payload, str):
        payload = (<str>payload).encode()
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        if opcode & CONTROL and view.len > CONTROL_LIMIT:
            raise ValueError("a control frame holds at most 125 bytes")
        return frame_bytes(opcode, <const char *>view.buf, view.len, fin, rsv, mask)
    finally:
        PyBuffer_Release(&view)


cdef bytes message_frame(object message):
    """Return a message, which is not coded, as a server sends it: in one frame."""
    if type(message) is not bytes:
        return build_frame(TEXT if isinstance(message, str) else BINARY, message)
    return frame_bytes(
        BINARY, PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), True, 0, None
    )


def mask(data, bytes key not None, Py_ssize_t offset=0) -> bytes:
    """
    Return ``data`` XOR ``key`` (RFC 6455, 5.3); the same call takes it off again.

    Args:
        data: any bytes-like object; it is not changed.
        key: four bytes.
        offset: where in the payload ``data`` begins.

    Raises:
        ValueError: the key is not four bytes long.
    """
    cdef uint32_t loaded = mask_rotate(load_key(key), offset & 3)
    cdef Py_buffer view
    cdef bytes masked
    cdef uint8_t *to
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        masked = PyBytes_FromStringAndSize(NULL, view.len)
        to = <uint8_t *>PyBytes_AS_STRING(masked)
        payload_copy(to, <const uint8_t *>view.buf, view.len, &loaded)
        return masked
    finally:
        PyBuffer_Release(&view)


def utf8_valid(data) -> bool:
    """Return True when ``data`` is complete UTF-8 (RFC 3629)."""
    cdef Utf8Validator validator = Utf8Validator()
    return validator.feed(data) and validator.complete


@cython.final
cdef class Utf8Validator:
    """Checks UTF-8 that arrives in pieces, and says no at the earliest byte."""

    @property
    def complete(self) -> bool:
        """True when no character is cut off at the end."""
        return self.state == UTF8_ACCEPT

    def feed(self, data) -> bool:
        """Take the next piece; False from the first impossible byte on."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        self.state = utf8_scan(self.state, <const uint8_t *>view.buf, view.len)
        PyBuffer_Release(&view)
        return self.state != UTF8_REJECT


@cython.final
cdef class FrameParser:
    """
    Turns the bytes of one direction of a WebSocket into messages and frames.

    Args:
        masked: True on a server, whose peer must mask; False on a client, whose
            peer must not (RFC 6455, 5.1).
        max_size: bytes of a message, put together from all its fragments.
        max_frame_size: bytes of one data frame.
        max_fragments: frames of one message; empty ones count too.
        rsv: the reserved bits that extensions own, RSV1 = 4; they are legal on
            the first frame of a message only.
        strict_lengths: refuse lengths that are not in their shortest form.
        text_as_bytes: deliver text as checked UTF-8 instead of str.

    Attributes:
        close_code: 0, or the close code of the violation that ended the input.
        reason: what the violation was.
        is_at_rest: the last read ended between two messages.
    """

    def __cinit__(
        self,
        *,
        bint masked,
        uint64_t max_size=1048576,
        uint64_t max_frame_size=1048576,
        uint32_t max_fragments=4096,
        int rsv=0,
        bint strict_lengths=True,
        bint text_as_bytes=False,
    ):
        if rsv & ~7:
            raise ValueError(f"not three reserved bits: {rsv}")
        if max_fragments < 1:
            raise ValueError("a message has at least one frame")
        self.rules = rules_t(
            max_size, max_frame_size, max_fragments, masked, strict_lengths, rsv
        )
        self.text_as_bytes = text_as_bytes
        self.reason = ""

    def __dealloc__(self):
        self.clear()

    cpdef int feed(self, data, deliver, on_frame) except -1:
        """
        Parse ``data``; return 0, or the close code once the peer broke a rule.

        What was complete before a violation is delivered first; after it, and
        after a close frame, nothing is parsed any more.

        Args:
            data: any bytes-like object; it is neither changed nor kept.
            deliver: called with each complete message that no extension coded.
                None discards: heads, limits and UTF-8 are still checked, but no
                data message is built.
            on_frame: called as ``on_frame(opcode, rsv, payload)`` with each
                control frame, and with each complete message whose first frame
                had reserved bits, its payload put together and still coded;
                also with the pieces that :meth:`stream` asked for.

        Raises:
            RuntimeError: a callback called back into this method.
            Exception: whatever a callback raised; the input ends with 1011.
        """
        cdef Py_buffer view
        if self.feeding:
            raise RuntimeError("feed() was called from its own callback")
        if self.done:
            return self.close_code
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        self.feeding, self.is_at_rest = True, False
        try:
            self.consume(<const uint8_t *>view.buf, view.len, deliver, on_frame)
        except BaseException:
            self.fail(CALLBACK_RAISED)
            raise
        finally:
            self.feeding = False
            self.is_at_rest = not (self.in_payload or self.have or self.message.open)
            PyBuffer_Release(&view)
        return self.close_code

    def stream(self, on_frame) -> None:
        """
        Let one data message come in pieces: the one under way, or the next.

        ``on_frame`` gets each piece when it is read, coded or not, with ``PIECE``
        added to the opcode, and what was put together already at once. The end adds
        ``LAST`` and is empty. None takes the request back before the first piece.
        """
        self.streaming = on_frame is not None
        if self.streaming and self.assembled:
            on_frame(
                self.message.opcode | PIECE_BIT, self.message.rsv, self.take_assembly()
            )

    def finish(self) -> None:
        """Drop everything that follows, even the rest of the current read."""
        self.done = True
        self.clear()

    cdef int consume(
        self, const uint8_t *data, Py_ssize_t size, object deliver, object on_frame
    ) except -1:
        cdef Py_ssize_t taken
        while not self.done:
            if not self.in_payload:
                if size == 0:
                    break
                taken = self.take_head(data, size)
                data += taken
                size -= taken
                if not self.in_payload:
                    break
                taken = self.remaining
                if taken <= size and self.comes_whole() and deliver is not None:
                    self.in_payload = self.message.open = False
                    self.deliver_whole(data, taken, deliver)
                    data += taken
                    size -= taken
                    continue
            taken = min(<uint64_t>size, self.remaining)
            if taken:
                self.take_payload(data, taken, deliver is not None, on_frame)
                data += taken
                size -= taken
            if self.done or self.remaining:
                break
            self.in_payload = False
            self.end_frame(deliver, on_frame)
        return 0

    cdef bint comes_whole(self) noexcept:
        # The first byte says it all: FIN, no reserved bits, TEXT or BINARY.
        cdef uint8_t first = self.split[0] ^ 0x80
        return (first == TEXT or first == BINARY) and not self.streaming

    cdef Py_ssize_t take_head(self, const uint8_t *data, Py_ssize_t size) except -1:
        """Begin a frame, or fail, or keep an incomplete head; return what it took."""
        cdef int before = self.have
        cdef Py_ssize_t part = min(size, HEAD_LIMIT - before)
        cdef int used
        memcpy(&self.split[before], data, part)
        used = head_read(
            &self.head, self.split, before + part, &self.rules, &self.message
        )
        if used < 0:
            self.fail(used)
            return 0
        if used == 0:
            self.have = before + part
            return part
        self.have = 0
        self.in_payload = True
        self.remaining = self.head.length
        if self.head.opcode & CONTROL:
            # At most 125 bytes, so the announced length can be trusted.
            self.control = new_bytes(self.remaining)
            self.control_size = 0
        else:
            message_take(&self.message, &self.head)
            if self.head.opcode != CONTINUATION:
                self.utf8 = UTF8_ACCEPT
                self.passed_over = False
        return used - before

    cdef int deliver_whole(
        self, const uint8_t *data, Py_ssize_t size, object deliver
    ) except -1:
        """Hand over a message that one read holds completely, in one copy."""
        cdef uint8_t plain[SMALL]
        cdef uint8_t *to
        cdef bytes content
        if self.head.opcode == TEXT and not self.text_as_bytes and size <= SMALL:
            payload_copy(plain, data, size, &self.head.key)
            message = decode(plain, size)
        else:
            content = PyBytes_FromStringAndSize(NULL, size)
            to = <uint8_t *>PyBytes_AS_STRING(content)
            payload_copy(to, data, size, &self.head.key)
            message = self.as_text(content) if self.head.opcode == TEXT else content
        if message is None:
            self.fail(NOT_UTF8)
        else:
            deliver(message)
        return 0

    cdef int take_payload(
        self, const uint8_t *data, Py_ssize_t size, bint wanted, object on_frame
    ) except -1:
        cdef uint8_t *to
        if self.head.opcode & CONTROL:
            to = <uint8_t *>PyBytes_AS_STRING(<object>self.control)
            payload_copy(to + self.control_size, data, size, &self.head.key)
            self.control_size += size
        elif self.passed_over or not (wanted or self.streaming):
            self.passed_over = True
            self.copy(NULL, data, size)
        elif self.streaming:
            self.take_piece(data, size, on_frame)
        else:
            self.reserve(size)
            to = <uint8_t *>PyBytes_AS_STRING(<object>self.assembly) + self.assembled
            self.assembled += size
            self.copy(to, data, size)
        self.remaining -= size
        return 0

    cdef int take_piece(
        self, const uint8_t *data, Py_ssize_t size, object on_frame
    ) except -1:
        cdef bytes piece = PyBytes_FromStringAndSize(NULL, size)
        self.copy(<uint8_t *>PyBytes_AS_STRING(piece), data, size)
        if not self.done:
            on_frame(self.message.opcode | PIECE_BIT, self.message.rsv, piece)
        return 0

    cdef void copy(self, uint8_t *to, const uint8_t *data, Py_ssize_t size) noexcept:
        """Take the mask off and check text; ``to`` is NULL when nobody wants it."""
        if to != NULL:
            payload_copy(to, data, size, &self.head.key)
        # RFC 6455, 8.1, read strictly: the connection fails at the first byte
        # that cannot be part of UTF-8. Coded text is checked after decoding.
        if self.message.opcode != TEXT or self.message.rsv:
            return
        if to != NULL:
            self.utf8 = utf8_scan(self.utf8, to, size)
        else:
            self.utf8 = payload_scan(self.utf8, data, size, &self.head.key)
        if self.utf8 == UTF8_REJECT:
            self.fail(NOT_UTF8)

    cdef int reserve(self, Py_ssize_t size) except -1:
        """Make room for ``size`` bytes; memory follows what has really arrived."""
        cdef Py_ssize_t wanted = self.assembled + size
        cdef Py_ssize_t capacity
        if self.assembly == NULL:
            capacity = min(<Py_ssize_t>self.remaining, <Py_ssize_t>FIRST_ALLOCATION)
            self.assembly = new_bytes(max(wanted, capacity))
            return 0
        capacity = PyBytes_GET_SIZE(<object>self.assembly)
        if capacity >= wanted:
            return 0
        capacity = max(wanted, 2 * capacity)
        if self.head.fin:
            capacity = min(capacity, self.assembled + <Py_ssize_t>self.remaining)
        _PyBytes_Resize(&self.assembly, capacity)
        return 0

    cdef int end_frame(self, object deliver, object on_frame) except -1:
        cdef bytes content
        if self.head.opcode & CONTROL:
            content = <bytes>self.control
            Py_CLEAR(self.control)
            if self.head.opcode == CLOSE:
                # RFC 6455, 5.5.1: nothing follows a close frame.
                self.finish()
            on_frame(self.head.opcode, 0, content)
            return 0
        if not self.head.fin:
            return 0
        self.message.open = False
        if self.utf8 != UTF8_ACCEPT:
            self.fail(NOT_UTF8)
            return 0
        if self.streaming and not self.passed_over:
            self.streaming = False
            on_frame(
                self.message.opcode | PIECE_BIT | LAST_BIT, self.message.rsv, b""
            )
            return 0
        if self.passed_over or deliver is None:
            Py_CLEAR(self.assembly)
            self.assembled = 0
            return 0
        content = self.take_assembly()
        if self.message.rsv:
            on_frame(self.message.opcode, self.message.rsv, content)
        elif self.message.opcode == TEXT:
            deliver(self.as_text(content))
        else:
            deliver(content)
        return 0

    cdef object as_text(self, bytes content):
        """Return what is delivered for a text, None when it is not UTF-8."""
        if self.text_as_bytes:
            return content if utf8_valid(content) else None
        return decode(
            <uint8_t *>PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content)
        )

    cdef bytes take_assembly(self):
        cdef bytes content
        if self.assembly == NULL:
            return b""
        if PyBytes_GET_SIZE(<object>self.assembly) != self.assembled:
            _PyBytes_Resize(&self.assembly, self.assembled)
        content = <bytes>self.assembly
        Py_CLEAR(self.assembly)
        self.assembled = 0
        return content

    cdef void fail(self, int violation) noexcept:
        self.done = True
        self.close_code = violation_code(violation)
        self.reason = violation_reason(violation).decode("ascii")
        self.clear()

    cdef void clear(self) noexcept:
        Py_CLEAR(self.control)
        Py_CLEAR(self.assembly)
        self.assembled = 0


cdef PyObject *new_bytes(Py_ssize_t size) except NULL:
    """Return an own reference to bytes that are yet to be written."""
    cdef bytes content = PyBytes_FromStringAndSize(NULL, size)
    Py_INCREF(content)
    return <PyObject *>content


cdef object decode(const uint8_t *text, Py_ssize_t size):
    """Return ``text`` as str, or None when it is not UTF-8."""
    try:
        return PyUnicode_DecodeUTF8(<const char *>text, size, NULL)
    except UnicodeDecodeError:
        return None

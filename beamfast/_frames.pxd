# cython: language_level=3
"""C fields and methods of the parser in :mod:`beamfast._frames`."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "frame.h":
    enum:
        CONTINUATION, TEXT, BINARY, CONTROL, CLOSE
        HEAD_LIMIT, CONTROL_LIMIT
        PIECE_BIT, LAST_BIT
        NOT_UTF8, CALLBACK_RAISED

    ctypedef struct rules_t:
        uint64_t max_size
        uint64_t max_frame_size
        uint32_t max_fragments
        uint8_t masked
        uint8_t strict_lengths
        uint8_t extension_bits

    ctypedef struct head_t:
        uint64_t length
        uint32_t key
        uint8_t opcode
        uint8_t rsv
        uint8_t fin

    ctypedef struct message_t:
        uint8_t open
        uint8_t opcode
        uint8_t rsv

    int violation_code(int violation) noexcept nogil
    const char *violation_reason(int violation) noexcept nogil
    int head_write(
        uint8_t *head,
        int opcode,
        int fin,
        int rsv,
        uint64_t length,
        const uint32_t *key,
    ) noexcept nogil
    int head_read(
        head_t *head,
        const uint8_t *data,
        size_t size,
        const rules_t *rules,
        const message_t *message,
    ) noexcept nogil
    void payload_copy(
        uint8_t *to, const uint8_t *data, size_t size, uint32_t *key
    ) noexcept nogil
    uint8_t payload_scan(
        uint8_t state, const uint8_t *data, size_t size, uint32_t *key
    ) noexcept nogil
    void message_take(message_t *message, const head_t *head) noexcept nogil


cdef bytes message_frame(object message)


cdef class FrameParser:
    cdef rules_t rules
    # The frame being read; `split` holds a head that is not complete yet.
    cdef head_t head
    cdef uint64_t remaining
    cdef uint8_t split[14]
    cdef uint8_t have, in_payload
    cdef PyObject *control
    cdef Py_ssize_t control_size
    # The message that its frame belongs to, as far as it could not be delivered
    # straight from one read.
    cdef message_t message
    cdef uint8_t utf8, passed_over, text_as_bytes, streaming
    cdef PyObject *assembly
    cdef Py_ssize_t assembled
    # How it ended.
    cdef uint8_t feeding, done
    cdef readonly int close_code
    cdef readonly str reason
    cdef readonly bint is_at_rest

    cpdef int feed(self, data, deliver, on_frame) except -1
    cdef int consume(
        self, const uint8_t *data, Py_ssize_t size, object deliver, object on_frame
    ) except -1
    cdef Py_ssize_t take_head(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef bint comes_whole(self) noexcept
    cdef int deliver_whole(
        self, const uint8_t *data, Py_ssize_t size, object deliver
    ) except -1
    cdef int take_payload(
        self, const uint8_t *data, Py_ssize_t size, bint wanted, object on_frame
    ) except -1
    cdef int take_piece(
        self, const uint8_t *data, Py_ssize_t size, object on_frame
    ) except -1
    cdef void copy(self, uint8_t *to, const uint8_t *data, Py_ssize_t size) noexcept
    cdef int reserve(self, Py_ssize_t size) except -1
    cdef int end_frame(self, object deliver, object on_frame) except -1
    cdef object as_text(self, bytes content)
    cdef bytes take_assembly(self)
    cdef void fail(self, int violation) noexcept
    cdef void clear(self) noexcept


cdef class Utf8Validator:
    cdef uint8_t state

/*
 * Heads of WebSocket frames (RFC 6455, 5.2): write one, read one and judge it.
 *
 * A head is judged by its prefix: a violation is found at the first byte that
 * shows it, however the bytes arrive. No Python.h.
 */
#ifndef BEAMFAST_FRAME_H
#define BEAMFAST_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mask.h"
#include "utf8.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CONTROL = 8, CLOSE = 8 };
enum { HEAD_LIMIT = 14, CONTROL_LIMIT = 125 };

/* Beside the opcode of a message that is handed over in pieces. */
enum { PIECE_BIT = 16, LAST_BIT = 32 };

/* What a frame can do wrong; negative, because heads have positive lengths. */
enum {
    RESERVED_BITS = -1,
    UNKNOWN_OPCODE = -2,
    FRAGMENTED_CONTROL = -3,
    LONG_CONTROL = -4,
    UNFINISHED_MESSAGE = -5,
    NOTHING_TO_CONTINUE = -6,
    TOO_MANY_FRAGMENTS = -7,
    NOT_MASKED = -8,
    MASKED = -9,
    PADDED_LENGTH = -10,
    TOP_BIT = -11,
    FRAME_TOO_BIG = -12,
    MESSAGE_TOO_BIG = -13,
    NOT_UTF8 = -14,
    CALLBACK_RAISED = -15
};

static const struct {
    int code;
    const char *reason;
} violations[] = {
    {0, ""},
    {1002, "reserved bits are set without an extension"},
    {1002, "unknown opcode"},
    {1002, "control frame is fragmented"},
    {1002, "control frame is longer than 125 bytes"},
    {1002, "new message before the end of the last one"},
    {1002, "continuation frame without a message"},
    {1008, "message has too many fragments"},
    {1002, "frame from a client is not masked"},
    {1002, "frame from a server is masked"},
    {1002, "length is not in its shortest form"},
    {1002, "length has its top bit set"},
    {1009, "frame is too big"},
    {1009, "message is too big"},
    {1007, "text is not UTF-8"},
    {1011, "internal error"},
};

/* The close code of a violation. */
static inline int violation_code(int violation)
{
    return violations[-violation].code;
}

/* What the peer is told about it. */
static inline const char *violation_reason(int violation)
{
    return violations[-violation].reason;
}

/* What this side of the connection allows its peer. */
typedef struct {
    uint64_t max_size, max_frame_size;
    uint32_t max_fragments;
    uint8_t masked, strict_lengths, extension_bits;
} rules_t;

typedef struct {
    uint64_t length;
    uint32_t key; /* in memory order; 0 on frames that are not masked */
    uint8_t opcode, rsv, fin;
} head_t;

/* The message that data frames belong to, from its first frame to its last. */
typedef struct {
    uint64_t size; /* announced by all heads so far */
    uint32_t fragments;
    uint8_t open, opcode, rsv;
} message_t;

/* Write the head of a frame to `head`, which has HEAD_LIMIT bytes. */
static inline int head_write(uint8_t *head, int opcode, int fin, int rsv,
                             uint64_t length, const uint32_t *key)
{
    int used = 2;
    int width = length < 126 ? 0 : length < 65536 ? 2 : 8;

    head[0] = (uint8_t)((fin != 0) << 7 | rsv << 4 | opcode);
    /* The shortest form is the only legal one (RFC 6455, 5.2). */
    head[1] = (uint8_t)(width == 0 ? length : width == 2 ? 126 : 127);
    while (width)
        head[used++] = (uint8_t)(length >> 8 * --width);
    if (key) {
        head[1] |= 0x80;
        memcpy(head + used, key, 4);
        used += 4;
    }
    return used;
}

static inline int head_judge_first(uint8_t first, const rules_t *rules,
                                   const message_t *message)
{
    int rsv = first >> 4 & 7, opcode = first & 15;

    /* Extensions own their bits on the first frame of a message only; RFC 7692,
       section 6, forbids RSV1 on control frames and continuations. */
    if (rsv & ~rules->extension_bits)
        return RESERVED_BITS;
    if (rsv && (opcode == CONTINUATION || opcode & CONTROL))
        return RESERVED_BITS;
    if ((opcode & 7) > 2)
        return UNKNOWN_OPCODE;
    if (opcode & CONTROL)
        return first & 0x80 ? 0 : FRAGMENTED_CONTROL;
    if (opcode != CONTINUATION)
        return message->open ? UNFINISHED_MESSAGE : 0;
    if (!message->open)
        return NOTHING_TO_CONTINUE;
    return message->fragments < rules->max_fragments ? 0 : TOO_MANY_FRAGMENTS;
}

/*
 * Read the head that `data` begins with. Return its length, 0 when it is not
 * complete yet, or a violation; `head` is valid only in the first case.
 */
static inline int head_read(head_t *head, const uint8_t *data, size_t size,
                            const rules_t *rules, const message_t *message)
{
    int violation = head_judge_first(data[0], rules, message);
    int used = 2;

    if (violation || size < 2)
        return violation;
    if (data[1] >> 7 != rules->masked)
        return rules->masked ? NOT_MASKED : MASKED;
    head->opcode = data[0] & 15;
    head->rsv = data[0] >> 4 & 7;
    head->fin = data[0] >> 7;
    head->length = data[1] & 127;
    if (head->length > CONTROL_LIMIT) {
        int end = head->length == 126 ? 4 : 10;

        if (head->opcode & CONTROL)
            return LONG_CONTROL;
        if (size < (size_t)end)
            return 0;
        for (head->length = 0; used < end; used++)
            head->length = head->length << 8 | data[used];
        /* RFC 6455, 5.2: the most significant bit must be 0, and the minimal
           number of bytes must be used. */
        if (head->length >> 63)
            return TOP_BIT;
        if (rules->strict_lengths && head->length < (end == 4 ? 126 : 65536))
            return PADDED_LENGTH;
    }
    if (!(head->opcode & CONTROL)) {
        uint64_t before = head->opcode == CONTINUATION ? message->size : 0;

        if (head->length > rules->max_frame_size)
            return FRAME_TOO_BIG;
        if (before + head->length > rules->max_size)
            return MESSAGE_TOO_BIG;
    }
    head->key = 0;
    if (!rules->masked)
        return used;
    if (size < (size_t)used + 4)
        return 0;
    memcpy(&head->key, data + used, 4);
    return used + 4;
}

/*
 * Copy payload XOR `key`, which puts a mask on or takes it off; 0 is no mask.
 * Leave the key as the payload that follows needs it.
 */
static inline void payload_copy(uint8_t *to, const uint8_t *data, size_t size,
                                uint32_t *key)
{
    if (*key) {
        mask_copy(to, data, size, *key);
        *key = mask_rotate(*key, size & 3);
    } else {
        memcpy(to, data, size);
    }
}

/* Return the state of UTF-8 after payload that nobody keeps. */
static inline uint8_t payload_scan(uint8_t state, const uint8_t *data, size_t size,
                                   uint32_t *key)
{
    uint8_t plain[4096];

    while (size && state != UTF8_REJECT) {
        size_t part = size < sizeof plain ? size : sizeof plain;

        payload_copy(plain, data, part, key);
        state = utf8_scan(state, plain, part);
        data += part;
        size -= part;
    }
    return state;
}

/* Note that a data frame with this head has begun. */
static inline void message_take(message_t *message, const head_t *head)
{
    if (head->opcode == CONTINUATION) {
        message->fragments++;
        message->size += head->length;
    } else {
        *message = (message_t){head->length, 1, 1, head->opcode, head->rsv};
    }
}

#endif

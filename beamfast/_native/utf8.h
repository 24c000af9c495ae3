/*
 * Incremental check of UTF-8 (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF). The state between two chunks is one byte. No Python.h.
 */
#ifndef BEAMFAST_UTF8_H
#define BEAMFAST_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What the next byte has to be. UTF8_ACCEPT: the start of a character. */
enum {
    UTF8_ACCEPT,
    UTF8_LAST,     /* one more continuation byte */
    UTF8_TWO,      /* two more */
    UTF8_THREE,    /* three more */
    UTF8_AFTER_E0, /* two more, the first from A0: below is overlong */
    UTF8_AFTER_ED, /* two more, the first to 9F: above are surrogates */
    UTF8_AFTER_F0, /* three more, the first from 90: below is overlong */
    UTF8_AFTER_F4, /* three more, the first to 8F: above is over U+10FFFF */
    UTF8_REJECT
};

static inline uint8_t utf8_lead(uint8_t byte)
{
    if (byte < 0x80)
        return UTF8_ACCEPT;
    if (byte < 0xC2 || byte > 0xF4)
        return UTF8_REJECT;
    if (byte < 0xE0)
        return UTF8_LAST;
    switch (byte) {
    case 0xE0:
        return UTF8_AFTER_E0;
    case 0xED:
        return UTF8_AFTER_ED;
    case 0xF0:
        return UTF8_AFTER_F0;
    case 0xF4:
        return UTF8_AFTER_F4;
    default:
        return byte < 0xF0 ? UTF8_TWO : UTF8_THREE;
    }
}

static inline uint8_t utf8_step(uint8_t state, uint8_t byte)
{
    static const struct {
        uint8_t low, high, next;
    } wanted[] = {
        [UTF8_LAST] = {0x80, 0xBF, UTF8_ACCEPT},
        [UTF8_TWO] = {0x80, 0xBF, UTF8_LAST},
        [UTF8_THREE] = {0x80, 0xBF, UTF8_TWO},
        [UTF8_AFTER_E0] = {0xA0, 0xBF, UTF8_LAST},
        [UTF8_AFTER_ED] = {0x80, 0x9F, UTF8_LAST},
        [UTF8_AFTER_F0] = {0x90, 0xBF, UTF8_TWO},
        [UTF8_AFTER_F4] = {0x80, 0x8F, UTF8_TWO},
    };

    if (state == UTF8_ACCEPT)
        return utf8_lead(byte);
    if (state == UTF8_REJECT || byte < wanted[state].low || byte > wanted[state].high)
        return UTF8_REJECT;
    return wanted[state].next;
}

/* How many leading bytes are ASCII, in steps of 64 (the rest is not looked at). */
static inline size_t utf8_ascii_blocks(const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (size - done >= 64) {
        uint64_t block[8], any = 0;

        memcpy(block, data + done, 64);
        for (int i = 0; i < 8; i++)
            any |= block[i];
        if (any & UINT64_C(0x8080808080808080))
            break;
        done += 64;
    }
    return done;
}

/* Return the state after `size` more bytes; UTF8_REJECT stays. */
static inline uint8_t utf8_scan(uint8_t state, const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;

    while (data < end && state != UTF8_ACCEPT && state != UTF8_REJECT)
        state = utf8_step(state, *data++);
    while (data < end && state == UTF8_ACCEPT) {
        uint64_t word;

        data += utf8_ascii_blocks(data, (size_t)(end - data));
        /* Whole characters first; the last, maybe cut one is left to the steps. */
        while (end - data >= 8) {
            memcpy(&word, data, 8);
            if (!(word & UINT64_C(0x8080808080808080))) {
                data += 8;
                if (end - data >= 64)
                    break;
                continue;
            }
            while (*data < 0x80)
                data++;
            if (end - data < 4)
                break;
            if (*data < 0xE0) {
                if (*data < 0xC2 || (data[1] & 0xC0) != 0x80)
                    return UTF8_REJECT;
                data += 2;
                continue;
            }
            state = utf8_step(utf8_lead(data[0]), data[1]);
            state = utf8_step(state, data[2]);
            if (*data >= 0xF0)
                state = utf8_step(state, data[3]);
            if (state != UTF8_ACCEPT)
                return UTF8_REJECT;
            data += *data < 0xF0 ? 3 : 4;
        }
        if (end - data < 8)
            while (data < end && state != UTF8_REJECT)
                state = utf8_step(state, *data++);
    }
    return state;
}

#endif

/*
 * XOR masking of WebSocket payloads (RFC 6455, 5.3) while they are copied.
 *
 * Portable C: a block of 64 bytes in a local array is what compilers turn into
 * vector code for every target without -march; alignment and byte order do not
 * matter because keys and blocks are moved with memcpy. No Python.h.
 */
#ifndef BEAMFAST_MASK_H
#define BEAMFAST_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The key as it applies `phase` bytes further on in the payload. */
static inline uint32_t mask_rotate(uint32_t key, size_t phase)
{
    uint8_t from[4], to[4];

    memcpy(from, &key, 4);
    for (size_t i = 0; i < 4; i++)
        to[i] = from[(i + phase) & 3];
    memcpy(&key, to, 4);
    return key;
}

/* Write `size` bytes of `from` XOR `key` to `to`; the two must not overlap. */
static inline void mask_copy(uint8_t *to, const uint8_t *from, size_t size,
                             uint32_t key)
{
    uint64_t wide;
    uint8_t bytes[4];

    memcpy(bytes, &key, 4);
    memcpy(&wide, bytes, 4);
    memcpy((uint8_t *)&wide + 4, bytes, 4);
    for (; size >= 64; size -= 64, from += 64, to += 64) {
        uint64_t block[8];

        /* Word by word: a block that is moved whole goes through the stack. */
        for (int i = 0; i < 8; i++) {
            memcpy(&block[i], from + 8 * i, 8);
            block[i] ^= wide;
        }
        for (int i = 0; i < 8; i++)
            memcpy(to + 8 * i, &block[i], 8);
    }
    for (; size >= 8; size -= 8, from += 8, to += 8) {
        uint64_t word;

        memcpy(&word, from, 8);
        word ^= wide;
        memcpy(to, &word, 8);
    }
    /* 8 is a multiple of 4, so the phase is 0 again. */
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] ^ bytes[i & 3];
}

#endif

/*
 * The answer to a WebSocket handshake (RFC 6455, 4.2.2): SHA-1 and base64.
 */
#ifndef BENCHES_ACCEPT_H
#define BENCHES_ACCEPT_H

#include <stdint.h>
#include <string.h>

#define ACCEPT_SIZE 28
#define KEY_SIZE 24

static inline uint32_t rotate_left(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

/* One block of FIPS 180-4, 6.1.2. */
static void sha1_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4];
    for (int t = 0; t < 16; t++, block += 4)
        w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16
             | (uint32_t)block[2] << 8 | block[3];
    for (int t = 16; t < 80; t++)
        w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20)
            f = (b & c) | (~b & d), k = 0x5a827999;
        else if (t < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (t < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        uint32_t next = rotate_left(a, 5) + f + e + k + w[t];
        e = d, d = c, c = rotate_left(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Key and GUID are 60 bytes: with padding two blocks, always. */
static void accept_key(const char *key, char *to)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t state[5] = {
        0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t text[128] = {0}, digest[21];
    memcpy(text, key, KEY_SIZE);
    memcpy(text + KEY_SIZE, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    text[60] = 0x80;
    text[126] = 480 >> 8, text[127] = 480 & 255;
    sha1_block(state, text);
    sha1_block(state, text + 64);
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
    digest[20] = 0;
    for (int i = 0, at = 0; i < 21; i += 3, at += 4) {
        uint32_t bits = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8
                      | digest[i + 2];
        to[at] = letters[bits >> 18];
        to[at + 1] = letters[bits >> 12 & 63];
        to[at + 2] = letters[bits >> 6 & 63];
        to[at + 3] = i == 18 ? '=' : letters[bits & 63];
    }
}

#endif

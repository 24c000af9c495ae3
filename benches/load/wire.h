/*
 * Client connections: connect, shake hands, mask frames, count messages.
 */
#ifndef BENCHES_WIRE_H
#define BENCHES_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"
#include "tls.h"

#define READ_SIZE (256 * 1024)

typedef struct {
    int fd;
    void *tls;          /* NULL for a plain connection */
    uint32_t missing;   /* messages, or bytes of a response */
    uint32_t rounds;    /* that are left */
    uint64_t started;
    uint64_t skip;      /* payload bytes to pass over */
    uint8_t head[10];
    uint8_t have;       /* bytes of head */
} conn_t;

/* What a browser sends beside Host, so that the head has nine fields. */
static const char BROWSER_FIELDS[] =
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 "
    "Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: none\r\n";

/* Bytes since the measurement began, heads and handshakes of TLS left out. */
static uint64_t received;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Connect, and shake hands where it is encrypted. */
static void open_socket(conn_t *conn)
{
    struct sockaddr_in place = {AF_INET, htons((uint16_t)with.port), {0}, {0}};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A reset instead of a goodbye: no port stays occupied afterwards. */
    struct linger reset = {1, 0};
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&place, sizeof place))
        fail("connect");
    conn->fd = fd;
    conn->tls = tls_open(fd);
}

static void close_socket(conn_t *conn)
{
    if (conn->tls)
        tls_close(conn->tls);
    close(conn->fd);
}

static void put(conn_t *conn, const void *data, size_t size)
{
    const char *from = data;
    while (size) {
        ssize_t sent = socket_send(conn->fd, conn->tls, from, size);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd wait = {conn->fd, POLLOUT, 0};
            poll(&wait, 1, 1000);
        } else if (sent < 0) {
            fail("send");
        } else {
            from += sent, size -= (size_t)sent;
        }
    }
}

/* Build a masked frame; return its size. */
static size_t build_frame(uint8_t *to, int opcode, const void *payload, size_t size)
{
    static const uint8_t key[4] = {0x5a, 0x3c, 0x96, 0x0f};
    const uint8_t *from = payload;
    size_t used = 2;
    to[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        to[1] = (uint8_t)(0x80 | size);
    } else if (size < 65536) {
        to[1] = 0x80 | 126, to[2] = (uint8_t)(size >> 8), to[3] = (uint8_t)size;
        used = 4;
    } else {
        to[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            to[2 + i] = (uint8_t)(size >> (56 - 8 * i));
        used = 10;
    }
    memcpy(to + used, key, 4);
    used += 4;
    for (size_t i = 0; i < size; i++)
        to[used + i] = from[i] ^ key[i & 3];
    return used + size;
}

/* Count the data messages that end in these bytes; answer pings. */
static uint32_t scan_frames(conn_t *conn, const uint8_t *data, size_t size)
{
    uint32_t messages = 0;
    while (size) {
        if (conn->skip) {
            size_t part = size < conn->skip ? size : conn->skip;
            conn->skip -= part, data += part, size -= part;
            continue;
        }
        conn->head[conn->have++] = *data++;
        size--;
        if (conn->have < 2)
            continue;
        uint8_t length = conn->head[1] & 127;
        uint8_t wanted = length < 126 ? 2 : length == 126 ? 4 : 10;
        if (conn->have < wanted)
            continue;
        conn->skip = length;
        if (wanted > 2) {
            conn->skip = 0;
            for (int i = 2; i < wanted; i++)
                conn->skip = conn->skip << 8 | conn->head[i];
        }
        conn->have = 0;
        int opcode = conn->head[0] & 15;
        if (opcode == 9) {
            /* One that two reads part is answered without its payload. */
            uint8_t pong[140];
            size_t there = length <= size ? length : 0;
            put(conn, pong, build_frame(pong, 10, data, there));
        } else if (opcode == 8) {
            fprintf(stderr, "load: the server closed a connection\n");
            exit(1);
        } else if (conn->head[0] & 0x80) {
            messages++;
        }
    }
    return messages;
}

/* Size of the response that begins here; 0 while its head is incomplete. */
static size_t response_size(const char *data, size_t size)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    const char *field = end ? strcasestr(data, "\r\nContent-Length:") : NULL;
    if (!end)
        return 0;
    return (size_t)(end - data) + 4
         + (field && field < end ? strtoul(field + 17, NULL, 10) : 0);
}

/* Send a request on a blocking socket and read the whole response. */
static size_t ask(conn_t *conn, const void *request, size_t size)
{
    static char answer[READ_SIZE + 1];
    size_t got = 0, wanted;
    put(conn, request, size);
    do {
        ssize_t more = socket_recv(conn->fd, conn->tls, answer + got, READ_SIZE - got);
        if (more <= 0)
            fail("no answer");
        got += (size_t)more;
        answer[got] = 0;
        wanted = response_size(answer, got);
    } while (!wanted || got < wanted);
    if (memcmp(answer, "HTTP/1.1 2", 10) && memcmp(answer, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "load: %.*s\n", (int)strcspn(answer, "\r"), answer);
        exit(1);
    }
    if (got > wanted)
        scan_frames(conn, (uint8_t *)answer + wanted, got - wanted);
    return wanted;
}

static size_t build_request(char *to, size_t room)
{
    return (size_t)snprintf(
        to, room, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n%s\r\n", with.path,
        with.port, with.fields > 1 ? BROWSER_FIELDS : "");
}

static size_t build_upgrade(char *to, size_t room)
{
    return (size_t)snprintf(
        to, room,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
        with.path, with.port,
        with.deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "",
        with.header, *with.header ? "\r\n" : "");
}

#endif

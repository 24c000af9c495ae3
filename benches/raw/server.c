/*
 * The limit: what the work of a live server costs in C, with nothing around it.
 *
 * One epoll loop that speaks as much of HTTP/1.1 and RFC 6455 as the load
 * generator does. It trusts its peer, keeps no deadlines and no queues, and is
 * therefore no server; it is the denominator of every ratio.
 *
 *   GET                      the same 2 KiB for every path
 *   upgrade                  subscribes the connection
 *   text "publish M S HOW"   M messages of S bytes to every subscriber; HOW is
 *                            "separate" (a send for each) or "joined" (one send)
 *   any other message        echo; the replies of one read leave in one send
 *
 * Usage: server PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept.h"

#define READ_SIZE (256 * 1024)
#define OUT_SIZE (512 * 1024)
#define BODY_SIZE 2048
#define EVENTS 512

typedef struct {
    int fd;
    int is_websocket;
    uint32_t slot;      /* in subscribers */
    uint8_t *rest;      /* of a read that ended within a frame or head */
    size_t rest_size;
} conn_t;

static uint8_t input[2 * READ_SIZE];
static uint8_t out[OUT_SIZE];
static conn_t **subscribers;
static uint32_t count, capacity;
static char page[BODY_SIZE + 512];
static size_t page_size;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* The peers of a measurement read; whoever does not would stop everything. */
static void send_all(conn_t *conn, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t sent = send(conn->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd wait = {conn->fd, POLLOUT, 0};
            poll(&wait, 1, 1000);
        } else if (sent < 0) {
            return;
        } else {
            data += sent, size -= (size_t)sent;
        }
    }
}

static void subscribe(conn_t *conn)
{
    if (count == capacity) {
        capacity = capacity ? capacity * 2 : 1024;
        subscribers = realloc(subscribers, capacity * sizeof *subscribers);
        if (!subscribers)
            die("realloc");
    }
    conn->slot = count;
    subscribers[count++] = conn;
}

static void drop(conn_t *conn)
{
    if (conn->is_websocket) {
        subscribers[conn->slot] = subscribers[--count];
        subscribers[conn->slot]->slot = conn->slot;
    }
    close(conn->fd);
    free(conn->rest);
    free(conn);
}

static size_t put_head(uint8_t *to, int opcode, size_t size)
{
    to[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        to[1] = (uint8_t)size;
        return 2;
    }
    if (size < 65536) {
        to[1] = 126, to[2] = (uint8_t)(size >> 8), to[3] = (uint8_t)size;
        return 4;
    }
    to[1] = 127;
    for (int i = 0; i < 8; i++)
        to[2 + i] = (uint8_t)(size >> (56 - 8 * i));
    return 10;
}

static void publish(const char *text)
{
    static uint8_t *batch;
    static size_t batch_capacity;
    unsigned messages = 1, size = 0;
    char how[16] = "separate";
    sscanf(text, "publish %u %u %15s", &messages, &size, how);
    size_t used = 0, frame = 0, needed = (size_t)messages * (size + 10);
    if (needed > batch_capacity) {
        batch = realloc(batch, needed);
        if (!batch)
            die("realloc");
        batch_capacity = needed;
    }
    for (unsigned i = 0; i < messages; i++) {
        frame = put_head(batch + used, 1, size) + size;
        memset(batch + used + frame - size, 'x', size);
        used += frame;
    }
    if (!strcmp(how, "joined"))
        frame = used;
    for (size_t at = 0; at < used; at += frame)
        for (uint32_t i = count; i-- > 0;)
            send_all(subscribers[i], batch + at, frame);
}

/* 64 bits at a time; what the compiler makes of it is not the bottleneck. */
static void unmask(uint8_t *to, const uint8_t *data, size_t size, uint32_t key)
{
    uint64_t wide = (uint64_t)key << 32 | key, word;
    for (; size >= 8; size -= 8, to += 8, data += 8) {
        memcpy(&word, data, 8);
        word ^= wide;
        memcpy(to, &word, 8);
    }
    for (size_t i = 0; i < size; i++)
        to[i] = data[i] ^ (uint8_t)(key >> 8 * i);
}

/* Echo what is complete; return how much was taken, or -1 at a close frame. */
static ssize_t take_frames(conn_t *conn, const uint8_t *data, size_t size)
{
    size_t at = 0, used = 0;
    while (size - at >= 6) {
        const uint8_t *head = data + at;
        size_t length = head[1] & 127, head_size = 6;
        if (length == 126) {
            length = (size_t)head[2] << 8 | head[3], head_size = 8;
        } else if (length == 127) {
            if (size - at < 14)
                break;
            length = 0, head_size = 14;
            for (int i = 2; i < 10; i++)
                length = length << 8 | head[i];
        }
        if (size - at < head_size + length)
            break;
        uint32_t key;
        memcpy(&key, head + head_size - 4, 4);
        int opcode = head[0] & 15;
        if (opcode == 8)
            return -1;
        if (used + length + 11 > OUT_SIZE) {
            send_all(conn, out, used);
            used = 0;
        }
        size_t head_out = put_head(out + used, opcode, length);
        uint8_t *payload = out + used + head_out;
        unmask(payload, head + head_size, length, key);
        if (opcode == 1 && length > 8 && !memcmp(payload, "publish ", 8)) {
            payload[length] = 0;
            publish((const char *)payload);
        } else if (opcode != 10) {
            used += head_out + length;
        }
        at += head_size + length;
    }
    if (used)
        send_all(conn, out, used);
    return (ssize_t)at;
}

static void upgrade(conn_t *conn, const char *head)
{
    static const char key_field[] = "Sec-WebSocket-Key: ";
    char accept[ACCEPT_SIZE], answer[256];
    const char *key = strcasestr(head, key_field);
    if (!key)
        return;
    accept_key(key + sizeof key_field - 1, accept);
    int size = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: %.28s\r\n\r\n",
        accept);
    conn->is_websocket = 1;
    subscribe(conn);
    send_all(conn, (const uint8_t *)answer, (size_t)size);
}

/* Answer one head; return how much was taken. */
static size_t take_head(conn_t *conn, uint8_t *data, size_t size)
{
    uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    end[2] = 0;
    if (strcasestr((const char *)data, "\r\nUpgrade: websocket"))
        upgrade(conn, (const char *)data);
    else
        send_all(conn, (const uint8_t *)page, page_size);
    return (size_t)(end - data) + 4;
}

static int read_from(conn_t *conn)
{
    size_t size = conn->rest_size, at = 0;
    if (size) {
        memcpy(input, conn->rest, size);
        free(conn->rest);
        conn->rest = NULL, conn->rest_size = 0;
    }
    ssize_t got = recv(conn->fd, input + size, READ_SIZE, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        got = 0;
    else if (got <= 0)
        return -1;
    size += (size_t)got;
    while (at < size) {
        ssize_t taken = conn->is_websocket
                          ? take_frames(conn, input + at, size - at)
                          : (ssize_t)take_head(conn, input + at, size - at);
        if (taken < 0)
            return -1;
        if (taken == 0)
            break;
        at += (size_t)taken;
    }
    if (at < size) {
        conn->rest_size = size - at;
        conn->rest = malloc(conn->rest_size);
        if (!conn->rest)
            die("malloc");
        memcpy(conn->rest, input + at, conn->rest_size);
    }
    return 0;
}

static void accept_all(int epoll, int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn_t *conn = calloc(1, sizeof *conn);
        if (!conn)
            die("calloc");
        conn->fd = fd;
        struct epoll_event event = {EPOLLIN, {.ptr = conn}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port)
{
    struct sockaddr_in place = {AF_INET, htons((uint16_t)port), {0}, {0}};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&place, sizeof place) || listen(fd, 2048))
        die("listen");
    return fd;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct epoll_event events[EVENTS], event = {EPOLLIN, {.ptr = NULL}};
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    page_size = (size_t)snprintf(
        page, sizeof page,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
        "Content-Length: %d\r\n\r\n",
        BODY_SIZE);
    memset(page + page_size, 'x', BODY_SIZE);
    page_size += BODY_SIZE;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            conn_t *conn = events[i].data.ptr;
            if (!conn)
                accept_all(epoll, listener);
            else if (read_from(conn))
                drop(conn);
        }
    }
}

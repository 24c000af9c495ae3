/*
 * One connection as the walk of a topic sees it: its descriptor, why it cannot
 * take bytes right now, where it is a member, and the direct send. No Python.h.
 */
#ifndef BEAMFAST_CONN_H
#define BEAMFAST_CONN_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef MSG_NOSIGNAL /* macOS: socket_prepare() sets SO_NOSIGPIPE instead */
#define MSG_NOSIGNAL 0
#endif

/* Any flag keeps bytes from a direct send(2): they would overtake, or go nowhere. */
enum {
    CONN_LOST = 1,        /* no socket: not attached yet, or connection_lost() */
    CONN_CLOSING = 2,     /* close or abort has begun */
    CONN_DEAD = 4,        /* send(2) failed; the transport is being aborted */
    CONN_ENDED = 8,       /* the last bytes are written; nothing may follow */
    CONN_STALE = 16,      /* overflown: all topics pass it over until it has drained */
    CONN_PAUSED = 32,     /* the transport holds a backlog */
    CONN_QUEUED = 64,     /* the own queue is not empty */
    CONN_CORKED = 128,    /* writes gather until uncork() */
    CONN_INDIRECT = 256,  /* TLS, or no stream socket: through the transport only */
    CONN_DRAINING = 512,  /* a turn that drains the queue is scheduled or running */
    CONN_OVERFLOW = 1024, /* the queue is over budget, which settle() looks at */
    CONN_LAGS = 2048,     /* some membership is MEMBER_STALE */

    CONN_GONE = CONN_LOST | CONN_CLOSING | CONN_DEAD,
    CONN_MUTE = CONN_GONE | CONN_ENDED, /* takes no bytes at all */
    CONN_DEAF = CONN_MUTE | CONN_STALE, /* takes no topic data */
    CONN_WAITS = CONN_PAUSED | CONN_QUEUED
};

/* State of a membership: its topic passes it over until it got a fresh copy. */
enum { MEMBER_STALE = 1 };

struct lane;

typedef struct {
    struct lane *lane;
    uint32_t slot; /* index of the entry in the lane */
    uint32_t state;
} membership_t;

typedef struct {
    int fd; /* -1 while CONN_LOST; the only copy of the number */
    uint32_t flags;
    uint32_t count, capacity;
    membership_t *memberships;
    void *owner; /* the object around this struct; a membership holds a reference */
    membership_t inlined[2];
} conn_t;

static inline void conn_init(conn_t *conn, void *owner)
{
    memset(conn, 0, sizeof *conn);
    conn->fd = -1;
    conn->flags = CONN_LOST;
    conn->capacity = 2;
    conn->memberships = conn->inlined;
    conn->owner = owner;
}

/* Like send(2), but never blocks, signals or stops for EINTR. */
static inline ssize_t conn_send(const conn_t *conn, const char *data, size_t size)
{
    ssize_t sent;

    do
        sent = send(conn->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* After a failed conn_send(): 0 when the socket is only full, else why it is dead. */
static inline int conn_error(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM)
        return 0;
    return errno;
}

/*
 * Set the options of a subscriber's socket; those that a platform lacks are left
 * out. Return 1 when `fd` is a stream socket, which takes direct sends.
 */
static inline int socket_prepare(int fd, int notsent_lowat)
{
    int type = 0, on = 1;
    socklen_t size = sizeof type;

#ifdef TCP_NOTSENT_LOWAT
    /* What takes this is TCP. Unix sockets need it less: their buffers are small. */
    if (!setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_lowat,
                    sizeof notsent_lowat))
        type = SOCK_STREAM;
#endif
    if (!type && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
        return 0;
    if (type != SOCK_STREAM)
        return 0;
#ifdef SO_NOSIGPIPE
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    (void)notsent_lowat;
    (void)on;
    return 1;
}

#endif

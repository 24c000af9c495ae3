/*
 * Who listens: the array of one lane of a topic, and the walk that sends one
 * batch to all of it. No Python.h.
 *
 * An entry and its membership point at each other, so joining, leaving and
 * dropping everything are O(1) each. The walk goes down and the last entry
 * takes a leaver's place: entries below the cursor are exactly those that the
 * walk has not visited, whatever joins or leaves between two slices.
 */
#ifndef BEAMFAST_TOPIC_H
#define BEAMFAST_TOPIC_H

#include "conn.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define TOPIC_PREFETCH(address) __builtin_prefetch(address)
#else
#define TOPIC_PREFETCH(address) ((void)(address))
#endif

typedef struct lane lane_t;

typedef struct {
    conn_t *conn;
    uint32_t index; /* of the membership in the connection */
    uint32_t seen;  /* sequence number of the newest message taken care of */
} entry_t;

/* What happens to the messages of a lane that a peer is too slow for. */
enum { SLOW_CLOSE, SLOW_RESYNC, SLOW_DROP_OLDEST, SLOW_COALESCE };

struct lane {
    entry_t *entries;
    uint32_t count, capacity;
    uint32_t seq; /* of the newest message; wraps, compare by signed difference */
    int policy;
    int is_shared; /* messages refer to earlier ones: no member may miss one */
    int is_coded;  /* messages enter the peer's window: nothing between shared ones */
    void *owner;
    int (*catch_up)(lane_t *lane, uint32_t slot); /* send what the entry lacks */
    void (*emptied)(lane_t *lane);                /* the last entry has left */
    int (*refresh)(lane_t *lane, uint32_t slot);  /* a stale entry has drained */
    /* Move an entry to where messages stand alone; return that lane or NULL. */
    lane_t *(*withdraw)(lane_t *lane, uint32_t slot);
};

/* Where one message of a batch ends, and how many budget items there are so far. */
typedef struct {
    uint32_t end;
    uint32_t items;
} mark_t;

/* Several messages in one piece, with consecutive sequence numbers. */
typedef struct {
    const char *data;
    size_t size;
    uint32_t first, last;
    const mark_t *marks;
} frames_t;

/* A delivery that the walk could not finish with one send(2). */
typedef struct {
    conn_t *conn;
    size_t offset;  /* into the batch */
    int error;      /* errno of a connection that is gone, 0 otherwise */
} late_t;

typedef struct {
    uint32_t cursor; /* entries below it have not been visited */
    uint32_t sent;   /* send(2) calls that took everything */
    uint32_t late;   /* entries written to the late list */
} walk_t;

/* Return 0, or -1 when there is no memory (then nothing has changed). */
static inline int lane_join(lane_t *lane, conn_t *conn)
{
    if (lane->count == lane->capacity) {
        uint32_t capacity = lane->capacity ? lane->capacity * 2 : 4;
        entry_t *entries = realloc(lane->entries, capacity * sizeof *entries);

        if (!entries)
            return -1;
        lane->entries = entries;
        lane->capacity = capacity;
    }
    if (conn->count == conn->capacity) {
        uint32_t capacity = conn->capacity * 2;
        size_t size = capacity * sizeof(membership_t);
        int moved = conn->memberships == conn->inlined;
        membership_t *memberships = realloc(moved ? NULL : conn->memberships, size);

        if (!memberships)
            return -1;
        if (moved)
            memcpy(memberships, conn->inlined, sizeof conn->inlined);
        conn->memberships = memberships;
        conn->capacity = capacity;
    }
    lane->entries[lane->count] = (entry_t){conn, conn->count, lane->seq};
    conn->memberships[conn->count] = (membership_t){lane, lane->count, 0};
    lane->count++;
    conn->count++;
    return 0;
}

static inline void lane_leave(lane_t *lane, uint32_t slot)
{
    conn_t *conn = lane->entries[slot].conn;
    uint32_t index = lane->entries[slot].index;

    if (slot != --lane->count) {
        entry_t *moved = &lane->entries[slot];

        *moved = lane->entries[lane->count];
        moved->conn->memberships[moved->index].slot = slot;
    }
    if (index != --conn->count) {
        membership_t *moved = &conn->memberships[index];

        *moved = conn->memberships[conn->count];
        moved->lane->entries[moved->slot].index = index;
    }
    if (!conn->count && conn->memberships != conn->inlined) {
        free(conn->memberships);
        conn->memberships = conn->inlined;
        conn->capacity = 2;
    }
    if (!lane->count) {
        free(lane->entries);
        lane->entries = NULL;
        lane->capacity = 0;
    }
}

/* Whether an entry is passed over by its topic, with what it has not seen lost. */
static inline int entry_is_deaf(const entry_t *entry)
{
    const conn_t *conn = entry->conn;

    return conn->flags & CONN_DEAF ||
           (conn->flags & CONN_LAGS &&
            conn->memberships[entry->index].state & MEMBER_STALE);
}

/* The membership of `conn` in a lane, or NULL. */
static inline membership_t *conn_member(const conn_t *conn, const lane_t *lane)
{
    for (uint32_t index = 0; index < conn->count; index++)
        if (conn->memberships[index].lane == lane)
            return &conn->memberships[index];
    return NULL;
}

/* The state of a stale membership: the flag, and the newest message it has got. */
static inline uint32_t stale_after(uint32_t seq)
{
    return seq << 1 | MEMBER_STALE;
}

/* How many messages of its lane a stale membership has not got. */
static inline uint32_t stale_missed(const membership_t *membership)
{
    return (membership->lane->seq - (membership->state >> 1)) & UINT32_MAX >> 1;
}

/* Do not count the next message of its lane, which is not meant for it. */
static inline void stale_pass_over(membership_t *membership)
{
    if (membership->state & MEMBER_STALE)
        membership->state = stale_after((membership->state >> 1) + 1);
}

/* A membership that is stale, or NULL. */
static inline membership_t *conn_stale(const conn_t *conn)
{
    for (uint32_t index = 0; index < conn->count; index++)
        if (conn->memberships[index].state & MEMBER_STALE)
            return &conn->memberships[index];
    return NULL;
}

/* A membership in a lane whose messages refer to earlier ones, or NULL. */
static inline membership_t *conn_shared(const conn_t *conn)
{
    for (uint32_t index = 0; index < conn->count; index++)
        if (conn->memberships[index].lane->is_shared)
            return &conn->memberships[index];
    return NULL;
}

/* Whether a lane beside `except` sends what enters the peer's window. */
static inline int conn_is_coded(const conn_t *conn, const lane_t *except)
{
    for (uint32_t index = 0; index < conn->count; index++) {
        const lane_t *lane = conn->memberships[index].lane;

        if (lane != except && lane->is_coded)
            return 1;
    }
    return 0;
}

/* A membership whose topic has something that `conn` has not been sent, or NULL. */
static inline const membership_t *conn_behind(const conn_t *conn)
{
    for (uint32_t index = 0; index < conn->count; index++) {
        const membership_t *membership = &conn->memberships[index];
        const lane_t *lane = membership->lane;

        if (lane->entries[membership->slot].seen != lane->seq)
            return membership;
    }
    return NULL;
}

/* Offset of the first message after `seen`; `size` when there is none. */
static inline size_t frames_after(const frames_t *frames, uint32_t seen)
{
    if ((int32_t)(seen - frames->first) < 0)
        return 0;
    if ((int32_t)(seen - frames->last) >= 0)
        return frames->size;
    return frames->marks[seen - frames->first].end;
}

/* Budget items behind `offset`; a message that is cut there counts. */
static inline uint32_t frames_items(const frames_t *frames, size_t offset)
{
    uint32_t last = frames->last - frames->first, index = 0, before = 0;

    for (; index < last && frames->marks[index].end <= offset; index++)
        before = frames->marks[index].items;
    return frames->marks[last].items - before;
}

/* The slot above the next entry, downwards, that has not seen `newest`; 0 for none. */
static inline uint32_t lane_lacking(const lane_t *lane, uint32_t slot, uint32_t newest)
{
    const entry_t *entries = lane->entries;

    for (; slot >= 4; slot -= 4) {
        const entry_t *four = entries + slot - 4;

        if ((four[0].seen ^ newest) | (four[1].seen ^ newest) |
            (four[2].seen ^ newest) | (four[3].seen ^ newest))
            break;
    }
    while (slot && entries[slot - 1].seen == newest)
        slot--;
    return slot;
}

/*
 * Send `frames` to the entries below the cursor, at most `budget` of them.
 * `late` has room for `budget` elements. Calls nothing but send(2).
 */
static inline void lane_walk(lane_t *lane, const frames_t *frames, uint32_t budget,
                             walk_t *walk, late_t *late)
{
    uint32_t slot = walk->cursor < lane->count ? walk->cursor : lane->count;

    walk->sent = walk->late = 0;
    while (walk->sent + walk->late < budget) {
        slot = lane_lacking(lane, slot, frames->last);
        if (!slot)
            break;

        entry_t *entry = &lane->entries[--slot];
        conn_t *conn = entry->conn;
        size_t offset = frames_after(frames, entry->seen);
        size_t rest = frames->size - offset;
        ssize_t sent = 0;
        int error = 0;

        if (slot >= 8)
            TOPIC_PREFETCH(lane->entries[slot - 8].conn);
        if (!rest)
            continue;
        entry->seen = frames->last;
        if (!conn->flags) {
            sent = conn_send(conn, frames->data + offset, rest);
            if (sent == (ssize_t)rest) {
                walk->sent++;
                continue;
            }
            if (sent < 0) {
                error = conn_error();
                sent = 0;
            }
        } else if (entry_is_deaf(entry)) {
            continue;
        }
        late[walk->late++] = (late_t){conn, offset + (size_t)sent, error};
    }
    walk->cursor = slot;
}

#endif

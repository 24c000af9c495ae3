/*
 * What a connection still has to send: a first-in first-out queue of pieces that
 * it shares with other connections. Exists only while it is not empty. The owner
 * counts the references; no Python.h.
 */
#ifndef BEAMFAST_QUEUE_H
#define BEAMFAST_QUEUE_H

#include "topic.h"

typedef struct {
    void *content;
    size_t offset; /* where its unsent part begins, always between two frames */
    size_t size;   /* of the unsent part */
    void *source;  /* the lane that it came by, NULL for what was written */
    uint32_t items;
} piece_t;

typedef struct {
    piece_t *pieces;
    size_t bytes; /* of all pieces */
    uint64_t items;
    uint32_t head, count, capacity;
} queue_t;

/* What may wait; negative for nothing. */
typedef struct {
    int64_t bytes, items;
} budget_t;

/* Return 0, or -1 when there is no memory (then nothing has changed). */
static inline int queue_push(queue_t *queue, piece_t piece)
{
    if (queue->head + queue->count == queue->capacity) {
        /* Moving down costs less than one move per piece when half is free. */
        if (queue->head > queue->count) {
            memcpy(queue->pieces, queue->pieces + queue->head,
                   queue->count * sizeof piece);
            queue->head = 0;
        } else {
            uint32_t capacity = queue->capacity ? queue->capacity * 2 : 4;
            piece_t *pieces = realloc(queue->pieces, capacity * sizeof piece);

            if (!pieces)
                return -1;
            queue->pieces = pieces;
            queue->capacity = capacity;
        }
    }
    queue->pieces[queue->head + queue->count++] = piece;
    queue->bytes += piece.size;
    queue->items += piece.items;
    return 0;
}

/* Take out the oldest piece; the queue must not be empty. */
static inline piece_t queue_pop(queue_t *queue)
{
    piece_t piece = queue->pieces[queue->head++];

    queue->count--;
    queue->bytes -= piece.size;
    queue->items -= piece.items;
    return piece;
}

/* Take out the piece at `index`, counted from the oldest. */
static inline piece_t queue_remove(queue_t *queue, uint32_t index)
{
    piece_t *place = &queue->pieces[queue->head + index];
    piece_t piece = *place;

    if (!index)
        return queue_pop(queue);
    queue->count--;
    memmove(place, place + 1, (queue->count - index) * sizeof piece);
    queue->bytes -= piece.size;
    queue->items -= piece.items;
    return piece;
}

/* Put another piece in the place of one. */
static inline void queue_replace(queue_t *queue, uint32_t index, piece_t piece)
{
    piece_t *place = &queue->pieces[queue->head + index];

    queue->bytes += piece.size - place->size;
    queue->items += (uint64_t)piece.items - place->items;
    *place = piece;
}

/* Index of the first piece from `source` at or after `index`, else the count. */
static inline uint32_t queue_find(const queue_t *queue, const void *source,
                                  uint32_t index)
{
    while (index < queue->count &&
           queue->pieces[queue->head + index].source != source)
        index++;
    return index;
}

/* Whether more waits than so many quarters of a budget. */
static inline int queue_is_over(const queue_t *queue, const budget_t *budget,
                                int quarters)
{
    return 4 * (int64_t)queue->bytes > quarters * budget->bytes ||
           4 * (int64_t)queue->items > quarters * budget->items;
}

/* The lane of `conn` with most in the queue that may be left out, or NULL. */
static inline lane_t *queue_heaviest(const queue_t *queue, const conn_t *conn)
{
    lane_t *found = NULL;
    size_t most = 0;

    for (uint32_t index = 0; index < conn->count; index++) {
        lane_t *lane = conn->memberships[index].lane;
        size_t weight = 0;

        if (lane->policy == SLOW_CLOSE)
            continue;
        for (uint32_t at = 0; at < queue->count; at++) {
            const piece_t *piece = &queue->pieces[queue->head + at];

            if (piece->source == lane)
                weight += piece->size + piece->items;
        }
        if (weight > most) {
            most = weight;
            found = lane;
        }
    }
    return found;
}

/* The pieces from one source now count as those of another. */
static inline void queue_rename(queue_t *queue, const void *from, void *to)
{
    for (uint32_t index = 0; index < queue->count; index++) {
        piece_t *piece = &queue->pieces[queue->head + index];

        if (piece->source == from)
            piece->source = to;
    }
}

#endif

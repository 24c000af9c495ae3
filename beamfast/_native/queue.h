/*
 * What a connection still has to send: a first-in first-out queue of pieces that
 * it shares with other connections. Exists only while it is not empty. The owner
 * counts the references; no Python.h.
 */
#ifndef BEAMFAST_QUEUE_H
#define BEAMFAST_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    void *content;
    size_t offset; /* where its unsent part begins, always between two frames */
    size_t size;   /* of the unsent part */
    uint32_t items;
} piece_t;

typedef struct {
    piece_t *pieces;
    size_t bytes; /* of all pieces */
    uint64_t items;
    uint32_t head, count, capacity;
} queue_t;

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

static inline void queue_free(queue_t *queue)
{
    free(queue->pieces);
    free(queue);
}

#endif

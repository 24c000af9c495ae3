# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
What a slow connection still has to send, and how it becomes less.

A connection has a :class:`Backlog` only while bytes wait in front of its
transport. It refers to the batches of topics, which all slow connections share,
so a thousand of them that wait for the same megabyte hold one megabyte. What may
be left out is left out by whole messages.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t
from libc.stdlib cimport free


@cython.final
cdef class Batch:
    """Framed messages in one piece, shared by every connection that gets them."""

    def __dealloc__(self):
        PyMem_Free(self.marks)

    @staticmethod
    cdef Batch of(bytes content, uint32_t first, uint32_t count, mark_t *marks):
        """Take over ``marks``, one for each message, from PyMem_Malloc()."""
        cdef Batch batch = Batch.__new__(Batch)
        cdef const char *data = PyBytes_AS_STRING(content)
        batch.content = content
        batch.marks = marks
        batch.frames = frames_t(data, len(content), first, first + count - 1, marks)
        return batch

    cdef uint32_t index_at(self, size_t offset) noexcept:
        """Return the index of the message that begins at ``offset``."""
        cdef uint32_t index = 0
        while self.marks[index].end <= offset:
            index += 1
        return index

    cdef Batch part(self, list chosen):
        """Return some of its messages, by index."""
        cdef uint32_t index, item = 0, count = 0, items = 0
        cdef mark_t *marks = <mark_t *>PyMem_Malloc(len(chosen) * sizeof(mark_t))
        cdef size_t begin, end = 0
        cdef list contents = []
        cdef Batch batch
        if marks == NULL:
            raise MemoryError
        for index in chosen:
            begin = self.marks[index - 1].end if index else 0
            contents.append(self.content[begin:self.marks[index].end])
            end += self.marks[index].end - begin
            # The messages of one edit count once, whichever of them are left.
            items += 1 if self.marks[index].items != item else 0
            item = self.marks[index].items
            marks[count] = mark_t(end, items)
            count += 1
        batch = Batch.of(b"".join(contents), self.frames.first, count, marks)
        batch.keys = tuple([self.keys[index] for index in chosen])
        return batch


@cython.final
cdef class Backlog:
    """Pieces of shared bytes in order; each begins where a frame begins."""

    def __dealloc__(self):
        self.clear()
        free(self.queue.pieces)

    cdef int push(
        self, object content, size_t offset, uint32_t items, void *source
    ) except -1:
        """Add bytes, or a batch, from ``offset`` on; ``source`` is the lane."""
        cdef size_t size = PyBytes_GET_SIZE(bytes_of(content)) - offset
        cdef piece_t piece = piece_t(<void *>content, offset, size, source, items)
        if queue_push(&self.queue, piece):
            raise MemoryError
        Py_INCREF(content)
        return 0

    cdef object take(self, size_t limit):
        """Take whole pieces, at least one, so that the rest begins with a frame."""
        cdef size_t taken = 0
        cdef piece_t piece
        cdef list parts = []
        while self.queue.count and (
            not taken or taken + self.queue.pieces[self.queue.head].size <= limit
        ):
            piece = queue_pop(&self.queue)
            taken += piece.size
            parts.append(memoryview(bytes_of(<object>piece.content))[piece.offset:])
            Py_DECREF(<object>piece.content)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef void clear(self) noexcept:
        cdef piece_t piece
        while self.queue.count:
            piece = queue_pop(&self.queue)
            Py_DECREF(<object>piece.content)

    cdef verdict_t shrink(
        self, const conn_t *conn, const budget_t *budget, lane_t **lane
    ) except? FITS:
        """
        Leave out messages until the budget fits, as the lanes of ``conn`` want it.

        Returns:
            FITS_WITHOUT when it will fit without all of ``lane``, which needs a
            fresh copy then; FITS_NEVER when nothing may be left out.
        """
        while queue_is_over(&self.queue, budget, 4):
            lane[0] = queue_heaviest(&self.queue, conn)
            if lane[0] == NULL:
                return FITS_NEVER
            if lane[0].policy == SLOW_RESYNC:
                return FITS_WITHOUT
            if lane[0].policy == SLOW_DROP_OLDEST:
                self.drop_oldest(lane[0])
                self.drops += 1
                continue
            self.drops += self.coalesce(lane[0])
            # Room for a while, or each further message would cost as much.
            if queue_is_over(&self.queue, budget, 3):
                return FITS_NEVER
        return FITS

    cdef uint32_t forget(self, void *source) noexcept:
        """Leave out everything that came by a lane; return how many items it was."""
        cdef uint32_t index = queue_find(&self.queue, source, 0)
        cdef uint32_t items = 0
        cdef piece_t piece
        while index < self.queue.count:
            piece = queue_remove(&self.queue, index)
            items += piece.items
            Py_DECREF(<object>piece.content)
            index = queue_find(&self.queue, source, index)
        return items

    cdef void drop_oldest(self, void *source) noexcept:
        """Leave out the oldest message of a lane; there has to be one."""
        cdef uint32_t index = queue_find(&self.queue, source, 0)
        cdef piece_t piece = self.queue.pieces[self.queue.head + index]
        cdef size_t end
        cdef Batch batch
        if type(<object>piece.content) is Batch:
            batch = <Batch>piece.content
            end = batch.marks[batch.index_at(piece.offset)].end
            if end < batch.frames.size:
                piece.items = frames_items(&batch.frames, end)
                piece.offset, piece.size = end, batch.frames.size - end
                queue_replace(&self.queue, index, piece)
                return
        queue_remove(&self.queue, index)
        Py_DECREF(<object>piece.content)

    cdef uint32_t coalesce(self, void *source) except? 0xFFFFFFFF:
        """Leave out what a newer message of its key replaces; return how many."""
        cdef uint32_t index = self.queue.count
        cdef uint32_t dropped = 0
        cdef set newer = set()
        while index:
            index -= 1
            if self.queue.pieces[self.queue.head + index].source == source:
                dropped += self.coalesce_piece(index, newer)
        return dropped

    cdef uint32_t coalesce_piece(
        self, uint32_t index, set newer
    ) except? 0xFFFFFFFF:
        cdef piece_t piece = self.queue.pieces[self.queue.head + index]
        cdef Batch batch = <Batch?><object>piece.content
        cdef uint32_t start = batch.index_at(piece.offset)
        cdef uint32_t at = batch.frames.last - batch.frames.first + 1
        cdef uint32_t count = at - start
        cdef list kept = []
        while at > start:
            at -= 1
            if batch.keys[at] not in newer:
                newer.add(batch.keys[at])
                kept.append(at)
        if len(kept) == count:
            return 0
        if not kept:
            queue_remove(&self.queue, index)
            Py_DECREF(batch)
            return count
        part = batch.part(kept[::-1])
        piece.content, piece.offset = <void *>part, 0
        piece.size, piece.items = part.frames.size, frames_items(&part.frames, 0)
        Py_INCREF(part)
        queue_replace(&self.queue, index, piece)
        Py_DECREF(batch)
        return count - len(kept)


cdef bytes bytes_of(object content):
    """Return the bytes of what a backlog takes."""
    return (<Batch>content).content if type(content) is Batch else <bytes>content

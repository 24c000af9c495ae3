# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Lanes: the subscribers of a topic that get the same bytes, and the walk to them.

What is published joins the open run; the tick freezes it into a batch and walks
the subscribers, one send each. Every one gets every message once and in order,
whoever joins, leaves, writes or lags meanwhile: an entry carries the number of the
newest message that has been taken care of.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from beamfast._backlog cimport (
    SLOW_CLOSE,
    SLOW_COALESCE,
    SLOW_DROP_OLDEST,
    SLOW_RESYNC,
    Batch,
    entry_t,
    frames_after,
    frames_items,
    lane_t,
    mark_t,
    membership_t,
)
from beamfast._outbound cimport Outbound, conn_member, lane_leave


cdef enum:
    # A run is closed at this size; a larger message is a batch of its own.
    RUN_BYTES = 128 * 1024
    RUN_MESSAGES = 256
    OWN_BATCH = 16 * 1024
    # The kernel copies these in the time that a send takes by itself.
    SEND_BYTES = 16 * 1024


@cython.final
cdef class Counters:
    """
    What was published.

    Attributes:
        messages: how many; on a topic, the sequence number of the newest.
        encodes: how often a wire form was called.
        compressions: how often a message was compressed.
        deliveries: messages times the subscribers that they were meant for.
        delivered_bytes: bytes of these deliveries.
    """

    cdef void published(self, uint64_t encodes) noexcept:
        self.messages += 1
        self.encodes += encodes

    cdef void delivered(self, uint64_t deliveries, uint64_t size) noexcept:
        self.deliveries += deliveries
        self.delivered_bytes += deliveries * size


@cython.final
cdef class Lane:
    """The subscribers of a topic that get the same bytes."""

    def __cinit__(self, topic, Turns turns, tuple key, int policy, coder):
        self.lane.owner = <void *>self
        self.lane.catch_up = catch_up
        self.lane.policy = policy
        self.topic = topic
        self.turns = turns
        self.key = key
        self.wire_form, self.filters = key[:2]
        self.coder = coder
        self.messages = []
        self.batches = []
        if policy == SLOW_COALESCE:
            self.keys = []

    def __dealloc__(self):
        cdef PyObject *member
        # Only when the whole registry is dropped while it still has subscribers.
        while self.lane.count:
            member = <PyObject *>self.lane.entries[0].conn.owner
            lane_leave(&self.lane, 0)
            Py_DECREF(<object>member)
        PyMem_Free(self.marks)

    cdef bint is_busy(self) noexcept:
        """Tell whether anything was published that has not been sent to all."""
        return self.run_count or len(self.batches)

    cdef bint is_concerned(self, object matched) except -1:
        return not self.filters or not self.filters.isdisjoint(matched)

    cdef entry_t *entry_of(self, Outbound member) noexcept:
        """Return the entry of ``member``, NULL when it has none."""
        cdef const membership_t *membership = conn_member(&member.conn, &self.lane)
        return NULL if membership == NULL else &self.lane.entries[membership.slot]

    # Publishing.

    cdef int64_t chase(self, list members) except -1:
        """Send those of ``members`` that are in here what they lack; count them."""
        cdef Outbound member
        cdef int64_t count = 0
        for member in members:
            if self.entry_of(member) != NULL:
                member.catch_up()
                count += self.entry_of(member) != NULL
        return count

    cdef int pass_over(self, list members) except -1:
        """
        Leave ``members`` without the newest message.

        The number that an entry has seen can skip that one only: :meth:`chase` first.
        """
        cdef Outbound member
        cdef membership_t *membership
        for member in members:
            membership = conn_member(&member.conn, &self.lane)
            if membership != NULL:
                self.lane.entries[membership.slot].seen = self.lane.seq
                stale_pass_over(membership)
        return 0

    cdef int append(self, bytes message, bint same_item, object key) except -1:
        """Add a message to the open run; ``same_item`` costs no budget item."""
        cdef Py_ssize_t size = len(message)
        cdef uint32_t items = 0
        if (
            self.run_size + size > RUN_BYTES
            or self.run_count == RUN_MESSAGES
            or size > OWN_BATCH
        ):
            self.freeze()
        if self.run_count == self.run_capacity:
            self.run_capacity = self.run_capacity * 2 if self.run_capacity else 4
            marks = PyMem_Realloc(self.marks, self.run_capacity * sizeof(mark_t))
            if marks == NULL:
                raise MemoryError
            self.marks = <mark_t *>marks
        self.messages.append(message)
        if self.keys is not None:
            self.keys.append(key)
        if self.run_count:
            items = self.marks[self.run_count - 1].items
        self.run_size += size
        items += 0 if same_item and self.run_count else 1
        self.marks[self.run_count] = mark_t(self.run_size, items)
        self.run_count += 1
        self.lane.seq += 1
        if size > OWN_BATCH:
            self.freeze()
        return 0

    cdef int freeze(self) except -1:
        """Turn the open run into a batch that every subscriber shares."""
        cdef mark_t *marks = self.marks
        cdef uint32_t count = self.run_count
        if not count:
            return 0
        content = self.messages[0] if count == 1 else b"".join(self.messages)
        self.messages.clear()
        self.marks = NULL
        self.run_count = self.run_capacity = 0
        self.run_size = 0
        batch = Batch.of(content, self.lane.seq - count + 1, count, marks)
        if self.keys is not None:
            batch.keys = tuple(self.keys)
            self.keys.clear()
        self.batches.append(batch)
        return 0

    cdef object open_tail(self, uint32_t count):
        """Return the last messages of the open run, bytes or, to be cut, a batch."""
        cdef uint32_t index, start = self.run_count - count
        cdef mark_t before = self.marks[start - 1] if start else mark_t(0, 0)
        cdef mark_t *marks
        content = b"".join(self.messages[start:])
        if self.lane.policy < SLOW_DROP_OLDEST:
            return content
        marks = <mark_t *>PyMem_Malloc(count * sizeof(mark_t))
        if marks == NULL:
            raise MemoryError
        for index in range(count):
            marks[index].end = self.marks[start + index].end - before.end
            marks[index].items = self.marks[start + index].items - before.items
        batch = Batch.of(content, self.lane.seq - count + 1, count, marks)
        if self.keys is not None:
            batch.keys = tuple(self.keys[start:])
        return batch

    # The walk.

    cdef int begin_turn(self) except -1:
        self.listed = False
        self.next = None
        self.freeze()
        self.turn_end = self.lane.seq
        return 0

    cdef bint turn_is_over(self) noexcept:
        cdef Batch batch
        if not self.batches:
            return True
        # What was published after the turn had begun waits for the next one, as
        # other topics may have been published on in between.
        batch = <Batch>self.batches[0]
        return <int32_t>(batch.frames.first - self.turn_end) > 0

    cdef uint32_t weight(self) noexcept:
        """Return how many small sends take as long as one of the oldest batch."""
        cdef Batch batch = <Batch>self.batches[0]
        return 1 + batch.frames.size // SEND_BYTES

    cdef uint32_t walk(self, uint32_t budget) except? 0xFFFFFFFF:
        """Walk on with the oldest batch; return how many sends that took."""
        cdef Batch batch = <Batch>self.batches[0]
        cdef late_t late[SLICE]
        cdef walk_t walk
        walk.cursor = self.cursor if self.walking else self.lane.count
        with nogil:
            lane_walk(&self.lane, &batch.frames, budget, &walk, late)
        self.cursor = walk.cursor
        self.walking = walk.cursor > 0
        if not self.walking:
            del self.batches[0]
        if walk.late:
            self.finish(batch, late, walk.late)
        return walk.sent + walk.late

    cdef int finish(self, Batch batch, late_t *late, uint32_t count) except -1:
        """Do what a slice could not: sockets that are full, slow, corked, broken."""
        cdef uint32_t index, items
        cdef Outbound member
        for index in range(count):
            Py_INCREF(<object>late[index].conn.owner)
        for index in range(count):
            member = <Outbound>late[index].conn.owner
            items = frames_items(&batch.frames, late[index].offset)
            if late[index].error:
                member.doom()
            elif member.conn.flags:
                member.put(batch, late[index].offset, items, &self.lane)
            else:
                member.pass_on(batch, late[index].offset, items, &self.lane)
        # Not before all of them have got theirs: this may call anything.
        for index in range(count):
            member = <Outbound>late[index].conn.owner
            member.settle()
            Py_DECREF(member)
        return 0


@cython.final
cdef class Turns:
    """
    The lanes with something to send, in the order in which they get their turn.

    By default what a loop turn publishes on a topic leaves at the place of its first
    message there. ``is_ordered`` keeps the order of all messages: what comes back to
    a topic after another one leaves behind that, in a batch of its own.
    """

    def __cinit__(self, bint is_ordered):
        self.is_ordered = is_ordered
        self.sealed = []

    cdef bint is_empty(self) noexcept:
        return self.current is None and self.first is None and not self.sealed

    cdef int follow(self, object topic, object lanes) except -1:
        """Get ready for a message of ``topic`` in these of its lanes."""
        cdef Lane lane
        if self.newest is not topic:
            self.newest = topic
            self.group += 1
        for lane in lanes:
            # Its open run may be ahead of what others have published since.
            if lane.listed and lane.group != self.group:
                self.seal()
            lane.group = self.group
        return 0

    cdef int seal(self) except -1:
        """Give every lane of the list a turn of its own for what it has by now."""
        cdef Lane lane
        while self.first is not None:
            lane = self.first
            lane.freeze()
            self.sealed.append((lane, lane.lane.seq))
            self.first = lane.next
            lane.next = None
            lane.listed = False
        self.last = None
        return 0

    cdef int unseal(self) except -1:
        """Give the oldest sealed turn to its lane."""
        self.current, self.current.turn_end = self.sealed[self.unsealed]
        self.unsealed += 1
        # Not one by one: each would move all that are behind it.
        if self.unsealed * 2 >= len(self.sealed):
            del self.sealed[:self.unsealed]
            self.unsealed = 0
        return 0

    cdef int add(self, Lane lane) except -1:
        lane.listed = True
        if self.first is None:
            self.first = lane
        else:
            self.last.next = lane
        self.last = lane
        return 0

    cdef Lane due(self):
        """Return the lane that has something to send now, None when none has."""
        while True:
            if self.current is None:
                if self.sealed:
                    self.unseal()
                elif self.first is not None:
                    self.current = self.first
                    self.first = self.current.next
                    if self.first is None:
                        self.last = None
                    self.current.begin_turn()
                else:
                    return None
            if not self.current.turn_is_over():
                return self.current
            self.current = None

    cdef int catch_up(self, Outbound member) except -1:
        """Send one subscriber what it has not seen of any lane, in their order."""
        cdef const membership_t *membership
        cdef list turns = self.sealed[self.unsealed:]
        cdef Lane lane = self.current
        if lane is not None:
            turns.insert(0, (lane, lane.turn_end))
        lane = self.first
        while lane is not None:
            turns.append((lane, lane.lane.seq))
            lane = lane.next
        for lane, end in turns:
            membership = conn_member(&member.conn, &lane.lane)
            if membership != NULL:
                catch_up_to(&lane.lane, membership.slot, end)
        return 0


cdef int catch_up(lane_t *lane, uint32_t slot) except -1:
    """Send one subscriber what it has not seen, ahead of the walk."""
    cdef Turns turns = (<Lane>lane.owner).turns
    if turns.is_ordered:
        return turns.catch_up(<Outbound>lane.entries[slot].conn.owner)
    return catch_up_to(lane, slot, lane.seq)


cdef int catch_up_to(lane_t *lane, uint32_t slot, uint32_t end) except -1:
    cdef Lane self = <Lane>lane.owner
    cdef Outbound member = <Outbound>lane.entries[slot].conn.owner
    cdef uint32_t seen = lane.entries[slot].seen
    cdef uint32_t tail = 0
    cdef uint32_t items = 0
    cdef size_t offset
    cdef Batch batch
    cdef object rest = None
    if <int32_t>(end - seen) <= 0:
        return 0
    lane.entries[slot].seen = end
    if entry_is_deaf(&lane.entries[slot]):
        return 0
    if end == lane.seq:
        tail = min(end - seen, self.run_count)
    if tail:
        rest = self.open_tail(tail)
        items = self.marks[self.run_count - 1].items
        if tail < self.run_count:
            items -= self.marks[self.run_count - tail - 1].items
    for batch in tuple(self.batches):
        if <int32_t>(batch.frames.first - end) > 0:
            break
        offset = frames_after(&batch.frames, seen)
        if offset < batch.frames.size:
            member.put(batch, offset, frames_items(&batch.frames, offset), lane)
    if rest is not None:
        member.put(rest, 0, items, lane)
    return 0


cdef int policy_of(str name, object refresh) except -1:
    if (name == "resync") != (refresh is not None):
        raise ValueError("resync, and nothing else, needs refresh")
    if name == "close":
        return SLOW_CLOSE
    if name == "resync":
        return SLOW_RESYNC
    if name == "drop-oldest":
        return SLOW_DROP_OLDEST
    if name == "coalesce":
        return SLOW_COALESCE
    raise ValueError(f"{name!r} is no policy for slow consumers")

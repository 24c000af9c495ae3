# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Topics, and the tick that sends what one loop turn published on them.

A topic has one lane for each wire form and set of filters. What is published
joins the lane's open run; once per loop turn the tick freezes it into a batch
and walks the subscribers, one send each, in slices so that everything else gets
its turn. Every subscriber gets every message once and in order, whoever joins,
leaves, writes or lags meanwhile: an entry carries the number of the newest
message that has been taken care of. What a message is, only wire forms know.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, uint32_t, uint64_t

from beamfast._outbound cimport CONN_DEAF, CONN_MUTE, Batch, LoopState, Outbound
from beamfast._outbound cimport entry_t, lane_leave, lane_t, lane_walk, late_t
from beamfast._outbound cimport frames_after, frames_items, mark_t, walk_t


cdef enum:
    # Sends in one loop turn: about a millisecond.
    SLICE = 256
    # A run is closed at this size; a larger message is a batch of its own.
    RUN_BYTES = 64 * 1024
    RUN_MESSAGES = 256
    OWN_BATCH = 16 * 1024


@cython.final
cdef class Lane:
    """The subscribers of a topic that get the same bytes."""

    def __cinit__(self, Topic topic, wire_form, frozenset filters):
        self.lane.owner = <void *>self
        self.lane.catch_up = catch_up
        self.lane.emptied = emptied
        self.topic = topic
        self.wire_form = wire_form
        self.filters = filters
        self.messages = []
        self.batches = []

    def __dealloc__(self):
        cdef PyObject *member
        # Only when the whole registry is dropped while it still has subscribers.
        while self.lane.count:
            member = <PyObject *>self.lane.entries[0].conn.owner
            lane_leave(&self.lane, 0)
            Py_DECREF(<object>member)
        PyMem_Free(self.marks)

    cdef bint is_concerned(self, object matched) except -1:
        return not self.filters or not self.filters.isdisjoint(matched)

    cdef entry_t *entry_of(self, Outbound member) noexcept:
        """Return the entry of ``member``, which has been found to have one."""
        cdef uint32_t index
        for index in range(member.conn.count):
            if member.conn.memberships[index].lane == &self.lane:
                return &self.lane.entries[member.conn.memberships[index].slot]
        return NULL

    # Publishing.

    cdef int append(self, bytes message, bint same_item) except -1:
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
        content = b"".join(self.messages)
        self.messages.clear()
        self.marks = NULL
        self.run_count = self.run_capacity = 0
        self.run_size = 0
        self.batches.append(
            Batch.of(content, self.lane.seq - count + 1, count, marks)
        )
        return 0

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
                member.put(batch, late[index].offset, items)
            else:
                member.pass_on(batch, late[index].offset, items)
        # Not before all of them have got theirs: this may call anything.
        for index in range(count):
            member = <Outbound>late[index].conn.owner
            member.settle()
            Py_DECREF(member)
        return 0


cdef int catch_up(lane_t *lane, uint32_t slot) except -1:
    """Send one subscriber what it has not seen, ahead of the walk."""
    cdef Lane self = <Lane>lane.owner
    cdef Outbound member = <Outbound>lane.entries[slot].conn.owner
    cdef uint32_t seen = lane.entries[slot].seen
    cdef uint32_t tail = min(lane.seq - seen, self.run_count)
    cdef uint32_t items = 0
    cdef size_t offset
    cdef Batch batch
    cdef bytes rest = None
    lane.entries[slot].seen = lane.seq
    if member.conn.flags & CONN_DEAF:
        return 0
    if tail:
        rest = b"".join(self.messages[self.run_count - tail:])
        items = self.marks[self.run_count - 1].items
        if tail < self.run_count:
            items -= self.marks[self.run_count - tail - 1].items
    for batch in tuple(self.batches):
        offset = frames_after(&batch.frames, seen)
        if offset < batch.frames.size:
            member.put(batch, offset, frames_items(&batch.frames, offset))
    if rest is not None:
        member.put(rest, 0, items)
    return 0


cdef void emptied(lane_t *lane) noexcept:
    cdef Lane self = <Lane>lane.owner
    self.topic.release(self)


@cython.final
cdef class Counters:
    """
    What was published.

    Attributes:
        messages: how many; on a topic, the sequence number of the newest.
        encodes: how often a wire form was called.
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
cdef class Topic:
    """
    One name and who listens; ``len()`` says how many.

    Attributes:
        name: what publishers and subscribers call it.
        counters: since its first subscriber.
    """

    def __cinit__(self, str name, TopicRegistry registry):
        self.name = name
        self.registry = registry
        self.by_key = {}
        self.lanes = ()
        self.counters = Counters()

    def __len__(self) -> int:
        cdef Lane lane
        cdef Py_ssize_t count = 0
        for lane in self.lanes:
            count += lane.lane.count
        return count

    @property
    def filters(self) -> frozenset:
        """Every filter that a subscriber has; a publisher says which of them match."""
        cdef Lane lane
        if self.union is None:
            self.union = frozenset().union(*[lane.filters for lane in self.lanes])
        return self.union

    cdef Lane lane_of(self, Outbound member):
        """Return the lane that ``member`` is in; there is at most one."""
        cdef uint32_t index
        cdef Lane lane
        for index in range(member.conn.count):
            lane = <Lane>member.conn.memberships[index].lane.owner
            if lane.topic is self:
                return lane
        return None

    cdef Lane lane_for(self, object wire_form, frozenset filters):
        key = (wire_form, filters)
        lane = self.by_key.get(key)
        if lane is None:
            lane = self.by_key[key] = Lane.__new__(Lane, self, wire_form, filters)
            self.lanes = tuple(self.by_key.values())
            self.union = None
        return lane

    cdef int release(self, Lane lane) except -1:
        """Forget an empty lane, and with the last one the topic."""
        del self.by_key[lane.wire_form, lane.filters]
        self.lanes = tuple(self.by_key.values())
        self.union = None
        if not self.lanes:
            del self.registry.by_name[self.name]
        return 0


@cython.final
cdef class TopicRegistry:
    """
    All topics of one event loop.

    Args:
        loop: runs the tick; every call has to come from its thread.
        state: what the connections were attached with; made when None.

    Attributes:
        state: pass it to :meth:`Outbound.attach`.
        counters: of all topics.
        sends: batches sent or queued, one for each subscriber and turn.
    """

    def __cinit__(self, loop, LoopState state=None):
        self.loop = loop
        self.state = LoopState(loop) if state is None else state
        self.by_name = {}
        self.counters = Counters()

    def subscribe(
        self,
        Outbound subscriber not None,
        str name not None,
        wire_form,
        frozenset filters=frozenset(),
    ) -> bool:
        """
        Send ``subscriber`` what is published on a topic from now on.

        Whoever is subscribed already moves to the other wire form or filters
        without a gap or a repeat.

        Args:
            wire_form: called as ``wire_form(message)``, returns the framed bytes.
                Subscribers with the same callable share them.
            filters: only messages that match one of these; empty for all.

        Returns:
            False when the connection takes no more bytes: it is closing or gone.

        Raises:
            RuntimeError: a message in fragments is on its way to it.
        """
        cdef Topic topic
        cdef Lane lane, former
        if subscriber.conn.flags & CONN_MUTE:
            return False
        if subscriber.is_mid_message:
            raise RuntimeError("subscribed inside a fragmented message")
        topic = self.by_name.get(name)
        if topic is None:
            topic = self.by_name[name] = Topic.__new__(Topic, name, self)
        former = topic.lane_of(subscriber)
        lane = topic.lane_for(wire_form, filters)
        if former is not lane:
            if former is not None:
                subscriber.catch_up()
            # First in, then out, or the topic might vanish between the two.
            subscriber.join(&lane.lane)
            if former is not None:
                subscriber.leave(&former.lane)
            subscriber.settle()
        return True

    def unsubscribe(self, Outbound subscriber not None, str name not None) -> bool:
        """Send what was published so far and no more; False for no subscriber."""
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane = None if topic is None else topic.lane_of(subscriber)
        if lane is None:
            return False
        subscriber.catch_up()
        subscriber.leave(&lane.lane)
        subscriber.settle()
        return True

    def publish(
        self,
        str name not None,
        message,
        *,
        matched=frozenset(),
        Outbound exclude=None,
        bint same_item=False,
    ) -> int:
        """
        Send ``message`` to every subscriber of a topic that it concerns.

        It leaves at the end of the loop turn, in one send with what else the turn
        publishes there. Each wire form encodes it at most once; an empty encoding
        is not sent.

        Args:
            matched: the filters that the message matches.
            exclude: a subscriber that does not get it.
            same_item: this and the message before belong to one edit, which
                counts as one item in the queue of a slow subscriber.

        Returns:
            the number of subscribers of the topic, whatever their filters.

        Raises:
            Exception: whatever a wire form raised; then nobody gets the message.
        """
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane
        cdef dict encoded = {}
        cdef list concerned = []
        if topic is None:
            return 0
        for lane in topic.lanes:
            if lane.is_concerned(matched):
                concerned.append(lane)
                if lane.wire_form not in encoded:
                    encoded[lane.wire_form] = <bytes?>lane.wire_form(message)
        topic.counters.published(len(encoded))
        self.counters.published(len(encoded))
        for lane in concerned:
            self.deliver(lane, encoded[lane.wire_form], exclude, same_item)
        if exclude is not None:
            exclude.settle()
        return len(topic)

    cdef int deliver(
        self, Lane lane, bytes message, Outbound exclude, bint same_item
    ) except -1:
        cdef bint excluded = exclude is not None and lane.entry_of(exclude) != NULL
        cdef uint64_t deliveries
        if excluded:
            # The number that an entry has seen can skip the next message only.
            exclude.catch_up()
            excluded = lane.entry_of(exclude) != NULL
        deliveries = lane.lane.count - excluded
        if not message or not deliveries:
            return 0
        lane.append(message, same_item)
        if excluded:
            lane.entry_of(exclude).seen = lane.lane.seq
        lane.topic.counters.delivered(deliveries, len(message))
        self.counters.delivered(deliveries, len(message))
        if not lane.listed:
            self.enlist(lane)
        return 0

    cdef int enlist(self, Lane lane) except -1:
        lane.listed = True
        if self.first is None:
            self.first = lane
        else:
            self.last.next = lane
        self.last = lane
        # Once per loop turn, so what one turn publishes leaves together.
        return 0 if self.armed else self.arm()

    cdef int arm(self) except -1:
        self.armed = True
        self.loop.call_soon(self._tick)
        return 0

    def _tick(self):
        cdef uint32_t budget = SLICE
        cdef uint32_t used
        cdef Lane lane
        self.armed = False
        try:
            while budget:
                if self.current is None:
                    if self.first is None:
                        break
                    self.current = self.first
                    self.first = self.current.next
                    self.current.begin_turn()
                lane = self.current
                if lane.turn_is_over():
                    self.current = None
                    continue
                used = lane.walk(budget)
                self.sends += used
                budget -= used
        finally:
            if self.first is None:
                self.last = None
            if not self.armed and (self.current or self.first) is not None:
                self.arm()

    def subscribers(self, str name not None) -> int:
        """Return how many connections are subscribed to a topic."""
        topic = self.by_name.get(name)
        return 0 if topic is None else len(topic)

    def topic(self, str name not None):
        """Return the topic of that name, None when nobody is subscribed."""
        return self.by_name.get(name)

    def topics_of(self, Outbound subscriber not None) -> list:
        """Return the names of the topics that a connection is subscribed to."""
        cdef uint32_t index
        return [
            (<Lane>subscriber.conn.memberships[index].lane.owner).topic.name
            for index in range(subscriber.conn.count)
        ]

    def topics(self) -> list:
        """Return the names of all topics that have subscribers."""
        return list(self.by_name)


def has_topics(Outbound subscriber not None) -> bool:
    """Tell whether a connection is subscribed to anything."""
    return subscriber.conn.count != 0

# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
All topics of a process, and the tick that sends what one loop turn published.

Once per loop turn the tick walks the lanes that something was published on, in
slices so that everything else gets its turn. What a message is, only wire forms
know.
"""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from beamfast._backlog cimport membership_t
from beamfast._lanes cimport SLICE, Counters, Lane, Turns, policy_of
from beamfast._outbound cimport Outbound, conn_member, conn_stale, stale_missed
from beamfast._topic cimport WAITING, Topic
from beamfast._wire cimport CONN_LAGS, CONN_MUTE, CONN_WAITS, MEMBER_STALE, LoopState


@cython.final
cdef class TopicRegistry:
    """
    All topics of one event loop.

    Args:
        loop: runs the tick; every call has to come from its thread.
        state: what the connections were attached with; made when None.
        ordered: a connection gets the messages of all its topics in the order in
            which they were published; otherwise one topic after the other.

    Attributes:
        state: pass it to :meth:`Outbound.attach`.
        counters: of all topics.
        sends: batches sent or queued, one for each subscriber and turn.
    """

    def __cinit__(self, loop, LoopState state=None, *, bint ordered=False):
        self.loop = loop
        self.call_soon = loop.call_soon
        self.turns = Turns.__new__(Turns, ordered)
        self.state = LoopState(loop) if state is None else state
        self.by_name = {}
        self.counters = Counters()

    def subscribe(
        self,
        Outbound subscriber not None,
        str name not None,
        wire_form,
        frozenset filters=frozenset(),
        *,
        str slow_consumer not None="close",
        refresh=None,
    ) -> bool:
        """
        Send ``subscriber`` what is published on a topic from now on.

        Whoever is subscribed already moves to the other wire form or filters
        without a gap or a repeat.

        Args:
            wire_form: called as ``wire_form(message)``, returns the framed bytes.
                Subscribers with the same callable share them.
            filters: only messages that match one of these; empty for all.
            slow_consumer: what happens to a subscriber with more waiting than its
                budget: ``close``; ``resync``, leave out all that waits and send a
                fresh copy; ``drop-oldest``, leave out the oldest messages;
                ``coalesce``, leave out what a newer message of its key replaces.
            refresh: for resync: called as ``refresh(subscriber, name, wire_form)``
                when nothing waits any more; calls :meth:`resume` then or later, and
                may ask :meth:`missed` before.

        Returns:
            False when the connection takes no more bytes: it is closing or gone.

        Raises:
            RuntimeError: a message in fragments is on its way to it.
            ValueError: there is no such policy, ``refresh`` does not fit, or the
                connection is on another event loop.
        """
        cdef Topic topic
        cdef Lane lane, former
        cdef int policy = policy_of(slow_consumer, refresh)
        cdef tuple key
        if subscriber.state is not None and subscriber.state.loop is not self.loop:
            raise ValueError(
                "the connection is on another event loop: publish to that one's topics"
            )
        if subscriber.conn.flags & CONN_MUTE:
            return False
        if subscriber.is_mid_message:
            raise RuntimeError("subscribed inside a fragmented message")
        topic = self.by_name.get(name)
        if topic is None:
            topic = self.by_name[name] = Topic.__new__(
                Topic, name, self.by_name, self.turns
            )
        key = (wire_form, filters, slow_consumer, refresh, subscriber.coding)
        former = topic.lane_of(subscriber)
        if former is None or former.key != key:
            lane = topic.lane_for(subscriber, former, key, policy)
            if lane.lane.is_coded and not lane.lane.is_shared:
                # A peer has one window, whatever it is subscribed to.
                subscriber.leave_epochs()
                former = topic.lane_of(subscriber)
            if former is None:
                subscriber.join(&lane.lane)
            else:
                topic.move(subscriber, former, lane)
        subscriber.settle()
        return True

    def unsubscribe(self, Outbound subscriber not None, str name not None) -> bool:
        """Send what was published so far and no more; False for no subscriber."""
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane = None if topic is None else topic.lane_of(subscriber)
        if lane is None:
            return False
        subscriber.catch_up()
        subscriber.leave(&lane.lane, NULL)
        subscriber.settle()
        return True

    def resume(
        self, Outbound subscriber not None, str name not None, bytes copy not None
    ) -> bool:
        """
        Send a fresh copy in place of what was left out, and go on from here.

        Args:
            copy: framed bytes that tell what everything published so far led to.

        Returns:
            False, and nothing was sent: nothing was left out, the connection
            is gone, or earlier bytes wait again; then ``refresh`` is called again.
        """
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane = None if topic is None else topic.lane_of(subscriber)
        cdef membership_t *member
        if lane is None or subscriber.conn.flags & (CONN_WAITS | CONN_MUTE):
            return False
        member = conn_member(&subscriber.conn, &lane.lane)
        if not member.state & MEMBER_STALE:
            return False
        lane.lane.entries[member.slot].seen = lane.lane.seq
        member.state = 0
        if conn_stale(&subscriber.conn) == NULL:
            subscriber.conn.flags &= ~<uint32_t>CONN_LAGS
        # As everybody else would: a subclass may have to wrap it.
        subscriber.write(copy)
        return True

    def missed(self, Outbound subscriber not None, str name not None) -> int:
        """Return how many messages were left out, for ``refresh`` to tell the peer."""
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane = None if topic is None else topic.lane_of(subscriber)
        cdef membership_t *member
        if lane is None:
            return 0
        member = conn_member(&subscriber.conn, &lane.lane)
        return stale_missed(member) if member.state & MEMBER_STALE else 0

    def publish(
        self,
        str name not None,
        message,
        matched=frozenset(),
        exclude=None,
        bint same_item=False,
        key=None,
    ) -> int:
        """
        Send ``message`` to every subscriber of a topic that it concerns.

        It leaves at the end of the loop turn, in one send with what else the turn
        publishes there. Each wire form encodes it at most once; an empty encoding
        is not sent.

        Args:
            matched: the filters that the message matches.
            exclude: a connection that does not get it, or an iterable of them;
                they need not be subscribed.
            same_item: this and the message before belong to one edit, which
                counts as one item in the queue of a slow subscriber.
            key: what the message is about, for subscribers with ``coalesce``;
                messages without one replace each other.

        Returns:
            the number of subscribers of the topic that are not excluded, whatever
            their filters.

        Raises:
            TypeError: what is excluded is not a connection.
            Exception: whatever a wire form raised; then nobody gets the message.
        """
        cdef Topic topic = self.by_name.get(name)
        cdef Lane lane
        cdef dict encoded = None
        cdef list excluded = None
        cdef bytes framed = None
        cdef Py_ssize_t count
        if topic is None:
            return 0
        if topic.waiting:
            topic.admit()
        if exclude is not None:
            excluded = topic.without(exclude)
        concerned = topic.lanes
        if topic.lone is not None:
            framed = <bytes?>topic.lone.wire_form(message)
        else:
            concerned, encoded = [], {}
            for lane in topic.lanes:
                if lane.is_concerned(matched):
                    concerned.append(lane)
                    if lane.wire_form not in encoded:
                        encoded[lane.wire_form] = <bytes?>lane.wire_form(message)
        count = 1 if encoded is None else len(encoded)
        topic.counters.published(count)
        self.counters.published(count)
        if self.turns.is_ordered:
            self.turns.follow(topic, concerned)
        for lane in concerned:
            if encoded is not None:
                framed = encoded[lane.wire_form]
            self.deliver(lane, framed, excluded, same_item, key)
        count = len(topic)
        if excluded:
            count -= len(excluded)
            for member in excluded:
                (<Outbound>member).settle()
        return count

    cdef int deliver(
        self, Lane lane, bytes message, list excluded, bint same_item, object key
    ) except -1:
        cdef uint64_t deliveries = lane.lane.count
        if excluded:
            deliveries -= lane.chase(excluded)
        if not message or not deliveries:
            return 0
        if lane.coder is not None:
            message = lane.coder.encode(message)
            (<Topic>lane.topic).counters.compressions += lane.role != WAITING
            self.counters.compressions += lane.role != WAITING
        lane.append(message, same_item, key)
        if excluded:
            lane.pass_over(excluded)
        (<Topic>lane.topic).counters.delivered(deliveries, len(message))
        self.counters.delivered(deliveries, len(message))
        if not lane.listed:
            self.turns.add(lane)
            # Once per loop turn, so what one turn publishes leaves together.
            if not self.armed:
                self.arm()
        return 0

    cdef int arm(self) except -1:
        self.armed = True
        self.call_soon(self._tick)
        return 0

    def _tick(self):
        cdef uint32_t budget = SLICE
        cdef uint32_t used, weight
        cdef Lane lane
        self.armed = False
        try:
            while budget:
                lane = self.turns.due()
                if lane is None:
                    break
                weight = lane.weight()
                used = lane.walk(max(1, budget // weight))
                self.sends += used
                budget -= min(budget, used * weight)
        finally:
            if not self.armed and not self.turns.is_empty():
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
            (<Topic>(<Lane>subscriber.conn.memberships[index].lane.owner).topic).name
            for index in range(subscriber.conn.count)
        ]

    def topics(self) -> list:
        """Return the names of all topics that have subscribers."""
        return list(self.by_name)


def has_topics(Outbound subscriber not None) -> bool:
    """Tell whether a connection is subscribed to anything."""
    return subscriber.conn.count != 0

# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Topics, and the tick that sends what one loop turn published on them.

A topic has one lane for each wire form, set of filters and way to compress, and
a subscriber is in one of them. Once per loop turn the tick walks the lanes that
something was published on, in slices so that everything else gets its turn. What
a message is, only wire forms know.

Messages that refer to earlier ones have to reach everybody who shares their
window. Who joins waits beside it, without compression, until the window begins
anew; who missed something goes back there.
"""

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from beamfast._backlog cimport SLOW_DROP_OLDEST, SLOW_RESYNC, lane_t, membership_t
from beamfast._lanes cimport SLICE, Counters, Lane, Turns, policy_of
from beamfast._outbound cimport (
    Outbound,
    conn_is_coded,
    conn_member,
    conn_stale,
    stale_after,
    stale_missed,
)
from beamfast._wire cimport CONN_LAGS, CONN_MUTE, CONN_WAITS, MEMBER_STALE, LoopState


cdef enum:
    # With somebody waiting to share the window, it begins anew after so many.
    EPOCH_LEAST = 4


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

    cdef Lane lane_for(self, Outbound member, Lane former, tuple key, int policy):
        """Return the lane for who joins now and wants what the key says."""
        cdef const lane_t *left = NULL if former is None else &former.lane
        coding = key[4]
        if coding is None or policy >= SLOW_DROP_OLDEST or not coding.has_takeover:
            return self.lane_at(key, policy, ALONE)
        shared = self.by_key.get((key, <int>SHARED))
        if (
            (shared is None or not (<Lane>shared).coder.messages)
            and not member.conn.flags & CONN_LAGS
            and not conn_is_coded(&member.conn, left)
        ):
            return self.lane_at(key, policy, SHARED)
        return self.lane_at(key, policy, WAITING)

    cdef Lane lane_at(self, tuple key, int policy, role_t role):
        cdef Lane lane = self.by_key.get((key, <int>role))
        coding = key[4]
        if lane is not None:
            return lane
        if coding is None:
            coder = None
        elif role == ALONE:
            coder = coding.single()
        else:
            coder = coding.shared() if role == SHARED else coding.outside()
        lane = Lane.__new__(Lane, self, self.registry.turns, key, policy, coder)
        lane.role = role
        lane.lane.is_shared = role == SHARED
        lane.lane.is_coded = coder is not None
        lane.lane.emptied = emptied
        lane.lane.refresh = refresh
        lane.lane.withdraw = withdraw
        self.by_key[key, <int>role] = lane
        self.waiting += role == WAITING
        self.lanes = tuple(self.by_key.values())
        self.union = None
        return lane

    cdef int release(self, Lane lane) except -1:
        """Forget an empty lane, and with the last one the topic."""
        del self.by_key[lane.key, lane.role]
        self.waiting -= lane.role == WAITING
        self.lanes = tuple(self.by_key.values())
        self.union = None
        if not self.lanes:
            del self.registry.by_name[self.name]
        return 0

    cdef int move(self, Outbound member, Lane former, Lane lane) except -1:
        """Go on in another lane, without a gap or a repeat."""
        cdef membership_t *left
        cdef uint32_t state = 0
        member.catch_up()
        left = conn_member(&member.conn, &former.lane)
        if left.state & MEMBER_STALE and lane.lane.policy == SLOW_RESYNC:
            state = stale_after(lane.lane.seq - stale_missed(left))
        # First in, then out, or the topic might vanish between the two.
        member.join(&lane.lane).state = state
        member.leave(&former.lane, &lane.lane)
        return 0

    cdef list without(self, object exclude):
        """Return the members that a message leaves out, each once."""
        cdef Outbound member
        cdef Lane lane
        cdef list found = []
        if isinstance(exclude, Outbound):
            exclude = (exclude,)
        for each in dict.fromkeys(exclude):
            member = <Outbound?>each
            lane = self.lane_of(member)
            if lane is None:
                continue
            if lane.lane.is_shared:
                # Others may refer to what it will not have got.
                member.leave_epochs()
            found.append(member)
        return found

    cdef int admit(self) except -1:
        """Let who waits for it share a window, where one can begin anew."""
        cdef Lane waiting, shared
        cdef uint32_t slot
        cdef list ready
        cdef Outbound member
        for waiting in self.lanes:
            if waiting.role != WAITING:
                continue
            shared = self.by_key.get((waiting.key, <int>SHARED))
            if shared is not None and 0 < shared.coder.messages < EPOCH_LEAST:
                continue
            ready = []
            for slot in range(waiting.lane.count):
                member = <Outbound>waiting.lane.entries[slot].conn.owner
                if not member.conn.flags & (
                    CONN_WAITS | CONN_LAGS
                ) and not conn_is_coded(&member.conn, &waiting.lane):
                    ready.append(member)
            if not ready:
                continue
            if shared is None:
                shared = self.lane_at(waiting.key, waiting.lane.policy, SHARED)
            elif shared.coder.messages:
                # Somebody with unsent messages costs a send: better a bit later.
                if waiting.is_busy() and not shared.coder.is_over:
                    continue
                shared.coder.begin()
            for member in ready:
                self.move(member, waiting, shared)
            for member in ready:
                member.settle()
        return 0


cdef void emptied(lane_t *lane) noexcept:
    cdef Lane self = <Lane>lane.owner
    (<Topic>self.topic).release(self)


cdef lane_t *withdraw(lane_t *lane, uint32_t slot) except? NULL:
    cdef Lane self = <Lane>lane.owner
    cdef Outbound member = <Outbound>lane.entries[slot].conn.owner
    cdef Topic topic = <Topic>self.topic
    cdef Lane outside = topic.lane_at(self.key, lane.policy, WAITING)
    topic.move(member, self, outside)
    return &outside.lane


cdef int refresh(lane_t *lane, uint32_t slot) except -1:
    cdef Lane self = <Lane>lane.owner
    cdef Outbound member = <Outbound>lane.entries[slot].conn.owner
    cdef Topic topic = <Topic>self.topic
    try:
        self.key[3](member, topic.name, self.wire_form)
    except Exception as error:
        context = {"message": "a fresh copy failed", "exception": error}
        member.state.loop.call_exception_handler(context)
        member.abort()
    return 0


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
            topic = self.by_name[name] = Topic.__new__(Topic, name, self)
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
        *,
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
        cdef dict encoded = {}
        cdef list concerned = []
        cdef list excluded = None
        cdef Py_ssize_t count
        if topic is None:
            return 0
        if topic.waiting:
            topic.admit()
        if exclude is not None:
            excluded = topic.without(exclude)
        for lane in topic.lanes:
            if lane.is_concerned(matched):
                concerned.append(lane)
                if lane.wire_form not in encoded:
                    encoded[lane.wire_form] = <bytes?>lane.wire_form(message)
        topic.counters.published(len(encoded))
        self.counters.published(len(encoded))
        if self.turns.is_ordered:
            self.turns.follow(topic, concerned)
        for lane in concerned:
            message = encoded[lane.wire_form]
            self.deliver(lane, message, excluded, same_item, key)
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
        self.loop.call_soon(self._tick)
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

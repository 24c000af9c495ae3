# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
One topic: its lanes, and which of them a subscriber is in.

A topic has one lane for each wire form, set of filters and way to compress, and
a subscriber is in one of them.

Messages that refer to earlier ones have to reach everybody who shares their
window. Who joins waits beside it, without compression, until the window begins
anew; who missed something goes back there.
"""

cimport cython
from libc.stdint cimport uint32_t

from beamfast._backlog cimport SLOW_DROP_OLDEST, SLOW_RESYNC, lane_t, membership_t
from beamfast._lanes cimport Counters, Lane, Turns
from beamfast._outbound cimport (
    Outbound,
    conn_is_coded,
    conn_member,
    stale_after,
    stale_missed,
)
from beamfast._wire cimport CONN_LAGS, CONN_WAITS, MEMBER_STALE


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

    def __cinit__(self, str name, dict by_name, Turns turns):
        self.name = name
        self.by_name = by_name
        self.turns = turns
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
        lane = Lane.__new__(Lane, self, self.turns, key, policy, coder)
        lane.role = role
        lane.lane.is_shared = role == SHARED
        lane.lane.is_coded = coder is not None
        lane.lane.emptied = emptied
        lane.lane.refresh = refresh
        lane.lane.withdraw = withdraw
        self.by_key[key, <int>role] = lane
        self.waiting += role == WAITING
        self.count_lanes()
        return lane

    cdef int count_lanes(self) except -1:
        cdef Lane lane
        self.lanes = tuple(self.by_key.values())
        self.union = self.lone = None
        if len(self.lanes) == 1:
            lane = self.lanes[0]
            self.lone = None if lane.filters else lane
        return 0

    cdef int release(self, Lane lane) except -1:
        """Forget an empty lane, and with the last one the topic."""
        del self.by_key[lane.key, lane.role]
        self.waiting -= lane.role == WAITING
        self.count_lanes()
        if not self.lanes:
            del self.by_name[self.name]
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

# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
A timer wheel: many connections with a deadline each, and one timer of the loop.

A connection costs 16 bytes here and a place in the list of one second; a later
deadline only changes a number.
"""

from cpython.list cimport PyList_GET_SIZE
from libc.math cimport INFINITY, floor


#: Seconds of one round.
BUCKETS = 64


cdef enum:
    COUNT = 64
    # Buckets of connections that the wheel does not hold.
    OUTSIDE = -1
    FIRING = -2


cdef class Timed:
    """
    What a wheel can watch.

    Attributes:
        deadline: of the loop's clock, in seconds; infinite for none.
    """

    def __cinit__(self):
        self.deadline = INFINITY
        self.bucket = OUTSIDE

    def on_deadline(self, double now) -> None:
        """Act on the deadline that has passed; may set another one."""
        raise NotImplementedError


cdef class Wheel:
    """
    A timer wheel with one bucket per second.

    Args:
        loop: whose clock counts.
    """

    def __cinit__(self, loop):
        self.loop = loop
        self.buckets = [[] for _ in range(COUNT)]
        self.turned = <int64_t>floor(loop.time())

    def watch(self, Timed timed not None, double deadline=INFINITY) -> None:
        """
        Call ``timed.on_deadline`` within a second after ``deadline``.

        A later deadline only changes a number: the bucket is looked at when it
        fires, so traffic that pushes a deadline away moves nothing.
        """
        self.put_off(timed, deadline)

    def watch_for(self, Timed timed not None, double seconds) -> None:
        """As :meth:`watch`, with a deadline that is so far away."""
        self.put_off(timed, <double>self.loop.time() + seconds)

    def forget(self, Timed timed not None) -> None:
        """Stop watching; harmless when nothing was watched."""
        if timed.bucket >= 0:
            self.take_out(timed)
        timed.bucket = OUTSIDE

    def connections(self):
        """Iterate over a copy of everything that is watched."""
        return iter([timed for bucket in self.buckets for timed in bucket])

    def close(self) -> None:
        """Stop the timer; nothing fires after this."""
        self.is_closed = True
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None

    def fire(self, Timed timed not None, double now) -> None:
        """Call ``timed.on_deadline``; has to raise nothing."""
        raise NotImplementedError

    def __len__(self):
        return self.count

    cdef int put_off(self, Timed timed, double deadline) except -1:
        cdef bint is_earlier = deadline < timed.deadline
        timed.deadline = deadline
        if timed.bucket < 0 or is_earlier:
            self.place(timed)
        return 0

    cdef int place(self, Timed timed) except -1:
        cdef int64_t second, last
        cdef list bucket
        if timed.bucket >= 0:
            self.take_out(timed)
        if self.handle is None:
            self.turned = max(self.turned, <int64_t>floor(self.loop.time()))
        # Farther away than one round: looked at in between and placed again.
        last = self.turned + COUNT - 1
        second = last
        if timed.deadline < last:
            second = max(<int64_t>floor(timed.deadline) + 1, self.turned + 1)
        timed.bucket = second % COUNT
        bucket = <list>self.buckets[timed.bucket]
        timed.slot = PyList_GET_SIZE(bucket)
        bucket.append(timed)
        self.count += 1
        if self.handle is None:
            self.arm()
        return 0

    cdef int take_out(self, Timed timed) except -1:
        cdef list bucket = <list>self.buckets[timed.bucket]
        cdef Timed last = <Timed>bucket.pop()
        if last is not timed:
            bucket[timed.slot] = last
            last.slot = timed.slot
        self.count -= 1
        return 0

    cdef int arm(self) except -1:
        if not self.is_closed:
            self.handle = self.loop.call_at(self.turned + 1, self._turn)
        return 0

    def _turn(self):
        cdef double now = self.loop.time()
        # A blocked loop may have missed seconds; every bucket still has its turn.
        while self.turned + 1 <= now:
            self.turned += 1
            self.turn_to(self.turned % COUNT, now)
        self.handle = None
        if self.count:
            self.arm()

    cdef int turn_to(self, int index, double now) except -1:
        cdef list due = <list>self.buckets[index]
        cdef Timed timed
        self.buckets[index] = []
        self.count -= PyList_GET_SIZE(due)
        for timed in due:
            timed.bucket = FIRING
        for timed in due:
            if timed.bucket != FIRING:
                continue  # forgotten or moved by one that fired before it
            if timed.deadline <= now:
                timed.deadline = INFINITY
                self.fire(timed, now)
            if timed.bucket == FIRING:
                self.place(timed)
        return 0

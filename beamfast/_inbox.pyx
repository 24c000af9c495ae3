# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Messages of one socket that wait until a program asks for them, and the program
that waits for messages.

The buffer is bounded by no longer reading from the socket. A message that waits
costs its reader one short-lived object, and neither a coroutine nor a future; a
reader that waits is woken once for all that one read brings.
"""

cimport cython


cdef extern from "Python.h":
    void PyErr_SetObject(object kind, object value) noexcept


#: Messages, and bytes of them, from which on the socket is not read any more.
MESSAGES = 16
BYTES = 64 * 1024

#: Why the socket is not read: asked for, messages wait, pieces of one wait.
IS_ASKED = 1
IS_FULL = 2
IS_BEHIND = 4


cdef enum:
    SIZE_LIMIT = 64 * 1024
    FULL = 2


cdef class Inbox:
    """
    The messages that arrived and were not asked for yet.

    Args:
        transport: that is paused while the buffer is full.
        loop: of the transport.

    Attributes:
        limit: messages that may wait.
        is_pulled: somebody asks for messages.
        is_held: replies wait until the buffer is empty.
        is_over: the socket is read on whatever waits.
    """

    def __cinit__(self, transport, loop):
        self.transport = transport
        self.loop = loop
        self.waiting = []
        self.limit = MESSAGES

    @property
    def count(self) -> int:
        """Messages that wait."""
        return len(self.waiting) - self.first

    @property
    def is_paused(self) -> bool:
        """True while nothing is read from the socket."""
        return self.pauses != 0

    def put(self, message not None) -> None:
        """Keep a message until it is asked for; the driver calls this."""
        if self.is_over and self.is_full():
            # Nobody may stop the closing handshake by not reading.
            return
        self.waiting.append(message)
        self.size += len(message)
        if self.waiter is not None:
            self.wake()
        elif self.is_full():
            self.pause(FULL)

    cpdef object take(self):
        """Return the message that waits longest; there is one."""
        cdef Py_ssize_t first = self.first
        message = self.waiting[first]
        self.waiting[first] = None
        self.size -= len(message)
        self.first = first + 1
        if self.first == len(self.waiting):
            self.waiting.clear()
            self.first = 0
        elif self.first >= self.limit:
            # A buffer that never gets empty.
            del self.waiting[: self.first]
            self.first = 0
        if (
            self.pauses & FULL
            and len(self.waiting) - self.first <= self.limit // 2
            and self.size <= SIZE_LIMIT // 2
        ):
            self.resume(FULL)
        return message

    cpdef object take_in_turn(self, receiver):
        """
        As :meth:`take`; replies to what one read brought leave together.

        Args:
            receiver: whose replies are held from the first message on, until the
                buffer is empty.
        """
        message = self.take()
        if len(self.waiting) and not self.is_held:
            receiver._hold()
        return message

    def clear(self) -> None:
        """Forget what waits."""
        self.waiting.clear()
        self.first = self.size = 0

    def iterate(self, receiver) -> Messages:
        """Return the messages of ``receiver``, one after the other."""
        return Messages(self, receiver)

    def next_message(self, receiver) -> Arrival:
        """
        Return what to await for the next message.

        Args:
            receiver: asked before each wait whether a message can come at all.
        """
        return Arrival(self, receiver, False)

    def arrival(self) -> Arrival:
        """Return what to await for a message, more of one, or the end."""
        return Arrival(self, None, False)

    def check_alone(self) -> None:
        """
        Let only one task wait.

        Raises:
            RuntimeError: somebody waits already; which one should get it?
        """
        if self.waiter is not None and not self.waiter.done():
            raise RuntimeError("two tasks wait for the next message")

    cpdef int wake(self) except -1:
        """Let whoever waits look again."""
        if self.waiter is not None and not (self.is_woken or self.waiter.done()):
            self.is_woken = True
            self.waiter.set_result(None)
        return 0

    # Reading from the socket.

    cpdef int pause(self, int why) except -1:
        """Read nothing until :meth:`resume` for the same reason."""
        if self.is_over:
            return 0
        if not (self.pauses or self.transport.is_closing()):
            self.transport.pause_reading()
        self.pauses |= why
        return 0

    cpdef int resume(self, int why) except -1:
        """Undo :meth:`pause`; another reason still stops the reader."""
        cdef int before = self.pauses
        self.pauses &= ~why
        if before and not (self.pauses or self.transport.is_closing()):
            self.transport.resume_reading()
        return 0

    cdef bint is_full(self) noexcept:
        cdef Py_ssize_t count = len(self.waiting) - self.first
        return count >= self.limit or self.size >= SIZE_LIMIT


@cython.final
cdef class Messages:
    """What ``async for`` asks for messages."""

    def __cinit__(self, Inbox inbox not None, receiver):
        self.inbox = inbox
        self.receiver = receiver

    def __aiter__(self) -> Messages:
        return self

    def __anext__(self) -> Arrival:
        return Arrival(self.inbox, self.receiver, True)


@cython.final
@cython.freelist(8)
cdef class Arrival:
    """
    An awaitable that has no frame, and no future while a message waits.

    Nothing is taken before it is awaited, so cancelling it loses no message.
    """

    def __cinit__(self, Inbox inbox not None, receiver, bint is_loop):
        self.inbox = inbox
        self.receiver = receiver
        self.is_loop = is_loop

    def __await__(self) -> Arrival:
        return self

    def __iter__(self) -> Arrival:
        return self

    def __next__(self):
        cdef Inbox inbox = self.inbox
        cdef bint is_first = self.waiter is None
        if not is_first:
            self.close()
        if self.receiver is None:
            if not is_first:
                raise StopIteration
        else:
            if is_first and not inbox.is_pulled:
                self.receiver._talk()
            if len(inbox.waiting):
                # Set and not raised, so that there is no object for it.
                PyErr_SetObject(StopIteration, inbox.take_in_turn(self.receiver))
                raise StopIteration
            self.receiver._before_waiting(self.is_loop)
        inbox.check_alone()
        self.waiter = inbox.waiter = inbox.loop.create_future()
        inbox.is_woken = False
        return next(iter(self.waiter))

    def send(self, value, /):
        """Go on, as of a generator."""
        return next(self)

    def throw(self, kind, value=None, traceback=None, /):
        """Wait no more, and raise what was given."""
        self.close()
        raise kind if value is None else value

    cpdef object close(self):
        """Wait no more."""
        # Another one may wait already, after this one was cancelled.
        if self.inbox.waiter is self.waiter:
            self.inbox.waiter = None

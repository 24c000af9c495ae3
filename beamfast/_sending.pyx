# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
What ``await websocket.send(message)`` awaits.

A message that leaves at once needs neither a coroutine nor a frame; all others are
left to the coroutine function that :class:`AtOnce` decorates.
"""

cimport cython

import warnings

from beamfast._frames cimport message_frame
from beamfast._outbound cimport Outbound
from beamfast._wire cimport CONN_MUTE, CONN_WAITS


cdef extern from "Python.h":
    object PyMethod_New(object function, object instance)


@cython.final
cdef class AtOnce:
    """
    A method that is called like the coroutine function it decorates, and looks so.

    Args:
        function: sends any message to any peer.
    """

    def __cinit__(self, function):
        self.__wrapped__ = function

    def __call__(self, websocket, message):
        return Sending(self.__wrapped__, websocket, message)

    def __get__(self, websocket, owner):
        return self if websocket is None else PyMethod_New(self, websocket)

    # What :func:`inspect.iscoroutinefunction` and others look for in a function.

    @property
    def __name__(self):
        return self.__wrapped__.__name__

    @property
    def __qualname__(self):
        return self.__wrapped__.__qualname__

    @property
    def __doc__(self):
        return self.__wrapped__.__doc__

    @property
    def __code__(self):
        return self.__wrapped__.__code__

    @property
    def __defaults__(self):
        return self.__wrapped__.__defaults__

    @property
    def __kwdefaults__(self):
        return self.__wrapped__.__kwdefaults__

    @property
    def __annotations__(self):
        return self.__wrapped__.__annotations__


@cython.final
@cython.freelist(8)
cdef class Sending:
    """
    A coroutine that sends one message when it is awaited, not before.

    Args:
        function: called with the other two for what does not leave at once.
        websocket: its ``drain()`` waits for a slow peer.
        message: text or bytes-like, or an iterable of them.
    """

    def __cinit__(self, function, Outbound websocket not None, message):
        self.function = function
        self.websocket = websocket
        self.message = message

    def __dealloc__(self):
        if not self.has_begun:
            text = "coroutine 'WebSocket.send' was never awaited"
            warnings.warn(text, RuntimeWarning, stacklevel=1)

    def __await__(self) -> Sending:
        return self

    def __iter__(self) -> Sending:
        return self

    def __next__(self):
        if self.rest is None:
            self.has_begun = True
            if not self.send_at_once():
                self.rest = self.function(self.websocket, self.message)
            elif not self.websocket.conn.flags & CONN_WAITS:
                raise StopIteration
            else:
                self.rest = (<object>self.websocket).drain()
        return self.rest.send(None)

    def send(self, value, /):
        """Go on, as of a coroutine."""
        return next(self) if self.rest is None else self.rest.send(value)

    def throw(self, kind, value=None, traceback=None, /):
        """Raise what is given where the coroutine waits."""
        self.has_begun = True
        if self.rest is not None:
            return self.rest.throw(kind if value is None else value)
        raise kind if value is None else value

    def close(self):
        """End the coroutine."""
        self.has_begun = True
        if self.rest is not None:
            self.rest.close()

    cdef bint send_at_once(self) except -1:
        """Send a message that nothing has to be done to, unless something waits."""
        cdef Outbound websocket = self.websocket
        kind = type(self.message)
        if not websocket.is_plain or (kind is not str and kind is not bytes):
            return False
        if websocket.conn.flags & (CONN_MUTE | CONN_WAITS):
            return False
        if not websocket.gather_message(self.message):
            websocket.write_in_order(message_frame(self.message))
        return True

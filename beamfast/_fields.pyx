# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Header fields as every request and every answer carries them.

:class:`Fields` keeps pairs, finds them by name and writes them down; what names
and values may be, and what they mean, is known to
:class:`beamfast.headers.Headers`, which extends it.
"""


cdef class Fields:
    """
    Header fields in order.

    Attributes:
        raw: the pairs; a change puts another list in its place, so that copies
            may share it.
        index: the values by names in lower case.
    """

    def __len__(self):
        return len(self.raw)

    @property
    def lines(self) -> bytes:
        """All fields as the wire has them, each with its line end."""
        if self.joined is None:
            self.joined = b"".join([b"%b: %b\r\n" % field for field in self.raw])
        return self.joined

    def put(self, list raw not None) -> None:
        """Let these be the fields."""
        cdef dict index = {}
        cdef list values
        cdef bytes name, key
        for name, value in raw:
            # At once: whoever makes fields looks for some of them.
            key = name.lower()
            values = index.get(key)
            if values is None:
                index[key] = [value]
            else:
                values.append(value)
        self.raw = raw
        self.index = index
        self.joined = None

    def copy(self):
        """Return the same fields; what is worked out about them is shared."""
        cdef Fields copied = (<object>type(self)).__new__(type(self))
        copied.raw = self.raw
        copied.index = self.index
        copied.joined = self.lines
        return copied

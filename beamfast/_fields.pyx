# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Header fields as every request and every answer carries them.

:class:`Fields` keeps pairs, finds them by name and writes them down; what names
and values may be, and what they mean, is known to
:class:`beamfast.headers.Headers`, which extends it. The fields of a scanned head
stay the bytes that they are until somebody asks for all of them: a browser sends a
dozen, of which most requests need one or two.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.string cimport memcmp


cdef tuple NOTHING = ()


cdef bint mentions(const char *text, Py_ssize_t size, bytes word) noexcept:
    """Tell whether ``word``, in lower case, stands in ``text`` in any case."""
    cdef const char *wanted = PyBytes_AS_STRING(word)
    cdef Py_ssize_t at, same, length = PyBytes_GET_SIZE(word)
    for at in range(size - length + 1):
        same = 0
        while same < length and lowered(text[at + same]) == wanted[same]:
            same += 1
        if same == length:
            return True
    return False


cdef inline char lowered(char letter) noexcept:
    return letter + 32 if c"A" <= letter <= c"Z" else letter


cdef class Fields:
    """Header fields in order; names to look for are given in lower case."""

    @property
    def raw(self) -> list:
        """The pairs; a change puts another list in its place, so copies share it."""
        if self.names is not None:
            self.take_apart()
        return self.pairs

    @property
    def index(self) -> dict:
        """The values by names in lower case."""
        if self.names is not None:
            self.take_apart()
        return self.found

    @property
    def lines(self) -> bytes:
        """All fields as the wire has them, each with its line end."""
        return self.wire()

    def __len__(self):
        return len(self.raw)

    def put(self, list raw not None, dict index=None) -> None:
        """Let these be the fields; who knows the index need not have it made."""
        cdef list values
        cdef bytes name, key
        if index is None:
            index = {}
            for name, value in raw:
                # At once: whoever makes fields looks for some of them.
                key = name.lower()
                values = index.get(key)
                if values is None:
                    index[key] = [value]
                else:
                    values.append(value)
        self.pairs = raw
        self.found = index
        self.joined = self.data = self.spans = None
        self.names = None

    def copy(self):
        """Return the same fields; what is worked out about them is shared."""
        cdef type kind = type(self)
        cdef Fields copied = (<PyTypeObject *>kind).tp_new(
            kind, <PyObject *>NOTHING, NULL
        )
        copied.joined = self.wire()
        copied.pairs = self.pairs
        copied.found = self.found
        return copied

    def has(self, bytes key not None) -> bool:
        """Tell whether there is a field of this name."""
        return self.holds(key)

    def has_any(self, tuple needs not None) -> bool:
        """
        Tell whether one of these fields is there.

        Args:
            needs: pairs of a name and of a word in lower case, which must stand in
                a value of that name; empty for any value.
        """
        return self.has_one(needs)

    cdef bint has_one(self, tuple needs) except -1:
        cdef tuple need
        cdef bytes key, word, value
        cdef const span_t *span
        cdef const char *text
        cdef Py_ssize_t at
        for need in needs:
            key, word = need
            if self.names is None:
                for value in self.found.get(key, ()):
                    text = PyBytes_AS_STRING(value)
                    if mentions(text, PyBytes_GET_SIZE(value), word):
                        return True
                continue
            at = self.find(key, 0)
            while at >= 0:
                span = <const span_t *>PyBytes_AS_STRING(self.spans) + at
                if mentions(
                    PyBytes_AS_STRING(self.data) + span.start,
                    span.stop - span.start,
                    word,
                ):
                    return True
                at = self.find(key, at + 1)
        return False

    cdef bint holds(self, bytes key) except -1:
        return key in self.found if self.names is None else self.find(key, 0) >= 0

    cdef Py_ssize_t find(self, bytes key, Py_ssize_t at) noexcept:
        """Return the place of the next scanned field of this name, or -1."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(key)
        cdef PyObject *name
        while at < PyList_GET_SIZE(self.names):
            name = PyTuple_GET_ITEM(<object>PyList_GET_ITEM(self.names, at), 1)
            if PyBytes_GET_SIZE(<object>name) == size and not memcmp(
                PyBytes_AS_STRING(<object>name), PyBytes_AS_STRING(key), size
            ):
                return at
            at += 1
        return -1

    def has_prefix(self, bytes prefix not None) -> bool:
        """Tell whether the name of some field begins so."""
        cdef Py_ssize_t at, size = PyBytes_GET_SIZE(prefix)
        cdef PyObject *name
        if self.names is None:
            return any([key.startswith(prefix) for key in self.found])
        for at in range(PyList_GET_SIZE(self.names)):
            name = PyTuple_GET_ITEM(<object>PyList_GET_ITEM(self.names, at), 1)
            if PyBytes_GET_SIZE(<object>name) >= size and not memcmp(
                PyBytes_AS_STRING(<object>name), PyBytes_AS_STRING(prefix), size
            ):
                return True
        return False

    def first(self, bytes key not None):
        """Return the first value of this name, or None."""
        cdef Py_ssize_t at
        cdef list values
        if self.names is None:
            values = self.found.get(key)
            return None if values is None else values[0]
        at = self.find(key, 0)
        return None if at < 0 else self.value(at)

    def only(self, bytes key not None):
        """Return the value of this name; None without one, or with several."""
        cdef Py_ssize_t at
        cdef list values
        if self.names is None:
            values = self.found.get(key)
            return values[0] if values is not None and len(values) == 1 else None
        at = self.find(key, 0)
        if at < 0 or self.find(key, at + 1) >= 0:
            return None
        return self.value(at)

    def values(self, bytes key not None) -> list:
        """Return every value of this name, one for each line."""
        cdef Py_ssize_t at
        cdef list values = []
        if self.names is None:
            return self.found.get(key, values)
        at = self.find(key, 0)
        while at >= 0:
            values.append(self.value(at))
            at = self.find(key, at + 1)
        return values

    cdef bytes value(self, Py_ssize_t number):
        cdef const span_t *span = <const span_t *>PyBytes_AS_STRING(self.spans) + number
        return PyBytes_FromStringAndSize(
            PyBytes_AS_STRING(self.data) + span.start, span.stop - span.start
        )

    cdef int take_apart(self) except -1:
        """Make pairs and index of a head that was scanned."""
        cdef Py_ssize_t number
        cdef tuple name
        cdef list values, raw = []
        cdef dict index = {}
        cdef bytes value
        for number, name in enumerate(self.names):
            value = self.value(number)
            raw.append((<object>name[0], value))
            values = index.get(<object>name[1])
            if values is None:
                index[<object>name[1]] = [value]
            else:
                values.append(value)
        self.put(raw, index)
        return 0

    cdef bytes wire(self):
        if self.joined is None:
            self.joined = b"".join([b"%b: %b\r\n" % field for field in self.raw])
        return self.joined

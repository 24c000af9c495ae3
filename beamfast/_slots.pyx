# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, cdivision=True
# cython: embedsignature=True, embedsignature.format=python
"""
Objects of plain classes with ``__slots__``, made without a call for each slot.

A request has twenty attributes. To set them in the interpreter costs more than to
read the head, and as attributes of a compiled class they would cost whoever reads
them four times as much. :class:`Slots` knows where in an object they are.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_XDECREF, Py_XINCREF


cdef tuple NOTHING = ()


cdef extern from "structmember.h":
    enum:
        T_OBJECT_EX

    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset

cdef extern from "Python.h":
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

    PyTypeObject PyMemberDescr_Type
    object PyType_GenericAlloc(PyTypeObject *kind, Py_ssize_t items)


cdef inline PyObject **slot_at(object target, Py_ssize_t offset) noexcept:
    return <PyObject **>(<char *><PyObject *>target + offset)


cdef object get_slot(object target, Py_ssize_t offset):
    """Return what is in a slot; the class of ``target`` is not checked."""
    cdef PyObject *value = slot_at(target, offset)[0]
    if value == NULL:
        raise AttributeError(f"a slot of {type(target).__name__} is empty")
    return <object>value


cdef void put_slot(object target, Py_ssize_t offset, object value) noexcept:
    """Set the slot that is there; ``value`` is not checked."""
    cdef PyObject **slot = slot_at(target, offset)
    cdef PyObject *before = slot[0]
    Py_XINCREF(<PyObject *>value)
    slot[0] = <PyObject *>value
    Py_XDECREF(before)


@cython.final
cdef class Slots:
    """
    Where the slots of a class are.

    Args:
        kind: a class that keeps all it has in ``__slots__``, but for ``base``.
        base: a class below it whose part of an object begins anew in each copy, as
            in one that ``base`` has just made.

    Raises:
        TypeError: it keeps something elsewhere.
    """

    def __cinit__(self, type kind not None, type base not None=object):
        if kind.__dictoffset__ or kind.__itemsize__ or not issubclass(kind, base):
            raise TypeError(f"{kind.__name__} has more than slots")
        self.kind, self.base = kind, base
        self.start = base.__basicsize__
        self.count = sum(
            is_slot(member)
            for owner in kind.__mro__
            if owner not in base.__mro__
            for member in vars(owner).values()
        )
        # Behind that part of an object is a pointer for each, and nothing else.
        if kind.__basicsize__ != self.start + sizeof(void *) * self.count:
            raise TypeError(f"{kind.__name__} has more than slots")

    cpdef object copy(self, object model):
        """Return an object whose slots hold the same as those of ``model``."""
        cdef object made
        cdef PyObject **to
        cdef PyObject **source
        cdef Py_ssize_t number
        if type(model) is not self.kind:
            raise TypeError(f"{model!r} is of another class")
        if self.base is object:
            made = PyType_GenericAlloc(<PyTypeObject *>self.kind, 0)
        else:
            made = (<PyTypeObject *>self.base).tp_new(
                self.kind, <PyObject *>NOTHING, NULL
            )
        to, source = slot_at(made, self.start), slot_at(model, self.start)
        for number in range(self.count):
            Py_XINCREF(source[number])
            to[number] = source[number]
        return made

    cdef Py_ssize_t offset(self, str name) except -1:
        """Return where the slot of this name is."""
        member = getattr(self.kind, name)
        if not is_slot(member):
            raise TypeError(f"{name} is no slot")
        return (<PyMemberDescrObject *>member).d_member.offset


cdef bint is_slot(object member):
    cdef type kind = type(member)
    return (
        <PyTypeObject *>kind == &PyMemberDescr_Type
        and (<PyMemberDescrObject *>member).d_member.type == T_OBJECT_EX
    )

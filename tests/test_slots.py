import gc
import math
import sys
import weakref

import pytest

from beamfast._slots import Slots
from beamfast._wheel import Timed


class First:
    __slots__ = ("a", "b")


class Second(First):
    __slots__ = ("c",)


class Third(Second):
    __slots__ = ()


class Open(First):
    pass


class Watched:
    __slots__ = ("__weakref__", "a")


class Counted(int):
    __slots__ = ()


def test_a_copy_holds_the_same_in_every_slot_and_changes_alone():
    model = Second()
    value: list[int] = []
    model.a, model.c = value, ()
    copied = Slots(Second).copy(model)
    assert type(copied) is Second
    assert copied.a is value
    assert copied.c == ()
    assert not hasattr(copied, "b")
    copied.a = copied.b = 1
    assert (model.a, hasattr(model, "b")) == (value, False)


def test_what_a_copy_holds_goes_with_it():
    model = Third()
    model.a = object()
    slots = Slots(Third)
    before = sys.getrefcount(model.a)
    copies = [slots.copy(model) for _ in range(10)]
    during = sys.getrefcount(model.a)
    del copies
    after = sys.getrefcount(model.a)
    assert (during, after) == (before + 10, before)


def test_copies_in_a_cycle_are_collected():
    class Linked:
        __slots__ = ("held", "own")

    class Mark:
        pass

    slots, mark = Slots(Linked), Mark()
    copied = slots.copy(Linked())
    copied.own, copied.held = copied, mark
    gone = weakref.ref(mark)
    del copied, mark
    gc.collect()
    assert gone() is None


class Guest(Timed):
    __slots__ = ("held", "name")


def test_what_is_of_the_base_begins_anew_in_a_copy():
    model = Guest()
    model.deadline, model.name = 7.0, "one"
    copied = Slots(Guest, Timed).copy(model)
    assert type(copied) is Guest
    assert copied.name is model.name
    assert not hasattr(copied, "held")
    assert (copied.deadline, model.deadline) == (math.inf, 7.0)
    copied.name = "two"
    assert model.name == "one"
    gone = sys.getrefcount(Guest)
    del copied
    assert sys.getrefcount(Guest) == gone - 1


@pytest.mark.parametrize(("kind", "base"), [(Guest, object), (Second, Timed)])
def test_another_base_is_refused(kind, base):
    with pytest.raises(TypeError, match="has more than slots"):
        Slots(kind, base)


@pytest.mark.parametrize("kind", [Open, Watched, Counted, str])
def test_a_class_that_keeps_something_elsewhere_is_refused(kind):
    with pytest.raises(TypeError, match="has more than slots"):
        Slots(kind)


@pytest.mark.parametrize("model", [First(), Third(), None])
def test_an_object_of_another_class_is_refused(model):
    with pytest.raises(TypeError, match="of another class"):
        Slots(Second).copy(model)

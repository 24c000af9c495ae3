import pytest

from beamfast._fields import Fields

RAW = [(b"B", b"1"), (b"a", b"2"), (b"b", b"3")]


def put(raw):
    fields = Fields()
    fields.put(raw)
    return fields


def test_fields_stand_in_order_and_are_found_in_lower_case():
    fields = put(RAW)
    assert fields.raw is RAW
    assert len(fields) == 3
    assert fields.index == {b"b": [b"1", b"3"], b"a": [b"2"]}


def test_lines_are_those_of_the_wire_and_follow_a_change():
    fields = put(RAW)
    assert fields.lines == b"B: 1\r\na: 2\r\nb: 3\r\n"
    assert fields.lines is fields.lines
    fields.put([])
    assert (fields.lines, fields.index) == (b"", {})


def test_a_copy_shares_until_one_of_them_changes():
    class Kind(Fields):
        pass

    first = Kind()
    first.put(RAW)
    second = first.copy()
    assert type(second) is Kind
    assert second.raw is RAW
    assert second.lines is first.lines
    second.put(RAW[:1])
    assert first.raw is RAW
    assert first.index == {b"b": [b"1", b"3"], b"a": [b"2"]}


@pytest.mark.parametrize("raw", [None, [(b"a",)], [("a", b"1")]])
def test_what_is_no_list_of_pairs_of_bytes_is_refused(raw):
    with pytest.raises((TypeError, ValueError)):
        put(raw)

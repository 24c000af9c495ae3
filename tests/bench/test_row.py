"""Percentiles are samples, and counts are what happened."""

import json
import math

from hypothesis import given, strategies as st

from beamfast.bench.row import PERCENTILES, Row, nearest_rank


def test_a_percentile_is_a_sample_that_was_taken():
    ordered = [float(number) for number in range(1, 1001)]
    assert nearest_rank(ordered, 50) == 500
    assert nearest_rank(ordered, 99) == 990
    assert nearest_rank(ordered, 99.9) == 999
    assert nearest_rank(ordered, 100) == 1000


def test_without_samples_there_is_no_percentile():
    assert math.isnan(nearest_rank([], 50))


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=50),
    st.sampled_from(PERCENTILES),
)
def test_that_share_of_all_samples_is_no_larger(samples, share):
    found = nearest_rank(sorted(samples), share)
    assert found in samples
    assert sum(one <= found for one in samples) >= share * len(samples) / 100 - 1e-6
    assert sum(one < found for one in samples) < share * len(samples) / 100


def test_a_row_says_how_many_a_second_and_what_each_cost():
    row = Row("get", 200, 4.0, [0.002, 0.001], lost=3, cpu_seconds=0.02, load_seconds=1)
    assert row.rate == 50
    found = json.loads(json.dumps(row.as_json()))
    assert found["cpu_seconds_each"] == 0.0001
    assert found["lost"] == 3
    assert found["load_share"] == row.load_share == 0.25
    assert found["own_seconds"] == row.own_seconds == 0.005
    assert found["percentiles"]["50"] == 0.001
    assert found["percentiles"]["100"] == 0.002


def test_what_took_no_time_has_no_rate():
    assert Row("nothing", 0, 0.0, []).rate == 0
    assert Row("nothing", 0, 0.0, []).load_share == 0
    assert Row("nothing", 0, 0.0, []).own_seconds == 0
    assert "cpu_seconds_each" not in Row("nothing", 0, 0.0, []).as_json()

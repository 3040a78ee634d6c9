"""Counters and histograms: what a run says about itself."""

import numpy as np
import pytest
from fakes import ManualClock, make_packet
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry import Histogram, SourceCounts, Telemetry
from pipeline.types import NO_TRACK, Instances

# Histograms


def test_an_empty_histogram_has_no_quantiles() -> None:
    histogram = Histogram()
    assert histogram.count == 0
    assert [histogram.quantile_seconds(fraction) for fraction in (0.0, 0.5, 1.0)] == [None] * 3


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_of_one_duration_every_quantile_is_that_duration(fraction: float) -> None:
    histogram = Histogram()
    histogram.record(0.25)
    assert histogram.quantile_seconds(fraction) == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9], ids=["none", "clock set back", "nanosecond"])
def test_durations_too_short_to_measure_count_as_a_microsecond(seconds: float) -> None:
    histogram = Histogram()
    histogram.record(seconds)
    assert histogram.count == 1
    assert histogram.quantile_seconds(0.5) == pytest.approx(1e-6, rel=0.05)


def test_durations_too_long_to_measure_are_counted_in_the_last_bucket() -> None:
    histogram = Histogram()
    histogram.record(1e9)
    assert histogram.quantile_seconds(0.5) == pytest.approx(2**32 * 1e-6, rel=0.05)


def test_a_duration_may_be_recorded_many_times_at_once() -> None:
    histogram = Histogram()
    histogram.record(0.001, times=99)
    histogram.record(1.0)
    assert histogram.count == 100
    assert histogram.quantile_seconds(0.99) == pytest.approx(0.001, rel=0.05)
    assert histogram.quantile_seconds(0.995) == pytest.approx(1.0, rel=0.05)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 300),
    median_seconds=st.floats(1e-4, 1.0),
    spread=st.floats(0.0, 1.5),
    fraction=st.floats(0.0, 1.0),
)
def test_quantiles_are_right_to_five_percent(
    seed: int, size: int, median_seconds: float, spread: float, fraction: float
) -> None:
    durations = median_seconds * np.random.default_rng(seed).lognormal(sigma=spread, size=size)
    histogram = Histogram()
    for seconds in durations.clip(1e-6):
        histogram.record(float(seconds))
    expected = float(np.quantile(durations.clip(1e-6), fraction, method="inverted_cdf"))
    assert histogram.quantile_seconds(fraction) == pytest.approx(expected, rel=0.05)


def test_each_stage_has_one_histogram() -> None:
    telemetry = Telemetry()
    telemetry.histogram("pose").record(0.1)
    assert telemetry.histogram("pose").count == 1
    assert telemetry.histogram("track").count == 0
    assert list(telemetry.latency) == ["pose", "track"]


# Counters


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def telemetry(clock: ManualClock) -> Telemetry:
    telemetry = Telemetry(clock)
    telemetry.sources |= {"cam": SourceCounts(), "door": SourceCounts()}
    return telemetry


def people(*track_ids: int) -> Instances:
    rows = len(track_ids)
    return Instances.of(np.zeros((rows, 4)), np.zeros(rows)).with_columns(track_id=list(track_ids))


def test_packets_are_counted_by_source(telemetry: Telemetry) -> None:
    for index in range(3):
        telemetry.receive(make_packet(index))
    telemetry.receive(make_packet(0, "door"))
    telemetry.deliver(make_packet(0))
    telemetry.drop(make_packet(1), "detect", "stale")
    telemetry.drop(make_packet(2), "detect", "stale")
    telemetry.drop(make_packet(0, "door"), "pose", "ValueError")
    cam, door = telemetry.sources["cam"], telemetry.sources["door"]
    assert (cam.received, cam.delivered, cam.dropped) == (3, 1, {"detect:stale": 2})
    assert (door.received, door.delivered, door.dropped) == (1, 0, {"pose:ValueError": 1})


def test_a_packet_of_an_unknown_source_is_an_error(telemetry: Telemetry) -> None:
    with pytest.raises(KeyError, match="garden"):
        telemetry.receive(make_packet(0, "garden"))


def test_people_are_those_of_the_latest_frame_and_identities_those_of_all(telemetry: Telemetry) -> None:
    counts = telemetry.sources["cam"]
    seen = []
    for table in (None, people(), people(NO_TRACK, NO_TRACK), people(1, 3, NO_TRACK), people(2), people()):
        telemetry.deliver(make_packet(instances=table))
        seen.append((counts.people, counts.identities))
    assert seen == [(0, 0), (0, 0), (2, 0), (3, 3), (1, 3), (0, 3)]


def test_without_a_tracker_nobody_has_an_identity(telemetry: Telemetry) -> None:
    telemetry.deliver(make_packet(instances=Instances.of(np.zeros((2, 4)), np.zeros(2))))
    assert (telemetry.sources["cam"].people, telemetry.sources["cam"].identities) == (2, 0)


def test_the_rate_is_that_of_delivered_frames_since_the_first_was_read(
    telemetry: Telemetry, clock: ManualClock
) -> None:
    clock.now += 60.0  # loading models is no part of it
    for index in range(10):
        telemetry.receive(make_packet(index))
        clock.now += 0.5
        if index % 2:
            telemetry.deliver(make_packet(index))
    assert telemetry.sources["cam"].frames_per_second == pytest.approx(5 / 5.0)
    assert telemetry.elapsed_seconds == pytest.approx(65.0)


@pytest.mark.parametrize("delivered", [False, True], ids=["nothing", "one frame at once"])
def test_a_rate_that_cannot_be_told_is_zero(telemetry: Telemetry, delivered: bool) -> None:  # noqa: FBT001 - a case
    telemetry.receive(make_packet())
    if delivered:
        telemetry.deliver(make_packet())
    assert telemetry.sources["cam"].frames_per_second == 0.0
    assert telemetry.sources["door"].frames_per_second == 0.0

import logging
import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import av
import pytest
from av.packet import PacketSideData

from stages.media.streams.wallclock import WallClock

RTP = Fraction(1, 90_000)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PRODUCER_REFERENCE_TIME = 27
"""Of FFmpeg's AVPacketSideDataType."""


def packet(pts: int | None, microseconds: int | None) -> "av.Packet[Any]":
    """Make a packet as FFmpeg does after a sender report."""
    made: av.Packet[Any] = av.Packet(b"x")
    made.pts = pts
    if microseconds is not None:
        side = PacketSideData.__new__(PacketSideData, PRODUCER_REFERENCE_TIME, 16)  # type: ignore[call-arg]
        memoryview(side).cast("B")[:] = struct.pack("=qi4x", microseconds, 24)
        made.set_sidedata(side)
    return made


def microseconds_at(when: datetime) -> int:
    return round(when.timestamp() * 1_000_000)


def test_before_the_first_report_the_camera_has_not_said_anything() -> None:
    clock = WallClock("cam", RTP)
    clock.note(packet(0, None))
    assert clock.captured_at(0, NOON) is None


def test_a_picture_was_taken_when_the_report_says_by_its_own_pts() -> None:
    clock = WallClock("cam", RTP)
    clock.note(packet(900_000, microseconds_at(NOON)))
    assert clock.captured_at(900_000, NOON) == NOON
    assert clock.captured_at(900_000 - 45_000, NOON) == NOON - timedelta(seconds=0.5)
    clock.note(packet(903_600, None))
    assert clock.captured_at(903_600, NOON) == NOON + timedelta(seconds=0.04)


def test_without_pts_nothing_can_be_said() -> None:
    clock = WallClock("cam", RTP)
    clock.note(packet(None, microseconds_at(NOON)))
    assert clock.captured_at(0, NOON) is None
    clock.note(packet(0, microseconds_at(NOON)))
    assert clock.captured_at(None, NOON) is None


@pytest.mark.parametrize("microseconds", [0, -(2**63), 2**63 - 1, microseconds_at(NOON) + 2 * 86_400_000_000])
def test_a_clock_that_was_never_set_is_not_believed_and_said_once(
    microseconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = WallClock("rtsp://cam/1", RTP)
    clock.note(packet(0, microseconds))
    with caplog.at_level(logging.WARNING):
        assert [clock.captured_at(pts, NOON) for pts in (0, 1, 2)] == [None] * 3
    assert len(caplog.records) == 1
    assert "rtsp://cam/1" in caplog.text
    assert "NTP" in caplog.text


def test_a_clock_that_is_some_hours_off_is_the_cameras_own_all_the_same() -> None:
    clock = WallClock("cam", RTP)
    clock.note(packet(0, microseconds_at(NOON - timedelta(hours=5))))
    assert clock.captured_at(0, NOON) == NOON - timedelta(hours=5)

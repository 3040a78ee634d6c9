"""The parts of a published stream that need no FFmpeg: where it goes, its pace, what waits to be sent."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest
from fakes import ManualClock

from pipeline.types import Event, Packet
from stages.publishing.encoder import Encoding, arguments, plainly
from stages.publishing.mailbox import Mailbox
from stages.publishing.pace import RealTime

MakePacket = Callable[..., Packet]


def test_time_passes_as_in_the_world() -> None:
    clock = ManualClock()
    pace = RealTime(clock)
    assert pace.wait_seconds(50.0) == 0
    assert pace.wait_seconds(50.5) == pytest.approx(0.5)
    clock.now += 0.7
    assert pace.wait_seconds(50.5) == 0
    assert pace.wait_seconds(51.0) == pytest.approx(0.3)


@pytest.mark.parametrize("pts", [0.0, 49.9, 51.1, 1e9], ids=["loop", "back", "gap", "far"])
def test_a_step_of_the_clock_is_not_waited_for(pts: float) -> None:
    pace = RealTime(ManualClock())
    pace.wait_seconds(50.0)
    assert pace.wait_seconds(pts) == 0
    assert pace.wait_seconds(pts + 0.25) == pytest.approx(0.25)


def test_whoever_is_late_does_not_catch_up() -> None:
    clock = ManualClock()
    pace = RealTime(clock)
    pace.wait_seconds(0.0)
    clock.now += 5
    assert pace.wait_seconds(0.1) == 0
    assert pace.wait_seconds(0.2) == pytest.approx(0.1)


def event(packet: Packet, number: int) -> Event:
    frame = packet.frame
    return Event("cam", "door", "enter", frame.index, frame.pts_seconds, frame.captured_at, "", track_id=number)


def test_the_mailbox_forgets_pictures_and_no_events(packet: MakePacket) -> None:
    mailbox = Mailbox()
    for number in range(5):
        made = packet(number)
        mailbox.put(made.with_events([event(made, number)]))
    taken = [mailbox.take()[0] for _ in range(3)]
    assert [one and one.frame.index for one in taken] == [3, 4, None]
    assert [[e.track_id for e in one.events] for one in taken if one] == [[0, 1, 2, 3], [4]]


def test_a_mailbox_that_nobody_empties_stays_small(packet: MakePacket) -> None:
    mailbox = Mailbox()
    for number in range(500):
        made = packet(number)
        mailbox.put(made.with_events([event(made, number)] * 10))
    oldest, _ = mailbox.take()
    assert oldest is not None
    assert len(oldest.events) <= 64


def test_words_hold_until_the_next_packet_and_come_after_the_last(packet: MakePacket) -> None:
    mailbox = Mailbox()
    mailbox.put(packet(0))
    mailbox.put(packet(1))
    mailbox.say("stalled")
    assert mailbox.take()[1] is None
    assert mailbox.take()[1] == "stalled"
    assert mailbox.take() == (None, "stalled")
    mailbox.put(packet(2))
    assert mailbox.take()[1] is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param(
            "[libx264 @ 0x55a166ffae80] width not divisible by 2 (3x2); [vost#0:0/libx264 @ 0x55a] [enc:libx264 @ 0x5] "
            "Error while opening encoder - maybe wrong; [vf#0:0 @ 0x5] Task finished with error code: -5",
            "width not divisible by 2 (3x2)",
            id="encoder",
        ),
        pytest.param("[tcp @ 0x1] refused; [tcp @ 0x2] refused; a; b; c", "refused; a; b", id="again"),
    ],
)
def test_what_ffmpeg_says_is_told_in_short(said: str, told: str) -> None:
    assert plainly(said) == told


def test_the_command_line_is_a_list_with_the_size_and_rate_of_the_pictures() -> None:
    encoding = Encoding(Fraction(30000, 1001), 2.0, 23, "superfast", 2000)
    words = arguments("ffmpeg", "rtsp://h/a b;rm", (320, 240), encoding, {"format": "rtsp", "rtsp_transport": "tcp"})
    assert words[0] == "ffmpeg"
    assert "rtsp://h/a b;rm" in words
    pairs = dict(pairwise(words))
    wanted = {"-video_size": "320x240", "-framerate": "30000/1001", "-g": "60", "-maxrate": "2000k", "-i": "pipe:0"}
    assert pairs.items() >= wanted.items()
    assert words.index("-video_size") < words.index("-i")

"""Pictures of one source, one after the other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.types import Event, Instances, Packet, Place, SourceStatus
from stages.drawing.painter import DrawingOptions, Painter
from stages.drawing.palette import ALARM, EVENT, INK, PAPER, PLACE, Colour
from stages.drawing.status import dim, status_words

MakePacket = Callable[..., Packet]
NOTHING = DrawingOptions(
    boxes=False, skeletons=False, labels=False, info=False, events=False, places=False, trail_seconds=0
)
EVENTS = NOTHING.model_copy(update={"events": True})
SIZE = (640, 480)


def happened(packet: Packet, kind: str = "enter", *, who: int | None = 1, **more: object) -> Packet:
    frame = packet.frame
    event = Event("cam", "door", kind, frame.index, frame.pts_seconds, frame.captured_at, "because", track_id=who)
    return packet.with_events([replace(event, **more)])  # type: ignore[arg-type]


def painted(painter: Painter, *packets: Packet) -> NDArray[np.uint8]:
    for packet in packets:
        painter.take_note(packet)
    return painter.draw(packets[-1])


def pixels_of(picture: NDArray[np.uint8], colour: Colour) -> NDArray[np.intp]:
    """Give (x, y) of all pixels of about that colour."""
    rows, columns = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) <= 32)
    return np.column_stack((columns, rows))


def person(x: float = 300, y: float = 200) -> Instances:
    return Instances.of([[x, y, x + 60, y + 160]], [0.9]).with_columns(track_id=[1])


def test_what_happened_is_a_tag_at_the_person_and_a_line_at_the_lower_left(packet: MakePacket) -> None:
    picture = painted(Painter(EVENTS), happened(packet(people=person(), size=SIZE)))
    tag = pixels_of(picture, EVENT)
    assert len(tag) > 100
    assert (abs(tag - (300, 190)).max(axis=0) < (120, 40)).all()
    line = pixels_of(picture, PAPER)
    assert len(line) > 50
    assert (line[:, 0] < 320).all()
    assert (line[:, 1] > 440).all()


def test_a_fall_is_red_all_around_the_person_and_stays_with_it(packet: MakePacket) -> None:
    before = happened(packet(0, people=person(), size=SIZE), "fall")
    picture = painted(Painter(EVENTS), before, packet(25, people=person(400, 220), size=SIZE))
    red = pixels_of(picture, ALARM)
    around = red[red[:, 1] < 440]
    assert len(around) > 500
    assert around.min(axis=0)[0] == pytest.approx(400, abs=4)
    assert around.max(axis=0) == pytest.approx((460, 380), abs=40)


def test_whoever_is_not_seen_any_more_has_its_tag_where_it_was_also_in_a_smaller_picture(packet: MakePacket) -> None:
    gone = happened(packet(people=0, size=SIZE), xyxy=(300.0, 200.0, 360.0, 360.0))
    tag = pixels_of(painted(Painter(EVENTS.model_copy(update={"width": 320})), gone), EVENT)
    assert (abs(tag - (150, 95)).max(axis=0) < (70, 30)).all()


def test_an_event_of_a_frame_that_was_left_out_is_shown_with_the_next(packet: MakePacket) -> None:
    left_out, drawn = happened(packet(0, people=person(), size=SIZE)), packet(1, people=person(), size=SIZE)
    assert len(pixels_of(painted(Painter(EVENTS), left_out, drawn), EVENT)) > 100


def test_events_can_be_switched_off(packet: MakePacket) -> None:
    picture = painted(Painter(NOTHING), happened(packet(people=person(), size=SIZE), "fall"))
    assert np.ptp(picture) == 0


def test_states_are_among_the_notes(packet: MakePacket) -> None:
    info = NOTHING.model_copy(update={"info": True})
    state = happened(packet(people=0, size=SIZE), "occupancy", who=None, is_state=True, values={"count": 3})
    without, with_state = painted(Painter(info), packet(people=0, size=SIZE)), painted(Painter(info), state)
    assert len(pixels_of(with_state, PAPER)) > len(pixels_of(without, PAPER))


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (3, 200)], ids=str)
@pytest.mark.parametrize("kind", ["enter", "fall"])
def test_the_smallest_pictures_can_be_drawn_on(packet: MakePacket, size: tuple[int, int], kind: str) -> None:
    far = happened(packet(size=size), kind, xyxy=(-1e9, 5.0, 3e30, 7.0), who=99)
    picture = painted(Painter(DrawingOptions()), happened(packet(size=size), kind), far)
    assert picture.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (160, 90), (1920, 1080)], ids=str)
def test_the_words_on_a_dimmed_picture_fit(size: tuple[int, int]) -> None:
    image = np.full((*size[::-1], 3), 240, np.uint8)
    status = SourceStatus("cam", "auth_error", datetime(2026, 1, 2, 12, 3, 10, tzinfo=UTC))
    assert status_words(status) == "auth error since 12:03:10 UTC"
    dimmed = dim(image, status_words(status))
    assert dimmed[0, 0].tolist() == [80, 80, 80] or size[0] <= 16
    assert (image == 240).all()
    if size[0] >= 160:
        letters = pixels_of(dimmed, PAPER)
        assert letters[:, 0].min() > 0
        assert letters[:, 0].max() < size[0] - 1
        assert len(pixels_of(dimmed, INK)) >= 0


def test_the_border_of_a_zone_is_drawn_where_it_lies_also_in_a_smaller_picture(packet: MakePacket) -> None:
    zone = Place("door", ((100.0, 100.0), (500.0, 100.0), (500.0, 400.0), (100.0, 400.0)))
    options = NOTHING.model_copy(update={"places": True, "width": 320})
    border = pixels_of(painted(Painter(options), packet(people=0, size=SIZE).with_places([zone])), PLACE)
    assert border.min(axis=0).tolist() == pytest.approx([50, 50], abs=6)
    assert border.max(axis=0).tolist() == pytest.approx([250, 200], abs=2)
    np.testing.assert_array_equal(
        painted(Painter(NOTHING), packet(people=0, size=SIZE).with_places([zone])),
        packet(people=0, size=SIZE).frame.image,
    )


@pytest.mark.parametrize(
    ("ends", "is_right"), [(((300.0, 400.0), (300.0, 100.0)), True), (((300.0, 100.0), (300.0, 400.0)), False)]
)
def test_the_arrow_of_a_line_points_to_where_in_is(
    packet: MakePacket, ends: tuple[tuple[float, float], ...], *, is_right: bool
) -> None:
    line = packet(people=0, size=SIZE).with_places([Place("", ends, is_closed=False)])
    seen = pixels_of(painted(Painter(NOTHING.model_copy(update={"places": True})), line), PLACE)
    arrow = seen[abs(seen[:, 0] - 300) > 4]
    assert len(arrow) > 5
    assert ((arrow[:, 0] > 300) == is_right).all()

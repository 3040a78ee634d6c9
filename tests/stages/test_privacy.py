"""Masks hide every pixel that they touch from everybody; a blank packet holds nothing of a picture."""

import gc
import logging
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import watched_pixels
from fakes import NOW, make_frame
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from watched_pixels import WatchedPixels

from pipeline.errors import ConfigError, SourceError
from pipeline.skeletons import COCO_17
from pipeline.types import Event, Frame, HostPixels, Instances, Packet, Pixels, Stream
from stages.judging.places import Polygon
from stages.privacy import Blank, Mask
from stages.privacy.coverage import touched
from stages.privacy.pictures import BlankPixels, MaskedPixels

LEFT_THIRD = [[0, 0], [0.3, 0], [0.3, 1], [0, 1]]
WIDTH, HEIGHT = 64, 48
POLYGON: TypeAdapter[Any] = TypeAdapter(Polygon)


def noise(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    return watched_pixels.noise(width, height)


def frame(pixels: Pixels, source: str = "door") -> Frame:
    return replace(make_frame(0, source), pixels=pixels)


def hidden(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((image == 0).all(axis=2))


# Which pixels a polygon touches, against exact arithmetic

Exact = tuple[Fraction, Fraction]


def meets_square(start: Exact, end: Exact, low: Exact, high: Exact) -> bool:
    """Tell whether a line and a closed rectangle have a point in common: clip the line at each side (Liang, Barsky)."""
    enters, leaves = Fraction(0), Fraction(1)
    for axis in (0, 1):
        step = end[axis] - start[axis]
        if step == 0:
            if not low[axis] <= start[axis] <= high[axis]:
                return False
            continue
        at = sorted([(low[axis] - start[axis]) / step, (high[axis] - start[axis]) / step])
        enters, leaves = max(enters, at[0]), min(leaves, at[1])
    return enters <= leaves


def is_inside(point: Exact, polygon: Sequence[Exact]) -> bool:
    """Count the edges to the right of a point."""
    inside = False
    for (ax, ay), (bx, by) in pairwise([*polygon, polygon[0]]):
        if (ay > point[1]) != (by > point[1]) and ax + (point[1] - ay) / (by - ay) * (bx - ax) > point[0]:
            inside = not inside
    return inside


def exactly_touched(polygon: Any, width: int, height: int, *, reach: Fraction = Fraction(0)) -> NDArray[np.bool_]:
    """Do what `touched` does in fractions, pixel by pixel; pixels are larger by `reach` at each side."""
    corners = [(Fraction(x), Fraction(y)) for x, y in polygon]
    found = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            low, high = (x - reach, y - reach), (x + 1 + reach, y + 1 + reach)
            edges = pairwise([*corners, corners[0]])
            found[y, x] = any(meets_square(*edge, low, high) for edge in edges) or is_inside(
                (x + Fraction(1, 2), y + Fraction(1, 2)), corners
            )
    return found


coordinates = st.one_of(
    st.integers(-3, 14),
    st.integers(-6, 28).map(lambda half: half / 2),
    st.floats(-3, 14, allow_subnormal=False),
    st.integers(0, 11).map(lambda line: float(np.nextafter(line, 99))),
    st.integers(0, 11).map(lambda line: float(np.nextafter(line, -99))),
)


@st.composite
def polygons(draw: st.DrawFn) -> Any:
    corners = draw(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=6))
    try:
        return POLYGON.validate_python(corners)
    except ValidationError:
        assume(False)
        raise


@given(polygons())
@example([(2, 2), (5, 2), (5, 5), (2, 5)])
@example([(3.5, 3.5), (3.6, 3.5), (3.55, 3.6)])
@example([(-50, -50), (60, -50), (60, 60), (-50, 60)])
@example([(0, 0), (11, 1e-9), (11, 9), (0, 9)])
@example([(1, 1), (9, 1), (9, 8), (8, 8), (8, 2), (2, 2), (2, 8), (1, 8)])
def test_every_pixel_that_a_polygon_touches_is_hidden_and_no_other(polygon: Any) -> None:
    found = touched(np.array(polygon, np.float64), 11, 9)
    assert not (exactly_touched(polygon, 11, 9) & ~found).any()
    assert not (found & ~exactly_touched(polygon, 11, 9, reach=Fraction(1, 100_000))).any()


@given(polygons(), st.integers(1, 400), st.integers(1, 400))
def test_the_same_polygon_the_other_way_round_hides_the_same(polygon: Any, width: int, height: int) -> None:
    corners = np.array(polygon, np.float64) * [width / 11, height / 9]
    assert_array_equal(touched(corners, width, height), touched(corners[::-1], width, height))


@pytest.mark.parametrize("side", [49, 98, 103], ids=str)
def test_rounding_uncovers_no_pixel(side: int) -> None:
    assert 1 / 49 * 49 < 1  # so a diagonal seems to pass left of the corner of a pixel that it goes through
    corners = [(0, 0), (side, side), (0, side)]
    assert_array_equal(touched(np.array(corners, np.float64), side, side), exactly_touched(corners, side, side))


def test_a_polygon_far_larger_than_the_picture_hides_all_of_it() -> None:
    assert touched(np.array([[-1e5, -1e5], [1e5, -1e5], [1e5, 1e5], [-1e5, 1e5]]), 5, 4).all()


# Mask


@pytest.mark.parametrize(
    ("masks", "complaint"),
    [
        pytest.param({"door": []}, r"privacy\.mask\.door: expected a list of polygons.*got \[\]", id="none"),
        pytest.param({"door": None}, r"privacy\.mask\.door: expected a list of polygons.*got None", id="nothing"),
        pytest.param({"door": "left"}, r"privacy\.mask\.door: expected a list of polygons.*got 'left'", id="words"),
        pytest.param({"door": LEFT_THIRD}, r"privacy\.mask\.door: .*the corners of one: put it in a list", id="one"),
        pytest.param({"door": [[[0, 0], [1, 1]]]}, r"privacy\.mask\.door\.0: .*at least 3", id="a line"),
        pytest.param({"*": [LEFT_THIRD, [[0, 0], [1, 1], [1, 0], [0, 1]]]}, r"privacy\.mask\.\*\.1: .*cross", id="bow"),
        pytest.param({"door": [[[0, 0], ["a", 0], [1, 1]]]}, r"privacy\.mask\.door\.0.*valid number.*'a'", id="letter"),
        pytest.param(
            {"door": [[[0, 0], [0.3, 0], [0.3, 720], [0, 720]]]},
            r"privacy\.mask\.door\.0: got fractions of the picture and pixels",
            id="mixed units",
        ),
        pytest.param({"door": [[[0, 0], [1e6, 0], [0, 9]]]}, r"privacy\.mask\.door\.0: .*within 100000", id="far away"),
    ],
)
def test_what_would_not_hide_what_it_seems_to_is_refused(masks: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Mask(masks)


def test_a_mask_for_a_source_that_there_is_not_is_refused_with_the_closest_name() -> None:
    with pytest.raises(ConfigError, match=r"privacy\.mask\.dor: no source has this id\. Did you mean 'door'\?.*street"):
        Mask({"dor": [LEFT_THIRD]}, ["street", "door"])


def test_every_source_may_have_a_mask() -> None:
    Mask({"*": [LEFT_THIRD], "door": [LEFT_THIRD]}, ["street", "door"])


def test_nobody_looks_until_somebody_does_and_then_once_from_any_thread() -> None:
    below = WatchedPixels(noise())
    packet = Packet(Mask({"door": [LEFT_THIRD]}).hide(frame(below)))
    pixels = packet.frame.pixels
    assert (pixels.width, pixels.height, below.looks) == (WIDTH, HEIGHT, 0)
    together = threading.Barrier(4)

    def look(_: int) -> Any:
        together.wait(timeout=10)
        return pixels.bgr()

    with ThreadPoolExecutor(4) as threads:
        images = list(threads.map(look, range(4)))
    assert all(image is images[0] for image in images)
    assert below.looks == 1


def test_what_is_hidden_is_black_and_the_rest_is_as_it_was() -> None:
    image = noise()
    before = image.copy()
    packet = Packet(Mask({"door": [LEFT_THIRD]}).hide(frame(HostPixels(image))))
    got = packet.frame.image
    assert not got[:, :20].any()  # 0.3 of 64 is 19.2
    assert_array_equal(got[:, 20:], before[:, 20:])
    assert_array_equal(image, before)
    with pytest.raises(ValueError, match="read-only"):
        got[0, 0] = 1


def test_the_pixels_below_are_let_go_of() -> None:
    below = WatchedPixels(noise())
    gone = weakref.ref(below)
    packet = Packet(Mask({"door": [LEFT_THIRD]}).hide(frame(below)))
    del below
    packet.frame.image.sum()
    assert gone() is None


def test_only_the_pixels_of_a_frame_change() -> None:
    whole = frame(HostPixels(noise()))
    masked = Mask({"*": [LEFT_THIRD]}).hide(whole)
    same = {column.name for column in fields(Frame)} - {"pixels"}
    assert all(getattr(masked, name) is getattr(whole, name) for name in same)


def test_masks_of_a_source_and_of_every_source_add_up_and_others_see_nothing_of_them() -> None:
    mask = Mask({"*": [[[0, 0], [1, 0], [1, 0.1], [0, 0.1]]], "door": [LEFT_THIRD]})
    door, street = (hidden(mask.hide(frame(HostPixels(noise()), name)).image) for name in ("door", "street"))
    assert door[:5].all()
    assert door[:, :20].all()
    assert not door[5:, 20:].any()
    assert_array_equal(street, np.arange(HEIGHT)[:, None].repeat(WIDTH, axis=1) < 5)


def test_a_source_without_a_mask_keeps_its_frame() -> None:
    street = frame(watched_pixels.DevicePixels(noise()), "street")
    assert Mask({"door": [LEFT_THIRD]}).hide(street) is street


@pytest.mark.parametrize(
    "polygon",
    [pytest.param(LEFT_THIRD, id="fractions"), pytest.param([[0, 0], [19.2, 0], [19.2, 48], [0, 48]], id="pixels")],
)
def test_a_mask_follows_the_size_of_the_picture(polygon: Any) -> None:
    mask = Mask({"door": [polygon]})
    for width, height in ((WIDTH, HEIGHT), (320, 240), (7, 5), (WIDTH, HEIGHT)):
        image = mask.hide(frame(HostPixels(noise(width, height)))).image
        assert_array_equal(hidden(image), np.arange(width)[None].repeat(height, axis=0) <= 0.3 * width)


def test_pixels_are_those_of_the_first_picture() -> None:
    mask = Mask({"door": [[[0, 0], [32, 0], [32, 24], [0, 24]]]})
    for width, height in ((64, 48), (128, 96)):
        shown = hidden(mask.hide(frame(HostPixels(noise(width, height)))).image)
        assert np.isclose(shown[0].mean(), 0.5, atol=1.5 / width)


def test_a_frame_goes_nowhere_when_a_polygon_lies_outside_its_picture() -> None:
    mask = Mask({"door": [LEFT_THIRD, [[700, 0], [900, 0], [900, 400]]]})
    with pytest.raises(SourceError, match=r"privacy\.mask\.door\.1 hides nothing: .*'door', which has 64x48 pixels"):
        mask.hide(frame(HostPixels(noise())))


def test_a_misspelt_source_is_noticed_when_sources_come_while_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    mask = Mask({"door": [LEFT_THIRD]})
    with caplog.at_level(logging.WARNING):
        mask.hide(frame(HostPixels(noise()), "dor"))
        mask.hide(frame(HostPixels(noise()), "dor"))
        mask.hide(frame(HostPixels(noise()), "door"))
        mask.hide(frame(HostPixels(noise()), "street"))
    assert caplog.messages == ["source 'dor' has no mask of its own; there are masks for sources not seen yet: door"]


def test_nothing_is_said_of_a_source_without_a_mask_when_all_sources_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Mask({"door": [LEFT_THIRD]}, ["street", "door"]).hide(frame(HostPixels(noise()), "street"))
    assert caplog.messages == []


def test_a_masked_picture_cannot_be_had_on_the_device() -> None:
    pytest.importorskip("torch")
    from stages.topdown.device_path import Album  # noqa: PLC0415 - needs torch
    from stages.topdown.on_device import DevicePixels  # noqa: PLC0415

    below = watched_pixels.DevicePixels(noise())
    masked = Mask({"door": [LEFT_THIRD]}).hide(frame(below)).pixels
    assert isinstance(below, DevicePixels)
    assert not isinstance(masked, DevicePixels)
    there = Album([masked], "cpu")[0].numpy()
    assert not there[:, :, :20].any()
    assert there[:, :, 20:].all()


def test_what_replaces_pixels_offers_nothing_but_the_picture() -> None:
    for kind in (MaskedPixels, BlankPixels):
        assert {name for name in dir(kind) if not name.startswith("_")} == {"width", "height", "bgr"}


# Blank


def full_packet(pixels: Pixels) -> Packet:
    """A packet with everything that a packet can hold, as windows into larger arrays."""
    window = np.arange(400, dtype=np.float32)
    people = Instances.of(
        window[:8].reshape(2, 4),
        [0.5, 0.6],
        keypoints=window[:68].reshape(2, 17, 2),
        keypoint_score=window[:34].reshape(2, 17) / 99,
        skeleton=COCO_17,
    ).with_columns(track_id=[1, 2], predicted=[True, False], embedding=window[:64].reshape(2, 32))
    event = Event("door", "zone", "enter", 0, 0.0, NOW, "in", 1, (1.0, 2.0, 3.0, 4.0), window[:51].reshape(17, 3))
    return Packet(frame(pixels), people, (event,))


def reachable(start: object) -> Iterator[object]:
    """Yield whatever can be got at from an object, but for modules, classes and what they hold."""
    seen: dict[int, object] = {}
    ahead = [start]
    while ahead:
        one = ahead.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in {"module", "function"}:
            continue
        seen[id(one)] = one
        yield one
        ahead += gc.get_referents(one)
        if isinstance(one, np.ndarray) and one.base is not None:  # the collector does not look into arrays
            ahead.append(one.base)


async def test_a_blank_packet_leads_nowhere_near_the_picture() -> None:
    image = noise()
    packet = full_packet(WatchedPixels(image))
    (blank,) = await Blank().process([packet])
    found = list(reachable(blank))
    assert not any(isinstance(one, WatchedPixels) for one in found)
    assert not any(isinstance(one, np.ndarray) and np.shares_memory(one, image) for one in found)
    sources = [one for one in reachable(packet) if isinstance(one, np.ndarray)]
    assert any(np.shares_memory(one, image) for one in sources), "the walk does not reach pictures at all"


async def test_a_blank_packet_keeps_no_window_into_what_a_model_made() -> None:
    packet = full_packet(HostPixels(noise()))
    (blank,) = await Blank().process([packet])
    before = [one for one in reachable((packet.instances, packet.events)) if isinstance(one, np.ndarray)]
    after = [one for one in reachable((blank.instances, blank.events)) if isinstance(one, np.ndarray)]
    assert not any(np.shares_memory(one, other) for one in before for other in after)


async def test_nobody_looks_at_the_picture_and_it_is_let_go_of() -> None:
    below = WatchedPixels(noise())
    gone = weakref.ref(below)
    (blank,) = await Blank().process([full_packet(below)])
    blank.frame.image.sum()
    assert below.looks == 0
    del below
    assert gone() is None
    assert (blank.frame.width, blank.frame.height) == (WIDTH, HEIGHT)


async def test_people_and_events_stay_and_appearance_goes() -> None:
    packet = full_packet(HostPixels(noise()))
    (blank,) = await Blank().process([packet])
    assert packet.instances is not None
    assert blank.instances is not None
    for column in fields(Instances):
        before, after = (getattr(table, column.name) for table in (packet.instances, blank.instances))
        if column.name == "embedding":
            assert after is None
        else:
            assert_array_equal(before, after)
    (before, after) = (*packet.events, *blank.events)
    for detail in fields(Event):
        assert_array_equal(getattr(before, detail.name), getattr(after, detail.name))
    same = {detail.name for detail in fields(Frame)} - {"pixels"}
    assert all(getattr(blank.frame, name) is getattr(packet.frame, name) for name in same)


@pytest.mark.parametrize("people", [None, Instances.empty(), Instances.empty(COCO_17)], ids=["not looked", "0", "0 k"])
async def test_nobody_stays_nobody(people: Instances | None) -> None:
    (blank,) = await Blank().process([Packet(frame(HostPixels(noise())), people)])
    assert (blank.instances is None) == (people is None)
    assert blank.instances is None or (len(blank.instances), blank.events) == (0, ())


def test_blank_pictures_are_of_one_colour_read_only_and_shared() -> None:
    image = BlankPixels(5, 3).bgr()
    assert image.shape == (3, 5, 3)
    assert image.dtype == np.uint8
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 1
    assert BlankPixels(5, 3).bgr() is image
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 1


async def test_order_is_kept_and_sources_may_be_mixed() -> None:
    packets = [Packet(replace(make_frame(index, name))) for index, name in enumerate(["a", "b", "a", "c"])]
    done = await Blank().process(packets)
    assert [(one.source_id, one.frame.index) for one in done] == [("a", 0), ("b", 1), ("a", 2), ("c", 3)]


REVIEWED = {
    Packet: {"frame", "instances", "events", "places"},
    Frame: {
        "stream", "index", "pts_seconds", "captured_at", "arrived_monotonic", "pixels", "captured_by", "is_corrupt",
    },
    Stream: {"source_id", "live", "time_base", "frames_per_second", "expected_frames"},
    Instances: {
        "xyxy", "score", "class_id", "keypoints", "keypoint_score", "track_id", "embedding", "predicted", "skeleton",
    },
    Event: {
        "source_id", "rule", "kind", "frame_index", "pts_seconds", "captured_at", "reason", "track_id", "xyxy",
        "keypoints", "values", "is_state",
    },
}  # fmt: skip
"""What can be in a packet. `pixels` and `embedding` are made of the picture; of all others somebody has seen that they
are not."""


@pytest.mark.parametrize("kind", REVIEWED, ids=lambda kind: kind.__name__)
def test_whoever_adds_something_to_a_packet_thinks_of_privacy(kind: Any) -> None:
    assert {detail.name for detail in fields(kind)} == REVIEWED[kind], (
        "if the new field could hold a part of the picture, let stages.privacy.Blank take it away; then add it here"
    )

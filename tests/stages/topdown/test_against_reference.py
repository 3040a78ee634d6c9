"""The product against the official HRNet inference, written again step by step: one box, one joint at a time.

The functions of the reference share nothing with the product. Each names the step of the official code that it is.
"""

from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from pipeline.skeletons import COCO_17
from stages.topdown.crops import cut
from stages.topdown.heatmaps import Decoding, average, decode, flip_back
from stages.topdown.regions import regions_of_boxes, to_input, to_picture

METHODS: list[Decoding] = ["plain", "quarter", "dark"]
COCO_PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]


# The reference


class CentreAndScale(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    """Scale times 200, which is pixels."""


def xywh2cs(x: float, y: float, w: float, h: float, aspect: float) -> CentreAndScale:
    """lib/dataset/coco.py, `_xywh2cs`; and no region is less than a pixel high before it is padded."""
    centre = (x + w * 0.5, y + h * 0.5)
    w, h = max(w, 0.0), max(h, 0.0)
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = h * aspect
    if h < 1:
        w, h = aspect, 1.0
    return CentreAndScale(*centre, w * 1.25, h * 1.25)


def three_points(x: float, y: float, width: float) -> np.ndarray:
    """The centre, a point half a width above it, and one that makes a right angle there, to the left."""
    return np.array([[x, y], [x, y - width / 2], [x - width / 2, y - width / 2]], np.float32)


def get_affine_transform(region: CentreAndScale, width: int, height: int, *, inverse: bool = False) -> np.ndarray:
    """lib/utils/transforms.py, rot = 0."""
    there, here = three_points(region.x, region.y, region.width), three_points(width / 2, height / 2, width)
    return cv2.getAffineTransform(here, there) if inverse else cv2.getAffineTransform(there, here)


def get_warp_matrix(region: CentreAndScale, width: int, height: int) -> np.ndarray:
    """UDP: as `get_affine_transform`, with the distance of the outermost pixels as the size of the input."""
    across, down = (width - 1) / region.width, (height - 1) / region.height
    left, top = region.x - region.width / 2, region.y - region.height / 2
    return np.array([[across, 0, -left * across], [0, down, -top * down]])


def merge_flipped(hm: np.ndarray, flipped: np.ndarray, *, shift: bool) -> np.ndarray:
    """lib/core/function.py, `validate`, and lib/utils/transforms.py, `flip_back`; one person."""
    joints, _, width = hm.shape
    partner = {joint: joint for joint in range(joints)}
    for a, b in COCO_PAIRS:
        partner[a], partner[b] = b, a
    merged = np.zeros(hm.shape)
    for joint in range(joints):
        for column in range(width):
            seen = max(column - 1, 0) if shift else column
            merged[joint, :, column] = (hm[joint, :, column] + flipped[partner[joint], :, width - 1 - seen]) / 2
    return merged


def get_max_pred(hm: np.ndarray) -> tuple[int, int, float]:
    """lib/core/inference.py, `get_max_preds`; one joint. Strictly larger: the first of equal peaks stays."""
    best = (0, 0, float(hm[0, 0]))
    for y in range(hm.shape[0]):
        for x in range(hm.shape[1]):
            if hm[y, x] > best[2]:
                best = (x, y, float(hm[y, x]))
    return best if best[2] > 0 else (0, 0, best[2])


def quarter(hm: np.ndarray, x: int, y: int) -> tuple[float, float]:
    """lib/core/inference.py, `get_final_preds`, POST_PROCESS; one joint."""
    height, width = hm.shape
    px, py = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    if not (1 < px < width - 1 and 1 < py < height - 1):
        return x, y
    difference = np.sign([hm[py, px + 1] - hm[py, px - 1], hm[py + 1, px] - hm[py - 1, px]])
    return x + 0.25 * difference[0], y + 0.25 * difference[1]


def dark(hm: np.ndarray, x: int, y: int, kernel: int) -> tuple[float, float]:
    """DarkPose, lib/core/inference.py, `gaussian_blur` and `taylor`; one joint.

    Ours on top: no step out of the map, none where the blur leaves no hill.
    """
    height, width = hm.shape
    border = (kernel - 1) // 2
    larger = np.zeros((height + 2 * border, width + 2 * border))
    larger[border:-border, border:-border] = hm
    blurred = cv2.GaussianBlur(larger, (kernel, kernel), 0)[border:-border, border:-border]
    if not (1 < x < width - 2 and 1 < y < height - 2) or blurred.max() <= 0:
        return x, y
    m = np.log(np.maximum(blurred * hm.max() / blurred.max(), 1e-10))
    gradient = np.array([0.5 * (m[y, x + 1] - m[y, x - 1]), 0.5 * (m[y + 1, x] - m[y - 1, x])])
    dxx = 0.25 * (m[y, x + 2] - 2 * m[y, x] + m[y, x - 2])
    dyy = 0.25 * (m[y + 2, x] - 2 * m[y, x] + m[y - 2, x])
    dxy = 0.25 * (m[y + 1, x + 1] - m[y - 1, x + 1] - m[y + 1, x - 1] + m[y - 1, x - 1])
    hessian = np.array([[dxx, dxy], [dxy, dyy]])
    if abs(np.linalg.det(hessian)) < 1e-12:
        return x, y
    step = -np.linalg.inv(hessian) @ gradient
    end = x + step[0], y + step[1]
    return end if 0 <= end[0] <= width - 1 and 0 <= end[1] <= height - 1 else (x, y)


def read(hm: np.ndarray, method: Decoding, kernel: int) -> tuple[float, float, float]:
    x, y, score = get_max_pred(hm)
    if method == "plain":
        return x, y, score
    return (*(quarter(hm, x, y) if method == "quarter" else dark(hm, x, y, kernel)), score)


# The product against it


places = st.floats(-1500, 1500, width=32)
sides = st.one_of(
    st.sampled_from([0.0, 0.25, 1.0, 2.0, 640.0]),
    st.floats(-50, 900, width=32),
)
boxes = st.lists(st.tuples(places, places, sides, sides), min_size=1, max_size=4)


def xyxy_of(rows: list[tuple[float, ...]]) -> np.ndarray:
    x, y, w, h = np.array(rows, np.float32).T
    return np.column_stack([x, y, x + w, y + h])


def reference_regions(xyxy: np.ndarray, aspect: float) -> list[CentreAndScale]:
    return [xywh2cs(x1, y1, x2 - x1, y2 - y1, aspect) for x1, y1, x2, y2 in xyxy.astype(float).tolist()]


@st.composite
def heatmaps(draw: st.DrawFn, people: int = 2, joints: int = 17) -> np.ndarray:
    """Draw maps: Gaussians within and across the border, noise, negatives, plateaus and ties. Shape (n, k, h, w)."""
    height, width = draw(st.sampled_from([(64, 48), (16, 12), (7, 5), (5, 9), (3, 2), (1, 1)]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["smooth", "noisy", "noise", "ties", "negative", "zero"]))
    shape = (people, joints, height, width)
    x, y = random.uniform(-2, [[[width + 2]], [[height + 2]]], (2, people, joints))[..., None, None]
    hills = np.exp(-((np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2) / 8)
    made = {
        "smooth": hills * random.uniform(0, 1.1, (people, joints, 1, 1)),
        "noisy": hills + random.normal(0, 0.02, shape),
        "noise": random.normal(0, 1, shape),
        "ties": random.integers(-1, 3, shape) / 2,
        "negative": -hills - 0.1,
        "zero": np.zeros(shape),
    }[kind]
    return np.asarray(made, np.float32)


@given(rows=boxes, size=st.sampled_from([(192, 256), (288, 384), (256, 256)]))
def test_regions_and_affines_are_the_official_ones(rows: list[tuple[float, ...]], size: tuple[int, int]) -> None:
    regions = regions_of_boxes(xyxy_of(rows), size[0] / size[1])
    expected = reference_regions(xyxy_of(rows), size[0] / size[1])
    assert_allclose(np.hstack(regions), expected, rtol=1e-12)
    for ours, ours_udp, region in zip(
        to_input(regions, *size), to_input(regions, *size, udp=True), expected, strict=True
    ):
        corners = [
            [region.x + i * region.width, region.y + j * region.height, 1] for i in (-0.5, 0.5) for j in (-0.5, 0.5)
        ]
        # The official points are float32: on a region of a pixel far out, that is seen on the input.
        atol = 1e-6 + 1e-3 * size[0] / region.width
        assert_allclose(
            ours @ np.transpose(corners), get_affine_transform(region, *size) @ np.transpose(corners), atol=atol
        )
        assert_allclose(ours_udp, get_warp_matrix(region, *size), rtol=1e-9, atol=1e-6)


NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
PICTURE = np.asarray(cv2.GaussianBlur(NOISE, (5, 5), 0), np.uint8)


@given(
    box=st.one_of(
        st.tuples(st.floats(-50, 330), st.floats(-50, 250), st.floats(2, 400), st.floats(2, 400)),
        st.sampled_from([(300.0, 200.0, 100.0, 100.0), (-90.0, -90.0, 50.0, 50.0), (50.0, 50.0, 0.0, 80.0)]),
    )
)
def test_crops_are_those_of_the_official_affine(box: tuple[float, float, float, float]) -> None:
    xyxy = xyxy_of([box])
    (region,) = reference_regions(xyxy, 0.75)
    expected = cv2.warpAffine(PICTURE, get_affine_transform(region, 48, 64), (48, 64), flags=cv2.INTER_LINEAR)
    (crop,) = cut([PICTURE], [to_input(regions_of_boxes(xyxy, 0.75), 48, 64)], 48, 64)
    difference = np.abs(crop.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


@pytest.mark.parametrize("shift", [True, False])
@given(maps=heatmaps(), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_the_flip_test_merges_as_the_official_one(maps: np.ndarray, seed: int, *, shift: bool) -> None:
    flipped = np.random.default_rng(seed).permuted(maps, axis=-1)
    merged = average(maps, flip_back(flipped, COCO_17.mirrored, shift=shift))
    for ours, hm, other in zip(merged, maps, flipped, strict=True):
        assert_allclose(ours, merge_flipped(hm, other, shift=shift), atol=1e-6)


@pytest.mark.parametrize(
    ("method", "sigma", "kernel"), [("plain", 2.0, 11), ("quarter", 2.0, 11), ("dark", 2.0, 11), ("dark", 3.0, 17)]
)
@given(maps=heatmaps(joints=8))
@settings(max_examples=80)
def test_joints_are_those_of_the_official_code(maps: np.ndarray, method: Decoding, sigma: float, kernel: int) -> None:
    points, scores = decode(maps, method, sigma=sigma)
    expected = np.array([[read(hm, method, kernel) for hm in person] for person in maps.astype(float)])
    assert_allclose(points, expected[..., :2], atol=1e-3)
    assert_allclose(scores, expected[..., 2], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(
    maps=heatmaps(people=2, joints=5), rows=st.lists(st.tuples(places, places, sides, sides), min_size=2, max_size=2)
)
@settings(max_examples=40)
def test_joints_come_back_to_the_picture_by_the_official_affine(
    maps: np.ndarray, rows: list[tuple[float, ...]], method: Decoding
) -> None:
    height, width = maps.shape[2:]
    xyxy, aspect = xyxy_of(rows), width / height
    points, _ = decode(maps, method)
    found = to_picture(points, regions_of_boxes(xyxy, aspect), width, height)
    assert np.isfinite(found).all()
    for ours, person, region in zip(found, maps.astype(float), reference_regions(xyxy, aspect), strict=True):
        back = get_affine_transform(region, width, height, inverse=True)
        expected = [back @ [*read(hm, method, 11)[:2], 1] for hm in person]
        assert_allclose(ours, expected, atol=1e-3)


@given(rows=boxes, point=st.tuples(st.floats(0, 47), st.floats(0, 63)))
def test_joints_come_back_to_the_picture_by_the_rule_of_udp(
    rows: list[tuple[float, ...]], point: tuple[float, float]
) -> None:
    points = np.broadcast_to(np.array(point), (len(rows), 1, 2))
    found = to_picture(points, regions_of_boxes(xyxy_of(rows), 0.75), 48, 64, udp=True)
    for (ours,), region in zip(found, reference_regions(xyxy_of(rows), 0.75), strict=True):
        x = point[0] * region.width / 47 + region.x - region.width / 2
        y = point[1] * region.height / 63 + region.y - region.height / 2
        assert_allclose(ours, [x, y], atol=1e-6)

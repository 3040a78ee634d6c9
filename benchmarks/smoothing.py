"""How still `smooth` holds joints, and how late it is: the table in `trackers/smoothing.py`.

    python benchmarks/smoothing.py

The truth is made up, and known exactly; sizes are in heights of the person, times in seconds.

- **Trembling**: a person who stands still; joints are seen with noise of 1 % of the height. How far joints step from
  frame to frame (RMS), and how far they are from the truth, as a share of the same without the filter.
- **Walking**: 0.8 heights a second (1.4 m/s), with the same noise. How many ms the joints are behind.
- **Arm**: 0.35 heights to either side, 1.5 times a second (up to 3.3 heights a second: a wave, a punch), with the same
  noise. How many ms the phase of the swing is behind, and how much of its width is left.
- **Cost** of one frame, with 5, 20 and 100 people.
"""

import statistics
import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from trackers.smoothing import JointSmoothing, Strength

Floats = NDArray[np.float64]

HEIGHT_PX: Final = 400.0
NOISE: Final = 0.01
SCORE: Final = 0.9
PEOPLE: Final = 20
SECONDS, SETTLED_SECONDS = 20.0, 2.0
WALK: Final = 0.8
SWING, SWING_HZ = 0.35, 1.5
STRENGTHS: Final[tuple[Strength, ...]] = ("light", "strong")


class Seen(NamedTuple):
    """Joints after the filter has settled, shape (frames, people, joints, 2), heights."""

    noisy: Floats
    smooth: Floats


def film(strength: Strength, path: Floats, fps: int) -> Seen:
    """Show people who all move along a path, shape (frames, 2), heights."""
    rng, joints = np.random.default_rng(0), JointSmoothing(strength)
    noisy, smooth = [], []
    for index, place in enumerate(path):
        people = crowd(PEOPLE, place + rng.normal(0, NOISE, (PEOPLE, len(COCO_17), 2)))
        steady = joints.update(people, index / fps)
        assert people.keypoints is not None
        assert steady.keypoints is not None
        noisy.append(people.keypoints / HEIGHT_PX)
        smooth.append(steady.keypoints / HEIGHT_PX)
    settled = int(SETTLED_SECONDS * fps)
    return Seen(np.asarray(noisy[settled:], np.float64), np.asarray(smooth[settled:], np.float64))


def crowd(n: int, joints: Floats) -> Instances:
    boxes = np.tile([0, 0, 0.4 * HEIGHT_PX, HEIGHT_PX], (n, 1))
    score = np.full((n, len(COCO_17)), SCORE)
    table = Instances.of(boxes, np.ones(n), keypoints=joints * HEIGHT_PX, keypoint_score=score, skeleton=COCO_17)
    return table.with_columns(track_id=np.arange(1, n + 1))


def times(fps: int) -> Floats:
    return np.arange(0, SECONDS, 1 / fps)


def trembling(strength: Strength, fps: int) -> tuple[float, float]:
    """Give the share of the steps, and of the distance to the truth, that is left."""
    seen = film(strength, np.zeros((len(times(fps)), 2)), fps)
    steps = np.diff(seen.smooth, axis=0).std() / np.diff(seen.noisy, axis=0).std()
    return float(steps), float(seen.smooth.std() / seen.noisy.std())


def walking_lag_ms(strength: Strength, fps: int) -> float:
    path = np.column_stack([WALK * times(fps), 0 * times(fps)])
    seen = film(strength, path, fps)
    return float((seen.noisy - seen.smooth)[..., 0].mean() / WALK * 1000)


def swing(strength: Strength, fps: int) -> tuple[float, float]:
    """Give the lag in ms, and the share of the width that is left: the sine that fits best tells both."""
    turn = 2 * np.pi * SWING_HZ * times(fps)
    seen = film(strength, np.column_stack([SWING * np.sin(turn), 0 * turn]), fps)
    waves = np.column_stack([np.sin(turn), np.cos(turn)])[-len(seen.smooth) :]
    (sine, cosine), *_ = np.linalg.lstsq(waves, seen.smooth[..., 0].mean(axis=(1, 2)), rcond=None)
    return float(-np.arctan2(cosine, sine) / (2 * np.pi * SWING_HZ) * 1000), float(np.hypot(sine, cosine) / SWING)


def cost_ms(n: int) -> float:
    """Give the median time of a frame."""
    rng, joints, seconds = np.random.default_rng(0), JointSmoothing(), []
    for index in range(300):
        people = crowd(n, rng.uniform(0, 1, (n, len(COCO_17), 2)))
        started = time.perf_counter()
        joints.update(people, index / 30)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1000


def main() -> None:
    print("| strength | frames/s | steps left | error left | lag walking, ms | lag arm, ms | swing left |")
    print("|---|---|---|---|---|---|---|")
    for strength in STRENGTHS:
        for fps in (30, 10, 5):
            steps, error = trembling(strength, fps)
            lag, width = swing(strength, fps)
            walk = walking_lag_ms(strength, fps)
            print(f"| {strength} | {fps} | {steps:.0%} | {error:.0%} | {walk:.0f} | {lag:.0f} | {width:.0%} |")
    print("\n| people | ms a frame |\n|---|---|")
    for n in (5, 20, 100):
        print(f"| {n} | {cost_ms(n):.2f} |")


if __name__ == "__main__":
    main()

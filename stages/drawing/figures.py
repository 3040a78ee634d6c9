"""Drawn people who walk to and fro, with known boxes, joints and identities."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Instances

__all__ = ["Walkers", "walking_pose"]

_HEAD_RADIUS = 0.065
_LIMB_RADIUS = 0.028
_STRIDE = 0.8
"""Path of one gait cycle (two steps), in body heights."""
_TURNING = 0.2
"""How far from the side people begin to turn around, in body heights."""
_HEAD_CENTRE = 0.935
_LIMBS = ((5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16))
"""Bones of COCO-17 that are drawn as lines: all below the head."""


def walking_pose(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pose a person who walks to the right, seen half from the side.

    Lengths are fractions of the body height from Drillis and Contini, Body Segment Parameters (1966); the angles
    of the joints are plain sines, half a cycle apart for left and right.

    Args:
        phase: Place in the gait cycle in radians, shape (n,).

    Returns:
        Joints of COCO-17 as (forward, up) in body heights, origin between the feet; shape (n, 17, 2).
    """
    pose = np.zeros((len(phase), len(COCO_17), 2))
    pose[:, 0] = 0.06, 0.915
    pose[:, 1:5] = (0.055, 0.94), (0.035, 0.94), (0.0, 0.93), (-0.02, 0.93)
    for left, side in enumerate((-1, 1)):  # right joints stand behind left ones: 5 left shoulder, 6 right shoulder
        shoulder = 6 - left
        swing = phase + (np.pi if left else 0.0)
        arm, thigh, bend = -0.5 * np.sin(swing), 0.45 * np.sin(swing), 0.35 * (1 + np.cos(swing))
        pose[:, shoulder] = 0.05 * side, 0.818
        pose[:, shoulder + 2] = pose[:, shoulder] + _hanging(0.186, arm)
        pose[:, shoulder + 4] = pose[:, shoulder + 2] + _hanging(0.146, arm + 0.4)
        pose[:, shoulder + 6] = 0.035 * side, 0.53
        pose[:, shoulder + 8] = pose[:, shoulder + 6] + _hanging(0.245, thigh)
        pose[:, shoulder + 10] = pose[:, shoulder + 8] + _hanging(0.246, thigh - bend)
    return pose


def _hanging(length: float, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the lower end of a limb that hangs at `angle` radians forward of the vertical, shape (n, 2)."""
    return length * np.stack([np.sin(angle), -np.cos(angle)], axis=-1)


@dataclass(frozen=True)
class Walkers:
    """People who walk between the sides of a picture, half of them each way, at their own changing speeds.

    Everything is a function of time alone, and the same for the same fields.
    """

    people: int
    width: int
    height: int
    seed: int = 0

    @cached_property
    def _habits(self) -> dict[str, NDArray[np.float64]]:
        """What makes each person different: one row a person in every column."""
        random, n = np.random.default_rng(self.seed), self.people
        depth = random.permutation(np.linspace(0.0, 1.0, n)) if n > 1 else np.full(n, 0.5)
        body = (0.4 + 0.2 * depth) * self.height  # who is nearer is larger, and stands lower
        return {
            "body_px": body,
            "feet_px": (0.7 + 0.27 * depth) * self.height,
            "start_px": random.uniform(0, 2 * self.width, n),
            "speed_px": np.where(np.arange(n) % 2, -1, 1) * random.uniform(0.25, 0.5, n) * body,
            "sway_hz": random.uniform(0.1, 0.4, n),
            "sway": random.uniform(0.2, 0.6, n),
            "hue": np.arange(n, dtype=np.float64) * 0.618 % 1.0,
        }

    def truth(self, seconds: float) -> Instances:
        """Say who is where: boxes, joints, and identities 1..n, clipped to the picture.

        Who stands behind another one is there as well.
        """
        joints, body = self._joints(seconds), self._habits["body_px"]
        reach = _LIMB_RADIUS * body[:, None]
        head = self._head(joints, body)
        low = np.minimum(joints.min(axis=1) - reach, head - _HEAD_RADIUS * body[:, None])
        high = np.maximum(joints.max(axis=1) + reach, head + _HEAD_RADIUS * body[:, None])
        xyxy = np.hstack([low, high]).clip(0, [self.width, self.height] * 2)
        return Instances.of(
            xyxy,
            np.ones(self.people),
            keypoints=joints,
            keypoint_score=np.ones(joints.shape[:2]),
            skeleton=COCO_17,
        ).with_columns(track_id=np.arange(1, self.people + 1))

    def draw(self, seconds: float) -> NDArray[np.uint8]:
        """Draw everybody, far ones first: shape (H, W, 3), uint8, BGR."""
        image = self._room.copy()
        joints, habits = self._joints(seconds), self._habits
        heads = self._head(joints, habits["body_px"])
        for person in np.argsort(habits["feet_px"], kind="stable"):
            _draw_person(
                image, joints[person], heads[person], habits["body_px"][person], _colour(habits["hue"][person])
            )
        return image

    def _joints(self, seconds: float) -> NDArray[np.float64]:
        """Give the joints in pixels, shape (n, 17, 2)."""
        habits, body = self._habits, self._habits["body_px"]
        # The sway changes the speed by less than itself: nobody steps back.
        rhythm = 2 * np.pi * habits["sway_hz"]
        path = habits["start_px"] + habits["speed_px"] * (seconds + habits["sway"] * np.sin(rhythm * seconds) / rhythm)
        margin = np.minimum(0.35 * body, self.width / 2)
        room = np.maximum(self.width - 2 * margin, 1e-6)
        lap = np.mod(path, 2 * room)  # there and back again
        from_side = np.minimum(lap, 2 * room - lap)
        ahead = np.sign(habits["speed_px"])
        # Who comes close to a side turns around, and is seen narrower meanwhile.
        turned = np.minimum(1.0, np.minimum(from_side, room - from_side) / (_TURNING * body))
        facing = np.where(lap < room, ahead, -ahead) * turned
        pose = walking_pose(2 * np.pi * path * ahead / (_STRIDE * body))
        x = (margin + from_side)[:, None] + pose[..., 0] * (facing * body)[:, None]
        y = habits["feet_px"][:, None] - pose[..., 1] * body[:, None]
        return np.stack([x, y], axis=-1)

    def _head(self, joints: NDArray[np.float64], body: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the centres of the heads, above the middle of the shoulders, shape (n, 2)."""
        centre = (joints[:, 5] + joints[:, 6]) / 2
        centre[:, 1] -= (_HEAD_CENTRE - 0.818) * body
        return centre

    @cached_property
    def _room(self) -> NDArray[np.uint8]:
        """A wall above a floor, each a little brighter towards the viewer."""
        brightness = np.linspace(150, 190, self.height)
        brightness[int(0.65 * self.height) :] -= 50
        return np.repeat(brightness[:, None, None], self.width, axis=1).repeat(3, axis=2).astype(np.uint8)


def _draw_person(
    image: NDArray[np.uint8],
    joints: NDArray[np.float64],
    head: NDArray[np.float64],
    body_px: float,
    colour: tuple[int, int, int],
) -> None:
    points = joints.round().astype(int).tolist()
    thickness = max(1, round(2 * _LIMB_RADIUS * body_px))
    cv2.fillConvexPoly(image, np.array([points[k] for k in (5, 6, 12, 11)]), colour)
    for start, end in _LIMBS:
        cv2.line(image, points[start], points[end], colour, thickness, cv2.LINE_AA)
    skin = (150, 180, 225)
    cv2.circle(image, head.round().astype(int).tolist(), max(1, round(_HEAD_RADIUS * body_px)), skin, -1, cv2.LINE_AA)
    for eye in points[1:3]:
        cv2.circle(image, eye, max(1, round(0.008 * body_px)), (40, 40, 40), -1, cv2.LINE_AA)


def _colour(hue: float) -> tuple[int, int, int]:
    """Turn a hue in 0..1 into a strong BGR colour."""
    blue, green, red = cv2.cvtColor(np.array([[[hue * 179, 200, 170]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red

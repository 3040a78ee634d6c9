"""A stick figure that walks, sits down, bends over and falls, seen by a camera without perspective.

Lengths are shares of its height (Drillis and Contini 1966). A script is a list of (seconds, stance); between two of
them the figure moves smoothly.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import fakes
import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17, Skeleton
from pipeline.types import Event, Frame, HostPixels, Instances
from stages.rules.base import Rule

WIDTH, HEIGHT = 1280, 720
PIXELS = HostPixels(np.zeros((HEIGHT, WIDTH, 3), np.uint8))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stance:
    """Angles are degrees: of torso and head from up, of all else from down; forwards is positive."""

    torso: float = 0
    left_thigh: float = 0
    right_thigh: float = 0
    left_shank: float = 0
    right_shank: float = 0
    left_arm: float = 5
    right_arm: float = -5
    roll: float = 0
    """The whole body about its feet, to its left."""
    yaw: float = 0
    """0 looks to the right of the picture, 90 at the camera, 270 away from it."""
    x: float = 640
    y: float = 600
    """Where it touches the ground, pixels."""
    size: float = 300
    """Height, pixels."""


STAND = Stance()
SIT = Stance(torso=5, left_thigh=88, right_thigh=92)
SQUAT = Stance(torso=30, left_thigh=100, right_thigh=100, left_shank=-35, right_shank=-35)
BEND = Stance(torso=100, left_thigh=-8, right_thigh=-8, left_arm=0, right_arm=0)
LIE = Stance(torso=90, left_thigh=-90, right_thigh=-90, left_shank=-90, right_shank=-90, left_arm=-85, right_arm=-95)
HANDS_UP = Stance(left_arm=175, right_arm=185)

Script = list[tuple[float, Stance]]


def stance_at(script: Script, seconds: float) -> Stance:
    times = [time for time, _ in script]
    after = bisect_right(times, seconds)
    if after in {0, len(script)}:
        return script[min(after, len(script) - 1)][1]
    (begin, a), (end, b) = script[after - 1 : after + 1]
    share = 0.5 - 0.5 * np.cos(np.pi * (seconds - begin) / (end - begin))
    return Stance(*(np.array(astuple(a)) * (1 - share) + np.array(astuple(b)) * share).tolist())


def walk(script: Script, until: float, *, to_x: float | None = None, to_y: float | None = None) -> Script:
    """Let the last stance of a script swing its legs, twice a second, until then."""
    start, last = script[-1]
    steps = np.arange(0.25, until - start + 1e-9, 0.25)
    walked = []
    for number, step in enumerate(steps):
        swing, share = 28 * (-1) ** number, step / (until - start)
        x = last.x + share * ((last.x if to_x is None else to_x) - last.x)
        y = last.y + share * ((last.y if to_y is None else to_y) - last.y)
        legs = {"left_thigh": swing, "right_thigh": -swing, "left_shank": swing - 15, "right_shank": -swing - 15}
        walked.append((start + step, replace(last, **legs, left_arm=-swing, right_arm=swing, torso=4, x=x, y=y)))
    return [*script, *walked]


def joints_of(stance: Stance, pitch_degrees: float = 10.0) -> dict[str, Floats]:
    """Give every joint by name, (x, y) in pixels."""
    body = _turn(_body(stance), stance.roll)
    lowest = min(point[2] for name, point in body.items() if not name.endswith(("elbow", "wrist")))
    yaw, pitch = np.radians(stance.yaw), np.radians(pitch_degrees)
    seen = {}
    for name, (left, forward, up) in body.items():
        right = forward * np.cos(yaw) + left * np.sin(yaw)
        near = forward * np.sin(yaw) - left * np.cos(yaw)
        down = -(up - lowest + 0.04) * np.cos(pitch) + near * np.sin(pitch)
        seen[name] = np.array([stance.x, stance.y]) + stance.size * np.array([right, down])
    return seen


def people_of(
    stance: Stance,
    *,
    skeleton: Skeleton = COCO_17,
    pitch_degrees: float = 10.0,
    track_id: int = 1,
    score: float | Mapping[str, float] = 0.9,
) -> Instances:
    """Make a table of the one person; what is out of the frame is put on its edge, as networks do."""
    joints = joints_of(stance, pitch_degrees)
    points = np.clip([joints[name] for name in skeleton.joints], 0, [WIDTH, HEIGHT])
    scores = [score if isinstance(score, float) else score.get(name, 0.9) for name in skeleton.joints]
    box = np.clip([*points.min(axis=0) - 8, *points.max(axis=0) + 8], 0, [WIDTH, HEIGHT] * 2)
    table = Instances.of([box], [0.9], keypoints=[points], keypoint_score=[scores], skeleton=skeleton)
    return table.with_columns(track_id=[track_id])


def frame_at(seconds: float, index: int = 0) -> Frame:
    return replace(fakes.make_frame(index), pts_seconds=seconds, pixels=PIXELS)


def play(
    rule: Rule,
    script: Script,
    moments: Iterable[float],
    change: Callable[[float, Instances], Instances] = lambda _, people: people,
    **seen: Any,
) -> list[Event]:
    """Show a script to a rule at these times; `change` may spoil what is seen."""
    events = []
    for index, seconds in enumerate(float(time) for time in moments):
        people = change(seconds, people_of(stance_at(script, seconds), **seen))
        events += rule.update(frame_at(seconds, index), people)
    return events


def times(until: float, fps: float = 25.0) -> Floats:
    return np.arange(round(until * fps)) / fps


def told(events: list[Event]) -> list[tuple[str, float]]:
    return [(event.kind, round(event.pts_seconds, 2)) for event in events]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def _body(stance: Stance) -> dict[str, Floats]:
    """Give every joint as (left, forward, up), from the middle of the hips, as shares of the height."""
    torso = np.radians(stance.torso)
    up, front = np.array([0, np.sin(torso), np.cos(torso)]), np.array([0, np.cos(torso), -np.sin(torso)])
    side = np.array([1.0, 0, 0])
    neck = 0.288 * up
    body = {"pelvis": 0 * up, "thorax": neck, "upper_neck": neck + 0.05 * up, "head_top": neck + 0.182 * up}
    body["nose"] = neck + 0.11 * up + 0.05 * front
    for name, sign in (("left", 1), ("right", -1)):
        body[f"{name}_eye"] = neck + 0.13 * up + 0.04 * front + sign * 0.02 * side
        body[f"{name}_ear"] = neck + 0.12 * up + sign * 0.04 * side
        body[f"{name}_shoulder"] = shoulder = neck + sign * 0.11 * side
        arm = getattr(stance, f"{name}_arm")
        body[f"{name}_elbow"] = shoulder + 0.186 * _down(arm)
        body[f"{name}_wrist"] = shoulder + 0.332 * _down(arm)
        body[f"{name}_hip"] = hip = sign * 0.07 * side
        body[f"{name}_knee"] = knee = hip + 0.245 * _down(getattr(stance, f"{name}_thigh"))
        body[f"{name}_ankle"] = knee + 0.246 * _down(getattr(stance, f"{name}_shank"))
    return body


def _down(degrees: float) -> Floats:
    return np.array([0, np.sin(np.radians(degrees)), -np.cos(np.radians(degrees))])


def _turn(body: dict[str, Floats], roll_degrees: float) -> dict[str, Floats]:
    cos, sin = np.cos(np.radians(roll_degrees)), np.sin(np.radians(roll_degrees))
    foot = min(point[2] for point in body.values())
    return {
        name: np.array([cos * left + sin * (up - foot), forward, cos * (up - foot) - sin * left])
        for name, (left, forward, up) in body.items()
    }

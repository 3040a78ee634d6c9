"""The one point of a person that counts for a place, and how much it may tremble."""

from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.types import Instances

__all__ = ["Anchor", "Tremble", "anchor_points", "tremble_px"]

Anchor = Literal["feet", "hip", "box"]
"""`feet`: middle of both ankles, or of the box's lower edge where they are not seen. `hip`: middle of both hips, or of
the box. `box`: middle of the box."""

Tremble = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Up to 1 a share of the height of the person's box, above that pixels."""

_JOINTS: Final = {"feet": ("left_ankle", "right_ankle"), "hip": ("left_hip", "right_hip")}


def anchor_points(people: Instances, anchor: Anchor, min_joint_score: float) -> NDArray[np.float64]:
    """Give the point of each person that counts: (x, y) in pixels, shape (n, 2).

    Args:
        people: n rows.
        anchor: Which point.
        min_joint_score: A joint with less is not seen. One of two is not enough: a point that jumps half a step to the
            side when a foot is hidden would cross lines.
    """
    boxes = people.xyxy.astype(np.float64)
    y = boxes[:, 3] if anchor == "feet" else boxes[:, 1::2].mean(axis=1)
    points = np.column_stack([boxes[:, ::2].mean(axis=1), y])
    if anchor == "box" or people.keypoints is None or people.keypoint_score is None or people.skeleton is None:
        return points
    names = people.skeleton.joints
    columns = [names.index(joint) for joint in _JOINTS[anchor] if joint in names]
    if len(columns) < 2:
        return points
    seen = people.keypoint_score[:, columns].min(axis=1) >= min_joint_score
    middles = people.keypoints[:, columns].astype(np.float64).mean(axis=1)
    return np.asarray(np.where(seen[:, None], middles, points))


def tremble_px(people: Instances, tremble: float) -> NDArray[np.float64]:
    """Give for each person what `tremble` is in pixels, shape (n,)."""
    if tremble > 1:
        return np.full(len(people), tremble)
    height = people.xyxy[:, 3] - people.xyxy[:, 1]
    return np.asarray(tremble * np.clip(height, 0.0, None), np.float64)

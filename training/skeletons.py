"""What training wants to know of joints: which are of the lower body, and how much each of them counts."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton

__all__ = ["joint_weights", "lower_body"]

_LOWER: Final = re.compile(r"hip|pelvis|knee|ankle|foot|feet|heel|toe", re.IGNORECASE)


def lower_body(skeleton: Skeleton) -> NDArray[np.bool_]:
    """Tell which joints are hips or below, shape (k,), by their names; none where the names do not tell."""
    return np.array([bool(_LOWER.search(joint)) for joint in skeleton.joints])


def joint_weights(skeleton: Skeleton, weights: dict[str, float]) -> NDArray[np.float32]:
    """Say how much each joint counts, shape (k,): 1, or what is given.

    Args:
        skeleton: The joints.
        weights: By name of a joint; or of what comes behind its side: `wrist` means both.

    Raises:
        ConfigError: No joint is called so.
    """
    parts = [joint.removeprefix("left_").removeprefix("right_") for joint in skeleton.joints]
    if strangers := sorted(weights.keys() - {*parts, *skeleton.joints}):
        msg = (
            f"target.joint_weights: no joint is called '{strangers[0]}'; {skeleton.name} has"
            f" {', '.join(skeleton.joints)}"
        )
        raise ConfigError(msg)
    chosen = (weights.get(joint, weights.get(part, 1.0)) for joint, part in zip(skeleton.joints, parts, strict=True))
    return np.array(list(chosen), np.float32)

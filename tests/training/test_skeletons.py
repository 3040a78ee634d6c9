import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17, MPII_16
from training.skeletons import joint_weights, lower_body


def test_both_orders_of_joints_have_the_same_lower_body() -> None:
    assert np.flatnonzero(lower_body(COCO_17)).tolist() == [11, 12, 13, 14, 15, 16]
    assert np.flatnonzero(lower_body(MPII_16)).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_weights_of_joints_go_by_name_or_by_what_is_behind_the_side() -> None:
    weights = joint_weights(COCO_17, {"wrist": 1.5, "left_wrist": 2.0})

    assert weights[[9, 10]].tolist() == [2.0, 1.5]
    assert weights.sum() == pytest.approx(15 + 3.5)


def test_a_weight_for_no_joint_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no joint is called 'paw'; coco-17 has nose"):
        joint_weights(COCO_17, {"paw": 2.0})

"""HOTA (Luiten et al. 2021), MOTA (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani et al. 2016), by TrackEval.

TrackEval reads files and prints; here it is given arrays, and keeps quiet. What counts is its own code throughout: the
pre-processing of MOT17 (tracks on people who sit, on reflections and such are neither right nor wrong) included.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from trackeval.datasets import MotChallenge2DBox
from trackeval.metrics import CLEAR, HOTA, Identity
from trackeval.utils import TrackEvalException

from pipeline.errors import ConfigError
from stages.tracking.mot import Rows

__all__ = ["METRICS", "Count", "combine", "count", "figures"]

METRICS: Final = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW", "Frag", "FP", "FN")
"""The first five are 0..1, and HOTA's are means over its 19 thresholds; the rest are counts."""

Count = dict[str, dict[str, Any]]
"""What TrackEval counted, by metric: sequences are combined from this, not from ratios."""

_QUIET: Final = {"PRINT_CONFIG": False}
_METRICS: Final = {"HOTA": HOTA(), "CLEAR": CLEAR(_QUIET), "Identity": Identity(_QUIET)}


_CLASSES: Final = {
    "pedestrian": 1,
    "person_on_vehicle": 2,
    "car": 3,
    "bicycle": 4,
    "motorbike": 5,
    "non_mot_vehicle": 6,
    "static_person": 7,
    "distractor": 8,
    "occluder": 9,
    "occluder_on_ground": 10,
    "occluder_full": 11,
    "reflection": 12,
    "crowd": 13,
}
"""Of MOT16 and later (motchallenge.net/instructions), under TrackEval's names."""


def _data_set() -> Any:  # noqa: ANN401 - the package has no types
    """Make TrackEval's data set as its own constructor would, but for the files, which it would look for."""
    data_set = MotChallenge2DBox.__new__(MotChallenge2DBox)
    data_set.benchmark, data_set.do_preproc = "MOT17", True
    data_set.class_name_to_class_id = _CLASSES
    data_set.valid_class_numbers = list(_CLASSES.values())
    return data_set


def _truth(rows: Rows) -> dict[str, Any]:
    return {
        "gt_ids": rows.track_id,
        "gt_classes": rows.class_id,
        "gt_dets": rows.xywh,
        "gt_extras": {"zero_marked": rows.score},
    }


def _tracks(rows: Rows) -> dict[str, Any]:
    return {
        "tracker_ids": rows.track_id,
        "tracker_classes": rows.class_id,
        "tracker_dets": rows.xywh,
        "tracker_confidences": rows.score,
    }


def count(name: str, truth: list[Rows], tracks: list[Rows]) -> Count:
    """Hold the tracks of a sequence against the truth.

    Args:
        name: Of the sequence.
        truth: The annotated rows of each frame, at least one frame.
        tracks: The tracker's rows of each frame; ids are unique in a frame.

    Raises:
        ConfigError: The truth has somebody twice in a frame, or classes that the benchmark does not know.
    """
    data_set = _data_set()
    frames = [_truth(one) | _tracks(other) for one, other in zip(truth, tracks, strict=True)]
    for frame in frames:
        frame["similarity_scores"] = data_set._calculate_similarities(frame["gt_dets"], frame["tracker_dets"])  # noqa: SLF001
    raw = {column: [frame[column] for frame in frames] for column in frames[0]}
    try:
        looked_at = data_set.get_preprocessed_seq_data(raw | {"num_timesteps": len(frames), "seq": name}, "pedestrian")
    except TrackEvalException as error:
        msg = f"the ground truth of sequence '{name}' is wrong: {error}"
        raise ConfigError(msg) from error
    return {metric: counter.eval_sequence(looked_at) for metric, counter in _METRICS.items()}


def combine(counts: Mapping[str, Count]) -> Count:
    """Count all sequences as one: each box weighs the same, so a crowded sequence weighs more."""
    return {
        metric: counter.combine_sequences({name: one[metric] for name, one in counts.items()})
        for metric, counter in _METRICS.items()
    }


def figures(counted: Count) -> dict[str, float]:
    """Give METRICS out of what was counted."""
    hota, clear = counted["HOTA"], counted["CLEAR"]
    values = {
        "HOTA": hota["HOTA"],
        "DetA": hota["DetA"],
        "AssA": hota["AssA"],
        "IDF1": counted["Identity"]["IDF1"],
        "MOTA": clear["MOTA"],
        "IDSW": clear["IDSW"],
        "Frag": clear["Frag"],
        "FP": clear["CLR_FP"],
        "FN": clear["CLR_FN"],
    }
    return {name: float(np.mean(value)) for name, value in values.items()}

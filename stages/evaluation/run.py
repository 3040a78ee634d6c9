"""Runs a model over a data set, and says what came of it."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.types import Instances
from stages.evaluation.asked import Asked, weights_hashes
from stages.evaluation.look import look
from stages.evaluation.measure import Measure
from stages.evaluation.pictures import Picture

__all__ = ["Watch", "run"]

Found = Iterable[tuple[Picture, Instances]]

Watch = Callable[[Found, int], Found]
"""Passes on what it is given, and how many there will be, and shows how far it is."""


def run(asked: Asked, measure: Measure, watch: Watch = lambda found, _: found) -> dict[str, Any]:
    """Measure.

    Args:
        asked: The model; it is opened here, and closed.
        measure: The data set, to which nothing was added yet.
        watch: Told of every picture.

    Returns:
        Numbers, counts, settings, seconds and hashes: plain values, for JSON.

    Raises:
        ConfigError: The model does not fit the data set or this machine.
        WeightsError: The weights cannot be used.
        SourceError: A picture cannot be read.
    """
    started = time.perf_counter()
    wanted = [picture for picture in measure.pictures if picture.is_needed]
    with asked.plugin(asked.options) as model:
        measure.meet(model)
        looking = time.perf_counter()
        for picture, poses in watch(look(model, wanted), len(wanted)):
            measure.add(picture, poses)
        looked = time.perf_counter()
    return {
        "measure": measure.title,
        "metrics": measure.metrics(),
        "boxes": measure.boxes,
        "counts": dict(measure.counts),
        "seconds": {"looking": looked - looking, "all": time.perf_counter() - started},
        "model": {
            "kind": asked.kind,
            "options": asked.options.model_dump(mode="json"),
            "weights_sha256": weights_hashes(asked.options),
        },
    }

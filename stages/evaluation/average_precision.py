"""AP and AR of poses as COCO defines them (cocodataset.org/#keypoints-eval), counted by faster-coco-eval."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.errors import MissingPackage
from pipeline.registry import EXTRAS
from stages.evaluation.measure import Metrics
from stages.evaluation.people import Person, Truth

__all__ = ["METRICS", "average_precision", "need_the_counter"]

logger = logging.getLogger(__name__)

METRICS: Final = ("AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR", "AR50", "AR75", "AR(M)", "AR(L)")
"""AP and AR are means over OKS 0.50, 0.55 ... 0.95; M is 32^2 to 96^2 px^2, L is larger. 20 poses an image count."""

_PACKAGE: Final = "faster_coco_eval"
_NOBODY: Final = -1
"""What COCO's code gives where no annotated person is of that size."""


def need_the_counter() -> None:
    """See that the package is there, before a model runs for an hour.

    Raises:
        MissingPackage: It is not.
    """
    try:
        import faster_coco_eval  # noqa: F401, PLC0415 - an optional package
    except ModuleNotFoundError as error:
        msg = f"average precision needs the package '{_PACKAGE}': pip install 'kinestream[{EXTRAS[_PACKAGE]}]'"
        raise MissingPackage(msg) from error


def average_precision(truth: Truth, image_ids: Sequence[int], results: Sequence[Mapping[str, Any]]) -> Metrics:
    """Measure results against the annotated people of some images.

    Args:
        truth: The data set.
        image_ids: The images that were looked at; people in others count for nothing.
        results: As in COCO's result files: image_id, category_id, keypoints (x, y, score flat), score. Without `bbox`:
            the area of a pose is then that of its joints' extent, as in the published numbers.

    Returns:
        All of `METRICS`, 0..1; None where nobody is of that size.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415 - an optional package

    annotated = COCO(_tree(truth, image_ids), print_function=logger.debug)
    found = annotated.loadRes([dict(result) for result in results])  # it adds fields of its own
    count = COCOeval_faster(
        annotated, found, iouType="keypoints", print_function=logger.debug, kpt_oks_sigmas=list(truth.skeleton.sigmas)
    )
    count.evaluate()
    count.accumulate()
    count.summarize()
    return {
        name: None if value == _NOBODY else float(value) for name, value in zip(METRICS, count.stats[:10], strict=True)
    }


def _tree(truth: Truth, image_ids: Sequence[int]) -> dict[str, Any]:
    """Write the people as a COCO file again; ids count from 1, because 0 means `unmatched` to the counter."""
    chosen = set(image_ids)
    people = [person for image_id in image_ids for person in truth.people.get(image_id, ())]
    return {
        "images": [image.model_dump() for image in truth.images if image.id in chosen],
        "categories": [truth.category.model_dump()],
        "annotations": [_annotation(number, person) for number, person in enumerate(people, start=1)],
    }


def _annotation(number: int, person: Person) -> dict[str, Any]:
    return person.model_dump() | {"id": number}

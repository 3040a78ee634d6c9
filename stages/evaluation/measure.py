"""What a data set is to the command: pictures to look at, and a measure of the poses found in them."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.evaluation.pictures import Picture

__all__ = ["Measure", "Metrics"]

_log = logging.getLogger(__name__)

Metrics = dict[str, float | None]
"""Name -> value; None where the data set has nobody to measure it on."""


class Measure(ABC):
    """A data set, and how poses are measured on it: `meet` the model, `add` each picture's poses, ask for `metrics`."""

    digits: ClassVar[int]
    """How many digits after the point are shown to people."""

    title: str
    """What is measured: `COCO keypoints`."""
    skeleton: Skeleton
    """The joints that are annotated."""

    pictures: Sequence[Picture]
    """What is to be looked at."""
    boxes: str
    """Whose boxes are looked into, for people to read."""
    counts: Counter[str]
    """How many images, people, boxes and poses; and what was left out, by reason."""

    def meet(self, model: object) -> None:
        """See that an open model fits, before anything is run.

        Other names of as many joints are a warning: the same joints may be called otherwise, and most files of networks
        do not name theirs. The same names in another order are another order of joints.

        Raises:
            ConfigError: It finds other joints than those that are annotated.
        """
        skeleton: Skeleton | None = getattr(model, "skeleton", None)
        self.check_joints(skeleton)
        if skeleton is None or skeleton.joints == self.skeleton.joints:
            return  # a model that does not say shows it in its first table
        names = f"finds {', '.join(skeleton.joints)}; annotated are {', '.join(self.skeleton.joints)}"
        if {*skeleton.joints} == {*self.skeleton.joints}:
            msg = f"the model has the joints of the annotations in another order: it {names}; give one of their order"
            raise ConfigError(msg)
        _log.warning("joints are measured by their place, for their names differ: the model %s", names)

    def check_joints(self, skeleton: Skeleton | None) -> None:
        """See that joints are those that are annotated.

        Raises:
            ConfigError: With both counts.
        """
        if skeleton is not None and len(skeleton) != len(self.skeleton):
            msg = (
                f"the model finds {len(skeleton)} joints ({skeleton.name}), the annotations have {len(self.skeleton)}"
                f" ({self.skeleton.name}): give weights that were trained on {self.skeleton.name},"
                f" or annotations of {skeleton.name}"
            )
            raise ConfigError(msg)

    @abstractmethod
    def add(self, picture: Picture, poses: Instances) -> None:
        """Take the poses of one picture, with keypoints; the rows are those of `picture.people` where there are any.

        Raises:
            ConfigError: They have other joints than those that are annotated.
        """

    @abstractmethod
    def metrics(self) -> Metrics:
        """Measure what was added."""

    @abstractmethod
    def results(self) -> list[dict[str, Any]]:
        """Give what was added in the data set's own format, for a file."""

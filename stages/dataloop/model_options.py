"""The configuration of a model on the platform: what may stand in it, and which run it asks for."""

import difflib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from pipeline import plugin
from pipeline.errors import ConfigError
from pipeline.registry import explain
from stages.dataloop.annotating.chain import annotation_options, configuration
from stages.dataloop.annotating.desk import Filing
from stages.dataloop.artifacts import artifact_or_name
from stages.dataloop.standing import Assignment

__all__ = ["ModelOptions"]

_log = logging.getLogger(__name__)

_MPII: Final = "hrnet_w32_256x256"
_IMAGE_SIZES: Final = {"hrnet_w48_384x288": [384, 288], "hrnet_w32_256x192": [256, 192], _MPII: [256, 256]}
"""Height and width: weights of one's own are given under any name, which need not tell."""
_OF_DTLPY: Final = {
    "include_background", "upload_annotations", "clean_annotations", "overwrite_annotations", "upload_features",
    "root_path", "data_path", "output_path", "batch_size", "predict_embed_subset_limit", "predict_embed_timeout",
    "include_model_annotations", "id_to_label_map", "label_to_id_map", "embeddings_size",
}  # fmt: skip
"""What dtlpy, or the platform, puts into the same place; it means nothing here."""


class ModelOptions(plugin.Options):
    """The keys of the configuration. The first ten are those of the simple-HRNet adapter, with its defaults."""

    weight_config: Literal["hrnet_w48_384x288", "hrnet_w32_256x192", "hrnet_w32_256x256"] = "hrnet_w48_384x288"
    """Which HRNet. The last one is made from MPII: 16 joints, other names, a template of its own."""
    hrnet_joints_set: Literal["coco", "mpii"] = "coco"
    """The joints are those of the weights; `mpii` where they are others is an error."""
    single_person: bool = False
    """Take the best box of each frame only."""
    yolo_version: Literal["v3", "v5"] = "v5"
    """Either stands for the detector that took their place, YOLO11; `detector` names any other."""
    use_tiny_yolo: bool = False
    """The smallest of them: `yolo11n` in place of `yolo11m`."""
    disable_tracking: bool = False
    """Annotate each person of each frame alone."""
    max_batch_size: int = Field(default=16, ge=1)
    """How many people go through HRNet at once, at most."""
    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`; None: a GPU if there is one."""
    enable_tensorrt: bool = False
    """Run the pose network with TensorRT."""
    bounding_boxes: bool = True
    """Annotate boxes, too."""

    weights: str | None = None
    """A file among the artifacts of the model, or a name of the model zoo, in place of the HRNet's own weights."""
    pose: str | None = None
    """Another pose model in place of HRNet: as `--pose`, or a file among the artifacts."""
    detector: str | None = None
    """Another detector: as `--detector`, or a file among the artifacts."""
    tracker: str | None = None
    """Another tracker: as `--tracker`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Any other option by its dotted path, as `-o`: `{"pose.flip_test": true, "annotations.min_score": 0.4}`."""
    workers: int = Field(default=2, ge=1, le=64)
    """Items that are read at once."""
    resume: bool = False
    """Go on where an earlier run on this machine was interrupted, and leave alone what it has finished."""

    @classmethod
    def read(cls, configuration: Mapping[str, Any]) -> "ModelOptions":
        """Read them; null is the default.

        Raises:
            ConfigError: A value is wrong, or two contradict each other.
        """
        given = {key: value for key, value in configuration.items() if value is not None and key in cls.model_fields}
        for key in configuration.keys() - cls.model_fields.keys() - _OF_DTLPY:
            closest = difflib.get_close_matches(key, cls.model_fields, n=1)
            hint = f"; did you mean '{closest[0]}'?" if closest else ""
            _log.warning("the configuration of the model has '%s', which means nothing here%s", key, hint)
        try:
            options = cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError(explain(error, "configuration", {"": list(cls.model_fields)})) from None
        options.check()
        return options

    def check(self) -> None:
        """See that the joints are those of the weights, and say which they are.

        Raises:
            ConfigError: They are not.
        """
        if self.pose is not None:
            return
        own = "mpii" if self.weight_config == _MPII else "coco"
        if self.weights is None and self.hrnet_joints_set == "mpii" != own:
            msg = (
                f"hrnet_joints_set is 'mpii', but {self.weight_config} finds the 17 joints of COCO: set weight_config "
                f"to {_MPII}, or give weights of your own"
            )
            raise ConfigError(msg)
        if own == "mpii":
            _log.warning(
                "%s is made from MPII: it finds 16 joints under the names of MPII, which need the template "
                "'person-mpii-16' (kinestream dataloop setup --skeleton mpii-16)",
                self.weight_config,
            )

    def assignment(self, artifacts: Path, filing: Filing) -> Assignment:
        """Say what a run is to do.

        Args:
            artifacts: Where the files of the model are.
            filing: What annotations are filed under.

        Raises:
            ConfigError: Something does not fit together, or a file is missing.
        """
        overrides = [f"{path}={json.dumps(value)}" for path, value in self._overrides(artifacts)]
        config = configuration(self._models(artifacts), overrides, workers=self.workers, device=self.device)
        options = annotation_options(overrides, tracked=config.track is not None)
        return Assignment(config, options, filing, self.workers, self.resume)

    def _models(self, artifacts: Path) -> dict[str, str | None]:
        tracker = "none" if self.disable_tracking else self.tracker
        if self.pose is not None:
            return {
                "pose": artifact_or_name(self.pose, artifacts),
                "detect": self._detector(artifacts),
                "track": tracker,
            }
        yolo = "yolo11n" if self.use_tiny_yolo else "yolo11m"
        detector = self._detector(artifacts) or yolo
        return {"weight_config": self.weight_config, "detect": detector, "track": tracker}

    def _detector(self, artifacts: Path) -> str | None:
        return None if self.detector is None else artifact_or_name(self.detector, artifacts)

    def _overrides(self, artifacts: Path) -> Iterator[tuple[str, Any]]:
        """Yield dotted paths and values; later ones win."""
        yield "annotations.boxes", self.bounding_boxes
        if self.pose is None:
            yield "pose.max_batch", self.max_batch_size
            yield from self._own_weights(artifacts)
        if self.single_person:
            yield "pose.max_people" if self.pose is not None and self.detector is None else "detect.max_people", 1
        if self.enable_tensorrt:
            yield "pose.engine", "tensorrt"
        yield from self.options.items()

    def _own_weights(self, artifacts: Path) -> Iterator[tuple[str, Any]]:
        if self.weights is not None:
            yield "pose.weights", artifact_or_name(self.weights, artifacts)
            yield "pose.image_size", _IMAGE_SIZES[self.weight_config]
        if "mpii" in {self.hrnet_joints_set, "mpii" if self.weight_config == _MPII else ""}:
            yield "pose.joints", 16

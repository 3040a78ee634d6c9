"""A model of the Dataloop platform, loaded by the adapter through the real client of dtlpy: for tests of the adapter.

    bench.set_up()                                            # labels and template of the dataset
    adapter = bench.load({"pose": "square"})                  # a model with this configuration
    adapter = bench.load({"weights": "a.pth"}, path_of_a_pth) # and with artifacts
    adapter.predict_items(bench.items(video, photo))

Plug-ins for it, beside `square` of dataloop_square.py: the detector `square`, and the pose `row`, which sees several
people in a row, each 60 px to the right of the one before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import requests
from clips import Clip, picture
from dataloop_server import DataloopServer
from dataloop_square import SquarePose, square_in

from pipeline import plugin
from pipeline.skeletons import COCO_17, Skeleton, skeleton_for
from pipeline.types import Frame, Instances
from stages.dataloop.connection.client import Credentials, make_client
from stages.dataloop.connection.platform import Platform
from stages.dataloop.recipes import Recipes, carry_out, plan
from stages.detectors.base import Detector

__all__ = ["PLUGINS", "Bench"]

Json = dict[str, Any]

PLUGINS = {
    ("pose", "square"): "dataloop_square:SquarePose",
    ("pose", "row"): "dataloop_models:RowPose",
    ("detector", "square"): "dataloop_models:SquareDetector",
}


class Options(plugin.Options):
    """Options of `row`."""

    joints: int = 17
    people: int = 3
    device: str = "auto"


class RowPose(SquarePose):
    """Sees the square several times, in a row."""

    def __init__(self, options: Options) -> None:
        self.options = options  # type: ignore[assignment]
        self._signal_frame = -1

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        assert len(instances) == len(frames)
        return [self._row() for _ in frames]

    def _row(self) -> Instances:
        wish: Any = self.options
        skeleton = skeleton_for(wish.joints)
        joints = np.linspace((10, 20), (50, 90), len(skeleton)) + np.arange(wish.people)[:, None, None] * (60, 0)
        boxes = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
        scores = np.full((wish.people, len(skeleton)), 0.9)
        return Instances.of(
            boxes, np.full(wish.people, 0.95), keypoints=joints, keypoint_score=scores, skeleton=skeleton
        )


class DetectorOptions(plugin.Options):
    """Options of the detector `square`."""

    max_people: int = 300


class SquareDetector(Detector):
    """Takes the square for a person."""

    max_batch = 4

    def __init__(self, options: DetectorOptions) -> None:
        self.options = options

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        found = [square_in(frame.image) for frame in frames]
        return [Instances.empty() if box is None else Instances.of(box[None], np.array([0.9])) for box in found]


class Bench:
    """The platform, a dataset there, and models of it.

    Args:
        server: Of the platform.
        folder: For files of its own.
    """

    def __init__(self, server: DataloopServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.client = make_client(requests.Session(), Credentials.from_environment())
        self.adapters: list[Any] = []
        self._files = server.add_dataset("Binaries")
        """Where the platform keeps the artifacts of models."""

    def set_up(self, skeleton: Skeleton = COCO_17, dataset_id: str | None = None) -> None:
        """Make labels and template."""
        with Platform(like=self.client) as platform:
            carry_out(platform, plan(Recipes.read(platform, dataset_id or self.server.dataset_id), skeleton), skeleton)

    def model(self, configuration: Json | None, *artifacts: Path, name: str = "people") -> Any:
        """Make a model on the platform."""
        import dtlpy as dl  # noqa: PLC0415 - it takes a second, and warns

        ids = [
            self.server.add_item(path, self._files, filename=f"/artifacts/models/{name}/{path.name}")
            for path in artifacts
        ]
        made = self.server.store.add(
            "models",
            {
                "name": name, "packageId": "package", "datasetId": self.server.dataset_id, "status": "pre-trained",
                "context": {"project": self.server.project_id}, "configuration": configuration, "inputType": "image",
                "outputType": "pose", "moduleName": "kinestream", "labels": [], "metadata": {}, "version": "1",
                "artifacts": [{"type": "item", "itemId": one} for one in ids], "scope": "project",
            },
        )  # fmt: skip
        return dl.repositories.Models(client_api=self.client).get(model_id=made["id"])

    def load(self, configuration: Json | None, *artifacts: Path, name: str = "people") -> Any:
        """Load a new model; it is closed after the test."""
        from stages.dataloop.adapter import KinestreamAdapter  # noqa: PLC0415 - imports dtlpy

        adapter = KinestreamAdapter()
        self.adapters.append(adapter)
        adapter.load_from_model(
            self.model(configuration, *artifacts, name=name), local_path=str(self.folder / f"model {name}")
        )
        return adapter

    def items(self, *ids: str) -> list[Any]:
        """Give items as dtlpy has them."""
        import dtlpy as dl  # noqa: PLC0415 - as above

        return [dl.repositories.Items(client_api=self.client).get(item_id=one) for one in ids]

    def dataset(self, dataset_id: str | None = None) -> Any:
        """Give a dataset as dtlpy has it."""
        import dtlpy as dl  # noqa: PLC0415 - as above

        return dl.repositories.Datasets(client_api=self.client).get(dataset_id=dataset_id or self.server.dataset_id)

    def add_video(self, clip: Clip, **facts: Any) -> str:
        """Make an item of a clip."""
        known = {"fps": clip.fps, "frame_count": clip.frames, "width": clip.width, "height": clip.height}
        return self.server.add_item(clip.path, **(known | facts))

    def add_photo(self, number: int = 3, **facts: Any) -> str:
        """Make an item of a picture of 320x192."""
        path = self.folder / f"{number}.png"
        cv2.imwrite(str(path), picture(number))
        return self.server.add_item(path, **({"width": 320, "height": 192} | facts))

    def add_paper(self) -> str:
        """Make an item that is neither a video nor a picture."""
        (self.folder / "a.pdf").write_bytes(b"%PDF")
        return self.server.add_item(self.folder / "a.pdf")

    def kinds(self, item_id: str) -> dict[str, int]:
        """Count what is on an item by type."""
        types = [str(one["type"]) for one in self.server.annotations(item_id)]
        return {kind: types.count(kind) for kind in types}

    def close(self) -> None:
        """Close all adapters."""
        for adapter in self.adapters:
            adapter.close()
        self.client.session.close()

"""COCO results: what pycocotools reads."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from pipeline import plugin
from pipeline.types import Instances, Packet
from stages.rows import ids, predictions, rounded
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import SOURCE, OutputPath
from stages.sinks.partial import Output, RecordFile

__all__ = ["CocoSink", "Options"]


class Options(plugin.Options):
    """Options of `coco`."""

    path: OutputPath = "{source}.json"
    """File, relative to the run's folder; `{source}` makes one for each source."""
    image_id: Literal["frame", "source"] = "frame"
    """What `image_id` is: `frame`, the index of the frame in its source, from 0; or `source`, the number that the name
    of the source ends in, for photographs: `000000397133` is image 397133."""
    boxes: bool = True
    """Write `bbox` too. pycocotools then takes a person's area (which only counts in AP small, medium and large) from
    it; without, from the extent of the joints, as the tables of most papers do."""

    @model_validator(mode="after")
    def _images_are_told_apart(self) -> Self:
        if self.image_id == "frame" and SOURCE not in self.path:
            msg = "frames of two sources would have the same image_id: put {source} into the path"
            raise ValueError(msg)
        return self


class CocoSink(FileSink):
    """Writes one object a person: `image_id, category_id, score, keypoints, bbox, track_id`.

    The format is that of cocodataset.org/#format-results.
    `category_id` is 1, a person. `keypoints` is x, y, v flat, v being the score of the joint: the evaluation does not
    look at it, and viewers threshold it. `bbox` is [x, y, width, height]. `track_id` is there for people with an
    identity, and `predicted`, true, for those whom nobody looked at in this frame: their joints moved along with the
    box. Readers of the format pass over both. The file is a whole JSON array after every frame, also when the process
    is killed.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"xyxy"})

    def begin(self, target: Path) -> Output:
        """Create the file: an empty array."""
        return _CocoFile(target, self.options)


class _CocoFile(Output):
    def __init__(self, target: Path, options: Options) -> None:
        super().__init__(target)
        self._options = options
        self._separator = "\n"
        self._file = RecordFile(self.part, tail=b"\n]\n")
        self._file.append(b"[")

    def write(self, packet: Packet) -> None:
        if packet.instances is None or len(packet.instances) == 0:
            return
        image_id = self._image_id(packet.source_id, packet.frame.index)
        objects = [_encode(person) for person in _people(packet.instances, image_id, boxes=self._options.boxes)]
        self._file.append((self._separator + ",\n".join(objects)).encode())
        self._separator = ",\n"

    def close(self) -> None:
        self._file.close()

    def _image_id(self, source_id: str, index: int) -> int:
        if self._options.image_id == "frame":
            return index
        if (number := re.search(r"[0-9]+\Z", source_id)) is None:
            msg = (
                f"cannot write {self.target}: image_id is to be the number of the source, and the name '{source_id}' "
                "does not end in one; rename the source, or set image_id to 'frame'"
            )
            raise ValueError(msg)
        return int(number[0])


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _people(instances: Instances, image_id: int, *, boxes: bool) -> Iterator[dict[str, Any]]:
    corners, scores, joints = rounded(instances)
    predicted = predictions(instances)
    for row, track_id in enumerate(ids(instances)):
        x1, y1, x2, y2 = corners[row]
        person = {"image_id": image_id, "category_id": 1, "score": scores[row]}
        if joints is not None:
            person["keypoints"] = list(chain.from_iterable(joints[row]))
        if boxes or joints is None:
            person["bbox"] = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
        if track_id is not None:
            person["track_id"] = track_id
        if predicted[row]:
            person["predicted"] = True
        yield person

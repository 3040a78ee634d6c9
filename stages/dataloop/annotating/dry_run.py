"""A dry run: annotations go into a file, and nothing on the platform changes."""

import json
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import SinkError
from pipeline.types import Instances, Packet
from stages.dataloop.annotating.desk import MODEL_NAME, Sheet, Templates, require_rate, skeleton_of
from stages.dataloop.annotating.results import State
from stages.dataloop.delivery.upload import Uploaded
from stages.dataloop.download import download
from stages.dataloop.items import Item
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator, Segment, Stamp

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform

__all__ = ["DryDesk"]

_RUN: str = "dry"


class DryDesk:
    """Writes `{"items": [{"id", "name", "annotations": [...]}]}`: what would be posted, without parents' ids.

    Args:
        platform: Only asked.
        options: What is annotated, and how closely.
        out: The file. It gets its name with `complete`; until then it is called `.part`.

    Raises:
        SinkError: The file cannot be written.
    """

    state: ClassVar[State] = "written"

    def __init__(self, platform: "Platform", options: AnnotationOptions, out: Path) -> None:
        """Begin the file."""
        self._platform = platform
        self._options = options
        self._templates = Templates(platform)
        self._out = out
        self._part = out.with_name(f"{out.name}.part")
        self._lock = threading.Lock()
        self._items = 0
        self._append('{"items": [', mode="w")

    def open(self, item: Item) -> Sheet | Uploaded:
        """Begin an item."""
        require_rate(item)
        return _DrySheet(self, item)

    def fetch(self, item: Item, folder: Path) -> Path:
        """Download an item below `folder`."""
        self._templates.require(item.dataset_id)
        return download(self._platform, item, folder)

    def annotator(self, item: Item, packet: Packet) -> Annotator:
        """Make what makes the annotations of an item."""
        template = self._templates.of(item.dataset_id, skeleton_of(packet))
        return Annotator(item, template, Stamp(_RUN, MODEL_NAME, ""), self._options)

    def keep(self, item: Item, annotations: list[dict[str, Any]]) -> None:
        """Write an item.

        Raises:
            SinkError: The file cannot be written.
        """
        entry = {"id": item.id, "name": item.filename, "annotations": annotations}
        with self._lock:
            self._append((",\n" if self._items else "\n") + json.dumps(entry, allow_nan=False))
            self._items += 1

    def complete(self) -> None:
        """Give the file its name.

        Raises:
            SinkError: It cannot be written.
        """
        self._append("\n]}\n")
        self._part.replace(self._out)

    def close(self) -> None:
        """End all waits for the platform."""
        self._platform.close()

    def _append(self, text: str, mode: str = "a") -> None:
        try:
            with self._part.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            msg = f"cannot write the annotations to {self._part}: {error.strerror or error}"
            raise SinkError(msg) from error


class _DrySheet:
    """One item of a dry run."""

    needs_frames = True

    def __init__(self, desk: DryDesk, item: Item) -> None:
        self._desk = desk
        self._item = item
        self._annotator: Annotator | None = None
        self._poses: dict[str, dict[str, Any]] = {}
        self._annotations: list[dict[str, Any]] = []

    @property
    def warnings(self) -> list[str]:
        mismatch = None if self._annotator is None else self._annotator.mismatch()
        return [] if mismatch is None else [mismatch]

    def write(self, packet: Packet) -> None:
        if self._annotator is None:
            self._annotator = self._desk.annotator(self._item, packet)
        people = Instances.empty() if packet.instances is None else packet.instances
        self._take(self._annotator.add(packet.frame.pts_seconds, people))

    def finish(self) -> "Future[Uploaded]":
        if self._annotator is not None:
            self._take(self._annotator.finish())
        self._desk.keep(self._item, self._annotations)
        done: Future[Uploaded] = Future()
        done.set_result(Uploaded(self._item.id, _RUN, len(self._poses), len(self._annotations), 0))
        return done

    def close(self) -> None:
        """Nothing is kept of what was not finished."""

    def _take(self, segments: list[Segment]) -> None:
        """Keep segments as they would be on the platform: one pose an identity, which lasts as long as its points."""
        for segment in segments:
            if segment.object_id not in self._poses:
                self._poses[segment.object_id] = segment.pose
                self._annotations.append(segment.pose)
            self._annotations += segment.children
            system, latest = self._poses[segment.object_id]["metadata"]["system"], segment.pose["metadata"]["system"]
            if latest.get("endFrame", 0) > system.get("endFrame", 0):
                system |= {key: latest[key] for key in ("endFrame", "endTime")}

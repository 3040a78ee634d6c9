"""A contact sheet: one picture that tells what a video is about."""

from collections import Counter
from pathlib import Path
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline import plugin
from pipeline.types import Packet
from stages.drawing.canvas import Canvas
from stages.drawing.contact_sheet import Thumbnail, compose
from stages.drawing.overlay import Style, draw
from stages.media.pace import clock
from stages.rows import ids, writable_text
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import SOURCE, OutputPath
from stages.sinks.partial import Output

__all__ = ["Options", "SheetSink"]

_NAMED = 4
"""How many sources a title names."""


class Options(plugin.Options):
    """Options of `sheet`."""

    path: OutputPath = "{source}-sheet.png"
    """File, relative to the run's folder; without `{source}`, all sources share one sheet."""
    pictures: Annotated[int, Field(ge=1, le=100)] = 12
    """How many pictures it has, at most."""
    columns: Annotated[int, Field(ge=1, le=20)] = 4
    """How many stand side by side."""
    width: Annotated[int, Field(ge=64, le=1920)] = 480
    """Width of one picture, in pixels."""
    min_joint_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Joints below it are not drawn."""

    @field_validator("path")
    @classmethod
    def _is_a_png(cls, path: str) -> str:
        if not path.endswith(".png"):
            msg = "the path must end in .png"
            raise ValueError(msg)
        return path


class SheetSink(FileSink):
    """Writes a few frames with what was found in them, evenly spaced, as one PNG under `{source}-sheet.png`.

    It takes little memory and works for streams of unknown length: every frame of a short beginning is kept, then
    every second one, every fourth ... The sheet is drawn when its source ends; without a frame there is none.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"pixels"})
    waits_for_packets: ClassVar[bool] = True

    def begin(self, target: Path) -> Output:
        """Make an empty sheet."""
        return _Sheet(target, self.options)


class _Sheet(Output):
    def __init__(self, target: Path, options: Options) -> None:
        super().__init__(target)
        self._options = options
        self._style = Style(scores=False, min_joint_score=options.min_joint_score)
        self._canvas: Canvas | None = None
        self._kept: list[Thumbnail] = []
        self._step = 1
        self._frames = 0
        self._sources: set[str] = set()
        self._seen: Counter[tuple[str, int]] = Counter()

    def write(self, packet: Packet) -> None:
        if self._frames % self._step == 0:
            self._keep(packet)
        self._frames += 1
        self._sources.add(packet.source_id)
        if packet.instances is not None:
            self._seen.update(
                (packet.source_id, track_id) for track_id in ids(packet.instances) if track_id is not None
            )

    def close(self) -> None:
        if not self._kept:
            return
        chosen = np.linspace(0, len(self._kept) - 1, min(self._options.pictures, len(self._kept))).round().astype(int)
        pictures = [self._kept[index] for index in chosen]
        by_frames = list(dict.fromkeys(track_id for (_, track_id), _ in self._seen.most_common()))
        sheet = compose(pictures, self._options.columns, self._title(), by_frames)
        self._kept.clear()
        try:
            self.part.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
        except OSError as error:
            raise self.failed(error) from error

    def _keep(self, packet: Packet) -> None:
        """Keep a picture; where there are twice as many as wanted, first forget every second one."""
        if len(self._kept) == 2 * self._options.pictures:
            del self._kept[1::2]
            self._step *= 2
        frame = packet.frame
        if self._canvas is None:
            self._canvas = Canvas(frame.width, frame.height, self._options.width)
        image, instances = self._canvas.fit(frame.image, packet.instances)
        self._kept.append(Thumbnail(draw(image, instances, self._style), self._caption(packet)))

    def _caption(self, packet: Packet) -> str:
        parts = [clock(packet.frame.pts_seconds)]
        if SOURCE not in self._options.path:
            parts.insert(0, packet.source_id)
        if packet.instances is not None:
            parts.append(f"{len(packet.instances)} people")
        return writable_text("   ".join(parts))

    def _title(self) -> str:
        sources = ", ".join(sorted(self._sources)[:_NAMED]) + (", ..." if len(self._sources) > _NAMED else "")
        parts = [sources, f"{self._frames} frames"]
        if self._seen:
            parts.append(f"{len(self._seen)} identities")
        return writable_text("   ".join(parts))

"""Draws the packets of one source, one after the other: what was found in each, and what happened lately."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from pipeline import plugin
from pipeline.types import Frame, Instances, Packet
from stages.drawing.canvas import Canvas
from stages.drawing.happenings import Happenings, Saying
from stages.drawing.outlines import Outline
from stages.drawing.overlay import Judged, Style, draw
from stages.drawing.paint import Image
from stages.drawing.trails import Trails
from stages.media.pace import Rate, clock
from stages.rows import writable_text

__all__ = ["DrawingOptions", "Painter"]


class DrawingOptions(plugin.Options):
    """What every sink that draws can be told."""

    boxes: bool = True
    """Draw boxes."""
    skeletons: bool = True
    """Draw joints and bones: blue on the left side of the body, orange on the right."""
    labels: bool = True
    """Draw a tag with the identity at each box."""
    scores: bool = True
    """Write the score into it, too."""
    info: bool = True
    """Write source, time, frame rate and number of people into the upper left corner, and what rules count."""
    events: bool = True
    """Write what rules say: for 2 s at the person's box, and as a list in the lower left corner; falls in red."""
    places: bool = True
    """Draw where rules look: the borders of zones, and lines with an arrow to the side that is `in`."""
    trail_seconds: Annotated[float, Field(ge=0, le=60)] = 2.0
    """How long the trail of an identity is; 0 draws none."""
    min_joint_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Joints below it are not drawn."""
    width: Annotated[int, Field(ge=16)] | None = None
    """Scale down to this width in pixels, before drawing; null keeps the size."""


class Painter:
    """Draws on the frames of one source. All pictures have the size of the first one, with even sides.

    Args:
        options: What to draw.
    """

    def __init__(self, options: DrawingOptions) -> None:
        """Know nothing yet."""
        self._options = options
        self._style = Style(
            boxes=options.boxes,
            skeletons=options.skeletons,
            labels=options.labels,
            scores=options.scores,
            min_joint_score=options.min_joint_score,
        )
        self._frames_per_second: float | None = None
        self._rate = Rate()
        self._trails = Trails(options.trail_seconds)
        self._happenings = Happenings()
        self._canvas: Canvas | None = None

    def take_note(self, packet: Packet) -> None:
        """Look at the next packet: at each one, also where it is not drawn."""
        self._frames_per_second = self._rate.add(packet.frame.pts_seconds)
        self._happenings.add(packet.events, packet.frame.pts_seconds)

    def draw(self, packet: Packet) -> Image:
        """Draw the packet that was noted last.

        Returns:
            A new picture, shape (H, W, 3), uint8, BGR.
        """
        frame = packet.frame
        if self._canvas is None:
            self._canvas = Canvas(frame.width, frame.height, self._options.width)
        image, instances = self._canvas.fit(frame.image, packet.instances)
        trails = None
        if self._options.trail_seconds:
            self._trails.add(Instances.empty() if instances is None else instances, frame.pts_seconds)
            trails = self._trails.paths(frame.pts_seconds)
        notes = self._notes(packet) if self._options.info else ()
        judged = self._judged(packet, self._canvas)
        return draw(image, instances, self._style, trails=trails, notes=notes, judged=judged)

    def _judged(self, packet: Packet, canvas: Canvas) -> Judged:
        sayings, listed = self._sayings(packet, canvas) if self._options.events else ([], [])
        return Judged(sayings, listed, _outlines(packet, canvas) if self._options.places else ())

    def _sayings(self, packet: Packet, canvas: Canvas) -> tuple[list[Saying], list[Saying]]:
        frame = packet.frame
        at_boxes = [
            replace(saying, xyxy=saying.xyxy and _box(saying.xyxy, frame, canvas))
            for saying in self._happenings.at_boxes(frame.pts_seconds)
        ]
        return at_boxes, self._happenings.listed(frame.pts_seconds, live=frame.stream.live)

    def _notes(self, packet: Packet) -> tuple[str, ...]:
        """Say which source this is, what time it is there, how fast frames come, who is seen, and how things stand."""
        frame = packet.frame
        time = f"{frame.captured_at:%Y-%m-%d %H:%M:%S} UTC" if frame.stream.live else clock(frame.pts_seconds)
        parts = [time]
        if self._frames_per_second is not None:
            parts.append(f"{self._frames_per_second:.1f} fps")
        if packet.instances is not None:
            parts.append(f"{len(packet.instances)} people")
        return writable_text(frame.source_id), "   ".join(parts), *self._happenings.states()


def _outlines(packet: Packet, canvas: Canvas) -> list[Outline]:
    frame = packet.frame
    return [
        Outline(writable_text(place.rule), canvas.points(place.points, frame.width, frame.height), place.is_closed)
        for place in packet.places
    ]


def _box(xyxy: tuple[float, ...], frame: Frame, canvas: Canvas) -> tuple[float, ...]:
    corners = canvas.points((xyxy[:2], xyxy[2:]), frame.width, frame.height)
    return tuple(corners.ravel().tolist())

"""Every value that crosses a channel: read this file first.

    Frame      one picture of one source, with its time
    Instances  the people in one frame: one table of arrays, n rows
    Event      something that a rule saw happen
    Place      where a rule looks
    Packet     a frame and what is known about it so far
    SourceStatus  how a source is

All of them are frozen. Stages make new packets (`packet.with_instances(...)`); nobody mutates one.
Boxes are `xyxy` in pixels of the original frame, half-open; joints are (x, y) in pixels of the original frame.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.skeletons import Skeleton

__all__ = [
    "NO_TRACK",
    "Event",
    "Frame",
    "HostPixels",
    "Instances",
    "Packet",
    "Pixels",
    "Place",
    "SourceState",
    "SourceStatus",
    "Stream",
]

Scalar = TypeVar("Scalar", bound=np.generic)

NO_TRACK = -1
"""The track id of a row that has no confirmed identity yet."""


class Pixels(Protocol):
    """The picture of a frame, wherever it lies.

    A decoder hands over what it has; the other side is made when somebody asks, once. A picture that lies on a
    GPU is brought to the host only by a sink that draws.
    """

    @property
    def width(self) -> int:
        """Width in pixels, as shown (after rotation)."""

    @property
    def height(self) -> int:
        """Height in pixels, as shown (after rotation)."""

    def bgr(self) -> NDArray[np.uint8]:
        """Give the picture on the host: shape (H, W, 3), uint8, BGR, read-only. Safe to call from any thread."""


class HostPixels:
    """Pixels that are on the host already.

    Args:
        image: Shape (H, W, 3), uint8, BGR. It is not copied: do not write to it afterwards.

    Raises:
        ValueError: Shape or dtype is another one.
    """

    __slots__ = ("_image",)

    def __init__(self, image: NDArray[np.uint8]) -> None:
        """Keep a read-only view of `image`."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            msg = f"a picture must be (H, W, 3) uint8 BGR with H, W >= 1, got {image.shape = }, {image.dtype = }"
            raise ValueError(msg)
        self._image = _read_only(image)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self._image.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self._image.shape[0])

    def bgr(self) -> NDArray[np.uint8]:
        """Give the picture: shape (H, W, 3), uint8, BGR, read-only."""
        return self._image


@dataclass(frozen=True, slots=True)
class Stream:
    """What a source knows about itself once it is open; every frame of it points to the same object."""

    source_id: str
    live: bool = False
    """True when the world does not wait: a camera. False for a file, which does."""
    time_base: Fraction = Fraction(1, 90_000)
    """Seconds per tick of the source's own clock; outputs that keep time use the same."""
    frames_per_second: float | None = None
    """Average rate, if known. For people to read: time is in `Frame.pts_seconds`."""
    expected_frames: int | None = None
    """How many frames will come, if known; an estimate for progress bars."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one source. Its identity is `(source_id, index)`."""

    stream: Stream
    index: int
    """Counts the frames of the source in decoder order, from 0; frames left out by `every` are counted too."""
    pts_seconds: float
    """Presentation time in the stream, in seconds; from the container, never index / fps."""
    captured_at: datetime
    """Wall clock (UTC) at which the picture was taken, as far as known: see `captured_by`."""
    arrived_monotonic: float
    """`time.monotonic()` when the picture reached us; latency and staleness are measured from here."""
    pixels: Pixels = field(repr=False)
    captured_by: Literal["sender", "arrival"] = "arrival"
    """Whose clock `captured_at` is: the camera's (RTCP sender report) or ours, on arrival."""
    is_corrupt: bool = False
    """True for a picture that is damaged, or builds upon one that is: the engine counts it, and shows it to nobody."""

    @property
    def source_id(self) -> str:
        """Name of the source, unique in a run."""
        return self.stream.source_id

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.pixels.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.pixels.height

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture on the host: shape (H, W, 3), uint8, BGR, read-only."""
        return self.pixels.bgr()


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """The people in one frame: n rows, one a person. Every stage keeps the order of the rows.

    Arrays are converted to their dtype, checked once here, and read-only from then on.

    Raises:
        ValueError: A column has the wrong shape, or holds NaN or infinity.
    """

    xyxy: NDArray[np.float32]
    """Boxes (x1, y1, x2, y2) in pixels of the original frame, shape (n, 4)."""
    score: NDArray[np.float32]
    """Confidence in 0..1, shape (n,)."""
    class_id: NDArray[np.int32]
    """Class of the detector, shape (n,); 0 is a person."""
    keypoints: NDArray[np.float32] | None = None
    """Joints (x, y) in pixels of the original frame, shape (n, k, 2), in the order of `skeleton`."""
    keypoint_score: NDArray[np.float32] | None = None
    """Confidence of each joint in 0..1, shape (n, k)."""
    track_id: NDArray[np.int64] | None = None
    """Identity within the source, from 1; NO_TRACK (-1) where there is none yet. Shape (n,)."""
    embedding: NDArray[np.float32] | None = None
    """Appearance vectors, shape (n, d)."""
    predicted: NDArray[np.bool_] | None = None
    """True for a row that was not looked at in this frame: its joints moved along with its box, or `refine` put it
    between two sightings. Shape (n,)."""
    skeleton: Skeleton | None = None
    """Which joints `keypoints` holds."""

    def __post_init__(self) -> None:
        self._check("xyxy", np.float32, (None, 4))
        n = len(self.xyxy)
        self._check("score", np.float32, (n,))
        self._check("class_id", np.int32, (n,))
        self._check("track_id", np.int64, (n,))
        self._check("embedding", np.float32, (n, None))
        self._check("predicted", np.bool_, (n,))
        if (self.keypoints is None) != (self.skeleton is None) or (self.keypoints is None) != (
            self.keypoint_score is None
        ):
            msg = "keypoints, keypoint_score and skeleton come together: give all three or none"
            raise ValueError(msg)
        if self.skeleton is not None:
            self._check("keypoints", np.float32, (n, len(self.skeleton), 2))
            self._check("keypoint_score", np.float32, (n, len(self.skeleton)))

    def _check(self, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
        value = getattr(self, name)
        if value is None:
            return
        array = np.asarray(value, dtype=dtype)
        if array.shape == (0,) and not shape[0]:  # an empty list has lost its trailing dimensions
            array = array.reshape([size or 0 for size in shape])
        expected = tuple(got if size is None else size for size, got in zip(shape, array.shape, strict=False))
        if array.ndim != len(shape) or array.shape != expected:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            msg = f"{name} must have shape ({wanted}), got {array.shape}"
            raise ValueError(msg)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            rows = sorted(set(np.nonzero(~np.isfinite(array))[0].tolist()))
            msg = f"{name} must be finite, got NaN or infinity in rows {rows}"
            raise ValueError(msg)
        object.__setattr__(self, name, _read_only(array))

    @classmethod
    def empty(cls, skeleton: Skeleton | None = None) -> Self:
        """Nobody: zero rows, with joint columns if `skeleton` is given."""
        return cls.of(np.empty((0, 4)), np.empty(0), skeleton=skeleton)

    @classmethod
    def of(
        cls,
        xyxy: ArrayLike,
        score: ArrayLike,
        *,
        class_id: ArrayLike | None = None,
        keypoints: ArrayLike | None = None,
        keypoint_score: ArrayLike | None = None,
        skeleton: Skeleton | None = None,
    ) -> Self:
        """Build a table from anything array-like; class 0 (person) and joints of score 0 where left out.

        Args:
            xyxy: Shape (n, 4), pixels.
            score: Shape (n,), 0..1.
            class_id: Shape (n,).
            keypoints: Shape (n, k, 2), pixels.
            keypoint_score: Shape (n, k), 0..1.
            skeleton: The joints that `keypoints` holds.
        """
        boxes = np.asarray(xyxy, dtype=np.float32)
        n, k = len(boxes), 0 if skeleton is None else len(skeleton)
        has_joints = skeleton is not None
        return cls(
            xyxy=boxes,
            score=np.asarray(score, dtype=np.float32),
            class_id=np.zeros(n, np.int32) if class_id is None else np.asarray(class_id, dtype=np.int32),
            keypoints=_or_zeros(keypoints, (n, k, 2)) if has_joints or keypoints is not None else None,
            keypoint_score=_or_zeros(keypoint_score, (n, k)) if has_joints or keypoint_score is not None else None,
            skeleton=skeleton,
        )

    def with_columns(self, **columns: Any) -> Self:  # noqa: ANN401 - each column has its own dtype, checked above
        """Copy the table with some columns set: `instances.with_columns(track_id=ids)`."""
        return replace(self, **columns)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.xyxy)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.bool_] | NDArray[np.integer[Any]]) -> Self:
        """Select rows by mask, indices or slice; the columns stay aligned."""
        picked = np.asarray(rows, dtype=None if rows else np.int64) if isinstance(rows, Sequence) else rows
        columns: dict[str, Any] = {name: None if (c := getattr(self, name)) is None else c[picked] for name in _COLUMNS}
        return replace(self, **columns)

    def __repr__(self) -> str:
        """Show shapes, not numbers."""
        parts = [f"{name}{array.shape}" for name in _COLUMNS if (array := getattr(self, name)) is not None]
        return f"Instances({', '.join(parts)}, skeleton={self.skeleton and self.skeleton.name})"


_COLUMNS = tuple(column.name for column in fields(Instances) if column.name != "skeleton")


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """Something that a rule saw happen."""

    source_id: str
    rule: str
    """Name of the rule in the configuration: `door`."""
    kind: str
    """What happened: `enter`, `leave`, `cross`, `fall` ..."""
    frame_index: int
    pts_seconds: float
    captured_at: datetime
    """Wall clock (UTC) of the frame."""
    reason: str
    """Why, in words."""
    track_id: int | None = None
    """Whom it concerns; None where it is nobody in particular."""
    xyxy: tuple[float, ...] | None = None
    """The person's box, (x1, y1, x2, y2) in pixels of the frame."""
    keypoints: NDArray[np.floating[Any]] | None = None
    """The person's joints, (x, y, score), shape (k, 3)."""
    values: Mapping[str, float | str | bool] = field(default_factory=dict)
    """What else the rule says: `zone`, `seconds`, `count`."""
    is_state: bool = False
    """It says how things are now, so only the last one of its kind counts; otherwise each one does."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the picture that a rule watches: a zone, or a line."""

    rule: str
    """Name of the rule in the configuration: `door`."""
    points: tuple[tuple[float, float], ...]
    """Corners of a zone, or the two ends of a line: (x, y) in pixels of the frame."""
    is_closed: bool = True
    """False for a line, whose side to the right of the way from its first to its second end is `in`."""


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """A frame and what is known about it so far."""

    frame: Frame
    instances: Instances | None = None
    """None until a stage has looked for people; a table of zero rows when it found nobody."""
    events: tuple[Event, ...] = ()
    """What rules saw happen in this frame."""
    places: tuple[Place, ...] = ()
    """Where rules look; for sinks that draw."""

    @property
    def source_id(self) -> str:
        """Name of the source the frame came from."""
        return self.frame.stream.source_id

    def with_instances(self, instances: Instances) -> "Packet":
        """Make the packet that the next stage gets."""
        return replace(self, instances=instances)

    def with_events(self, events: Iterable[Event]) -> "Packet":
        """Make the packet that the next stage gets, with events added."""
        return replace(self, events=(*self.events, *events))

    def with_places(self, places: Iterable[Place]) -> "Packet":
        """Make the packet that the next stage gets, with places added."""
        return replace(self, places=(*self.places, *places))


SourceState = Literal[
    "waiting", "connecting", "reading", "live", "stalled", "reconnecting", "auth_error", "paused",
    "finished", "stopped", "failed",
]  # fmt: skip
"""How a source is.

    waiting        its turn has not come: so many files are open already
    connecting     a live source that has not given a frame yet; it may be absent, and is tried again and again
    reading        a file
    live           frames come
    stalled        connected, but no frame has come for `stall_timeout_seconds`
    reconnecting   the connection is lost; it is tried again and again
    auth_error     the credentials were refused; tried again slowly, so that no account is locked
    paused         by whoever runs it
    finished, stopped, failed    for good: at its end, by whoever runs it, or by an error
"""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is, since when, and why."""

    source_id: str
    state: SourceState
    since: datetime
    """UTC."""
    error: str | None = None
    """The last thing that went wrong, in words, secrets masked; None while all is well."""


def _read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Give a view that cannot be written through; the caller's own array keeps its flags."""
    view = array.view()
    view.flags.writeable = False
    return view


def _or_zeros(values: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32) if values is None else np.asarray(values, dtype=np.float32)

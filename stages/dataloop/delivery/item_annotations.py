"""One item from packets to the platform."""

from collections import deque
from typing import TYPE_CHECKING

from pipeline.types import Instances, Packet
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.upload import Upload, Uploaded, UploadLimits
from stages.dataloop.labels import Template
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator, Segment, Stamp

if TYPE_CHECKING:
    from concurrent.futures import Future

    from stages.dataloop.connection.platform import Platform
    from stages.dataloop.items import Item

__all__ = ["ItemAnnotations"]


class ItemAnnotations:
    """Makes annotations of the people in packets, and uploads them meanwhile.

    Where an interrupted run goes on, it gets all packets again: what is in the journal already is passed over. Once the
    journal is complete, no packet is needed any more, and an `Upload` alone brings to the platform what is left.

    Args:
        platform: Where the item is.
        item: What is annotated.
        template: Of the poses.
        journal: Of the item; it must be open, and stay so until the upload has ended.
        model_name: What the annotations are filed under: those of an earlier run under the same name are replaced.
        model_id: On the platform; empty where there is no such model.
        options: What is annotated, and how closely.
        limits: Of the upload.

    Raises:
        ValueError: The platform knows no frame rate of the video.
    """

    def __init__(  # noqa: PLR0913 - where, what, under which name; two with defaults
        self,
        platform: "Platform",
        item: "Item",
        template: Template,
        journal: Journal,
        model_name: str,
        *,
        model_id: str = "",
        options: AnnotationOptions | None = None,
        limits: UploadLimits | None = None,
    ) -> None:
        """Send nothing yet."""
        stamp = Stamp(journal.run_id, model_name, model_id)
        self._annotator = Annotator(item, template, stamp, options or AnnotationOptions())
        self._upload = Upload(platform, item, journal, model_name, limits)
        self._held: deque[Segment] = deque()
        """Those that the disk did not take yet."""

    @property
    def failure(self) -> BaseException | None:
        """Why nothing more is uploaded; None while all is well, or the platform just does not answer."""
        return self._upload.failure

    @property
    def warnings(self) -> list[str]:
        """What a careful reader should know although it goes well: frames that are not those of the platform."""
        mismatch = self._annotator.mismatch()
        return [] if mismatch is None else [mismatch]

    def write(self, packet: Packet) -> None:
        """Take the people of the next frame. Never waits for the platform.

        Raises:
            SinkError: The journal cannot be written: the disk is full. It is tried again with the next frame.
        """
        people = Instances.empty() if packet.instances is None else packet.instances
        self._held.extend(self._annotator.add(packet.frame.pts_seconds, people))
        self._put_held()

    def finish(self) -> "Future[Uploaded]":
        """Take note that this was the last frame; see `Upload.finish`.

        Raises:
            SinkError: The journal cannot be written; it may be called again.
        """
        self._held.extend(self._annotator.finish())
        self._put_held()
        return self._upload.finish()

    def abandon(self) -> None:
        """Stop now. What was there before stays, what was made waits in the journal. Twice, or at the end, is fine."""
        self._upload.abandon()

    def withdraw(self) -> None:
        """Stop now, and leave nothing of it; see `Upload.withdraw`."""
        self._upload.withdraw()

    def _put_held(self) -> None:
        while self._held:
            self._upload.put(self._held[0])
            self._held.popleft()

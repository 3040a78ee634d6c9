"""Dataloop: annotates an item of a dataset with the people of a source, their poses and identities.

To annotate many items, and to go on after an interruption, there is `kinestream dataloop annotate`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from pipeline.errors import ConfigError, SinkError
from pipeline.skeletons import COCO_17
from pipeline.stage import Overflow
from pipeline.types import Packet, SourceState, SourceStatus
from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.item_annotations import ItemAnnotations
from stages.dataloop.delivery.journal import Journal, journal_path
from stages.dataloop.errors import PlatformError, PlatformUnavailable
from stages.dataloop.items import Item, get_item
from stages.dataloop.recipes import find_template
from stages.dataloop.timeline.annotations import AnnotationOptions
from stages.sinks.base import FrameSink

__all__ = ["DataloopSink", "Options"]

_log = logging.getLogger(__name__)


class Options(AnnotationOptions):
    """Which item, and what of it is annotated."""

    item: str = Field(min_length=1)
    """Id of the item: the video or picture that the source reads, on the platform."""
    model: str = Field(default="kinestream", min_length=1)
    """Name under which the annotations are filed. Those of an earlier run under the same name are replaced; those of
    people, and of other models, are left alone."""


class DataloopSink(FrameSink):
    """Annotates one item with one source, in the background.

    Nothing here waits for the platform until the source has ended: what it does not take yet waits on disk. The new
    annotations are seen on the platform before those of an earlier run are deleted. With a file that was not read to
    its end, or a camera that failed, nothing is replaced; a camera that is stopped has come to its end.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"keypoints", "track_id"})
    overflow: ClassVar[Overflow] = "block"

    def __init__(self, options: Options, out: Path) -> None:
        """Keep the options; nothing is opened."""
        super().__init__(options, out)
        self._platform: Platform | None = None
        self._item: Item | None = None
        self._journal: Journal | None = None
        self._annotations: ItemAnnotations | None = None
        self._source_id: str | None = None
        self._state: SourceState = "reading"
        self._is_live = False
        self._is_done = False

    def open(self) -> None:
        """Log in, find the item, and begin its journal.

        Raises:
            ConfigError: That is no id of an item.
            SinkError: An earlier part of the source is lost, or the journal cannot be written.
            PlatformError: There is no login, no such item, or no answer.
        """
        if self._source_id is not None:
            msg = f"item {self.options.item} would have the people of a part only; nothing was replaced: run it again"
            raise SinkError(msg)
        self._platform = Platform.from_environment()
        self._item = get_item(self._platform, self.options.item)
        journal = Journal(journal_path(self.options.item))
        journal.open({"size": self._item.size, "options": self.options.model_dump(mode="json")})
        self._journal = journal
        self.description = f"Dataloop item {self._item.filename}"

    def source_changed(self, status: SourceStatus) -> None:
        """Take note of how the source is.

        Raises:
            ConfigError: It is a second one.
        """
        self._belongs(status.source_id)
        self._state = status.state

    def write(self, packet: Packet) -> None:
        """Annotate the people of a frame.

        Raises:
            ConfigError: It is of a second source.
            SinkError: The journal cannot be written, or the platform refuses what was uploaded before.
        """
        self._belongs(packet.source_id)
        with self._as_sink_error():
            annotations = self._annotations or self._begin(packet)
            if annotations.failure is not None:
                raise annotations.failure
            annotations.write(packet)

    def end_source(self, source_id: str) -> None:
        """Bring to the platform what is not there yet, and replace what was there before.

        Raises:
            SinkError: The platform refuses, or does not answer, or the journal cannot be written.
        """
        if source_id == self._source_id:
            self.finish()

    def finish(self) -> None:
        """Complete the item, if there was a frame; see `end_source`."""
        if self._annotations is None or self._is_done:
            return
        self._is_done = True
        with self._as_sink_error():
            if self._state == "failed" or (self._state == "stopped" and not self._is_live):
                self._annotations.withdraw()
                _log.warning(
                    "item %s: '%s' did not come to its end; nothing was replaced", self.options.item, self._source_id
                )
                return
            uploaded = self._annotations.finish().result()
        _log.info("item %s: %d people, %d annotations", uploaded.item_id, uploaded.people, uploaded.annotations)

    def close(self) -> None:
        """Upload nothing more, and log out."""
        annotations, self._annotations = self._annotations, None
        journal, self._journal = self._journal, None
        platform, self._platform = self._platform, None
        if platform is not None:
            platform.close()
        if annotations is not None:
            annotations.abandon()
        if journal is not None:
            journal.close()

    def _belongs(self, source_id: str) -> None:
        if self._source_id not in {None, source_id}:
            msg = (
                f"sink dataloop annotates item {self.options.item} with '{self._source_id}', and cannot put "
                f"'{source_id}' onto the same item: give it one source, or use kinestream dataloop annotate"
            )
            raise ConfigError(msg)
        self._source_id = source_id

    @contextmanager
    def _as_sink_error(self) -> Iterator[None]:
        """Make what the platform says a failure of this sink, which stops no other part."""
        try:
            yield
        except PlatformError as error:
            waited_for = error.__cause__  # what it says beside that is of runs that can be resumed
            reason = waited_for if isinstance(waited_for, PlatformUnavailable) else error
            msg = f"item {self.options.item} is not annotated, nothing was replaced, run it again: {reason}"
            raise SinkError(msg) from error

    def _begin(self, packet: Packet) -> ItemAnnotations:
        """Find out which joints there are: the first packet tells."""
        assert self._platform is not None
        assert self._item is not None
        assert self._journal is not None
        self._is_live = packet.frame.stream.live
        skeleton = packet.instances.skeleton if packet.instances is not None else None
        template = find_template(self._platform, self._item.dataset_id, skeleton or COCO_17)
        shown = {name: getattr(self.options, name) for name in AnnotationOptions.model_fields}
        self._annotations = ItemAnnotations(
            self._platform, self._item, template, self._journal, self.options.model, options=AnnotationOptions(**shown)
        )
        return self._annotations

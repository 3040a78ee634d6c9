"""Where items come from and their annotations go: the platform, with a journal for each item."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pipeline.errors import PipelineError
from pipeline.skeletons import Skeleton
from pipeline.types import Packet
from stages.dataloop.annotating.recording import Recordings
from stages.dataloop.annotating.results import State
from stages.dataloop.delivery.item_annotations import ItemAnnotations
from stages.dataloop.delivery.journal import Journal, journal_path
from stages.dataloop.delivery.upload import Upload, Uploaded
from stages.dataloop.download import download
from stages.dataloop.errors import PlatformError
from stages.dataloop.items import Item
from stages.dataloop.labels import Template
from stages.dataloop.recipes import find_template, require_template
from stages.dataloop.timeline.annotations import AnnotationOptions

if TYPE_CHECKING:
    from concurrent.futures import Future

    from stages.dataloop.connection.platform import Platform

__all__ = ["MODEL_NAME", "Desk", "Filing", "PlatformDesk", "Sheet", "Templates", "require_rate", "skeleton_of"]

MODEL_NAME = "kinestream"
"""What annotations are filed under: a run takes the place of earlier ones of the same name, and touches no others."""


@dataclass(frozen=True, slots=True)
class Filing:
    """What annotations are filed under."""

    model_name: str = MODEL_NAME
    model_id: str = ""
    """Of a model on the platform; empty where there is none."""


class Sheet(Protocol):
    """What is written about one item."""

    @property
    def needs_frames(self) -> bool:
        """False where an interrupted run has looked at every frame already."""

    @property
    def warnings(self) -> list[str]:
        """What a careful reader should know although all went well."""

    def write(self, packet: Packet) -> None:
        """Take the people of the next frame."""

    def finish(self) -> "Future[Uploaded]":
        """Take note that this was the last frame; the future says when everything is where it belongs."""

    def close(self) -> None:
        """End it. What is not finished stays for another run, and what was there before as it was."""


class Desk(Protocol):
    """Where items come from and annotations go. All calls block, and come from any thread."""

    state: ClassVar[State]
    """What an item is when it is finished."""

    def open(self, item: Item) -> Sheet | Uploaded:
        """Begin an item; or say what an earlier run has made of it, if there is nothing left to do.

        Raises:
            PipelineError: It cannot be annotated.
        """

    def fetch(self, item: Item, folder: Path) -> Path:
        """Download an item below `folder`.

        Raises:
            PipelineError: It is not there any more, or does not arrive whole; or its dataset is not set up.
        """

    def close(self) -> None:
        """End what still waits for the platform, at once."""


class Templates:
    """The templates of datasets. One that was found is not looked up again; one that is missing may be made meanwhile.

    Args:
        platform: Where to look.
    """

    def __init__(self, platform: "Platform") -> None:
        """Know none yet."""
        self._platform = platform
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Template] = {}
        self._set_up: set[str] = set()

    def require(self, dataset_id: str) -> None:
        """See that a dataset is set up for poses of some kind, before anything is downloaded.

        Raises:
            PlatformError: It is for none; says how to make it.
        """
        with self._lock:
            if dataset_id not in self._set_up:
                require_template(self._platform, dataset_id)
                self._set_up.add(dataset_id)

    def of(self, dataset_id: str, skeleton: Skeleton) -> Template:
        """Give the template for a skeleton.

        Raises:
            PlatformError: There is none; says how to make it.
        """
        key = (dataset_id, skeleton.name)
        with self._lock:
            if key not in self._known:
                self._known[key] = find_template(self._platform, dataset_id, skeleton)
            return self._known[key]


class PlatformDesk:
    """Brings annotations to the platform.

    Args:
        platform: Which one.
        recordings: Where the chain keeps the people of each frame.
        options: What is annotated, and how closely.
        settings: All else that decides the result: an interrupted run goes on with the same only.
        filing: What the annotations are filed under.
        resume: Go on where an earlier run was interrupted, and leave alone what it has finished.
    """

    state: ClassVar[State] = "annotated"

    def __init__(
        self,
        platform: "Platform",
        recordings: Recordings,
        options: AnnotationOptions,
        settings: Mapping[str, Any],
        filing: Filing = Filing(),
        *,
        resume: bool,
    ) -> None:
        """Begin nothing yet."""
        self.platform = platform
        self.recordings = recordings
        self.options = options
        self.filing = filing
        self.templates = Templates(platform)
        self._settings = settings
        self._resume = resume

    def open(self, item: Item) -> Sheet | Uploaded:
        """Take the item's journal: see `Desk.open`.

        Raises:
            PipelineError: The item has no frame rate, or an interrupted run had other settings.
        """
        require_rate(item)
        journal = Journal(journal_path(item.id))
        size = {"size": item.size, "fps": item.frames_per_second}
        journal.open({**size, **self._settings, "options": self.options.model_dump(mode="json")}, resume=self._resume)
        if (result := journal.result) is not None:
            journal.close()
            return Uploaded(**result)
        return _PlatformSheet(self, item, journal)

    def fetch(self, item: Item, folder: Path) -> Path:
        """Download an item: see `Desk.fetch`."""
        self.templates.require(item.dataset_id)
        return download(self.platform, item, folder)

    def close(self) -> None:
        """End all waits for the platform."""
        self.platform.close()


class _PlatformSheet:
    """One item on its way to the platform."""

    def __init__(self, desk: PlatformDesk, item: Item, journal: Journal) -> None:
        self.needs_frames = not journal.is_complete
        self._desk = desk
        self._item = item
        self._journal = journal
        self._annotations: ItemAnnotations | None = None
        self._upload: Upload | None = None
        desk.recordings.add(item.id, journal)

    @property
    def warnings(self) -> list[str]:
        return [] if self._annotations is None else self._annotations.warnings

    def write(self, packet: Packet) -> None:
        if self._annotations is None:
            template = self._desk.templates.of(self._item.dataset_id, skeleton_of(packet))
            filing = self._desk.filing
            self._annotations = ItemAnnotations(
                self._desk.platform,
                self._item,
                template,
                self._journal,
                filing.model_name,
                model_id=filing.model_id,
                options=self._desk.options,
            )
        if (failure := self._annotations.failure) is not None:
            raise failure
        self._annotations.write(packet)

    def finish(self) -> "Future[Uploaded]":
        self._desk.recordings.remove(self._item.id)
        if self._annotations is not None:
            return self._annotations.finish()
        if self.needs_frames:
            msg = f"no frame of {self._item} could be looked at"
            raise PlatformError(msg)
        self._upload = Upload(self._desk.platform, self._item, self._journal, self._desk.filing.model_name)
        return self._upload.finish()

    def close(self) -> None:
        self._desk.recordings.remove(self._item.id)
        if self._annotations is not None:
            self._annotations.abandon()
        if self._upload is not None:
            self._upload.abandon()
        self._journal.close()


def require_rate(item: Item) -> None:
    """See that frames of a video can be numbered, before it is downloaded.

    Raises:
        PlatformError: The platform knows no frame rate.
    """
    if item.is_video and not item.frames_per_second:
        msg = (
            f"the platform knows no frame rate (metadata.fps) of {item}, so nothing can be placed in time; wait "
            "until it has processed the video"
        )
        raise PlatformError(msg)


def skeleton_of(packet: Packet) -> Skeleton:
    """Say which joints were looked for.

    Raises:
        PipelineError: None.
    """
    if packet.instances is None or packet.instances.skeleton is None:
        msg = "no joints were looked for, so there is no pose to annotate: choose a pose model"
        raise PipelineError(msg)
    return packet.instances.skeleton

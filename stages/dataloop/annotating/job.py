"""From what was asked for to a job: what can be checked is, before a model is loaded or an item downloaded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import PipelineConfig
from stages.dataloop.annotating.chain import annotation_options, configuration, decisive
from stages.dataloop.annotating.desk import Desk, PlatformDesk
from stages.dataloop.annotating.dry_run import DryDesk
from stages.dataloop.annotating.recording import Recordings
from stages.dataloop.asked import count_items, find_dataset, items_named, items_of, read_filter
from stages.dataloop.connection.platform import Platform
from stages.dataloop.recipes import require_template

if TYPE_CHECKING:
    from stages.dataloop.annotating.annotate import Wanted

__all__ = ["Asked", "Job", "make_job"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    dataset: str | None
    project: str | None
    items: tuple[str, ...]
    filter_file: Path | None
    models: Mapping[str, str | None]
    overrides: tuple[str, ...]
    device: str | None
    workers: int
    resume: bool
    dry_run: Path | None


@dataclass(frozen=True, slots=True)
class Job:
    """Which items, how they are looked at, and where annotations go."""

    items: "Iterator[Wanted]"
    total: int
    desk: Desk
    recordings: Recordings
    config: PipelineConfig
    workers: int


def make_job(asked: Asked) -> Job:
    """Make it.

    Raises:
        ConfigError: An option is wrong.
        PlatformError: There is no login or no such dataset, or the dataset is not set up; says what to do.
    """
    config = configuration(asked.models, asked.overrides, workers=asked.workers, device=asked.device)
    options = annotation_options(asked.overrides, tracked=config.track is not None)
    conditions = [] if asked.filter_file is None else [read_filter(asked.filter_file)]
    recordings = Recordings()
    platform = Platform.from_environment()
    try:
        dataset_id = _dataset_id(platform, asked)
        desk: Desk
        if asked.dry_run is not None:
            desk = DryDesk(platform, options, asked.dry_run)
        else:
            desk = PlatformDesk(platform, recordings, options, decisive(config), resume=asked.resume)
        if asked.items:
            items, total = items_named(platform, asked.items, dataset_id), len(asked.items)
        else:
            assert dataset_id is not None
            items, total = items_of(platform, dataset_id, conditions), count_items(platform, dataset_id, conditions)
    except BaseException:
        platform.close()
        raise
    return Job(items, total, desk, recordings, config, asked.workers)


def _dataset_id(platform: Platform, asked: Asked) -> str | None:
    """Find the dataset, if one is named, and see that it is set up for poses of some kind."""
    if asked.dataset is None:
        return None
    dataset_id = str(find_dataset(platform, asked.dataset, asked.project)["id"])
    require_template(platform, dataset_id)
    return dataset_id

"""Lets a run of the pipeline read one file more, and says when all of it has come through."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import PipelineConfig, PluginConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.graph import make_sources
from pipeline.runner import Runner
from stages.dataloop.annotating.desk import Sheet
from stages.dataloop.annotating.distribution import Distribution
from stages.dataloop.annotating.item_source import ItemSource
from stages.dataloop.items import Item

__all__ = ["Reading", "Stopped"]


class Stopped(Exception):
    """The run ended before a file was read to its end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The run, and what it takes to let it read a file.

    Args:
        runner: Of the run, which goes on when there is no source.
        config: Of the run.
        distribution: Its sink.
    """

    runner: Runner
    config: PipelineConfig
    distribution: Distribution

    async def read(self, item: Item, path: Path, sheet: Sheet) -> tuple[int, list[str]]:
        """Read the file of an item; its people are on the sheet then.

        Returns:
            How many frames came through, and what was left out, in words.

        Raises:
            SourceError: It cannot be read to its end.
            Stopped: The run has ended, or is about to.
        """
        kind = "file" if item.is_video else "images"
        entry = PluginConfig.model_validate({"kind": kind, "path": str(path), "id": item.id})
        source = ItemSource(make_sources(self.config, entry)[0])
        ended = self.distribution.expect(item.id, sheet)
        try:
            self._add(source)
            await ended
            await source.closed.wait()
            outcome = self._outcome(source, item, path)
        except asyncio.CancelledError:
            raise  # the run has ended: there is nothing to remove it from
        except BaseException:
            await self._remove(item.id)
            raise
        await self._remove(item.id)
        return outcome

    def _add(self, source: ItemSource) -> None:
        try:
            self.runner.sources.add(source)
        except ConfigError as error:  # it ends meanwhile
            raise Stopped from error

    def _outcome(self, source: ItemSource, item: Item, path: Path) -> tuple[int, list[str]]:
        for loop in self.runner.sources.loops:
            if loop.source is source and loop.failure is not None:
                said = str(loop.failure).replace(str(path), item.filename)  # nobody knows the path of a download
                raise SourceError(said) from loop.failure
        if not source.is_complete:
            raise Stopped
        counts = self.runner.telemetry.sources[source.source_id]
        left_out = [f"{counts.corrupt_frames} damaged frames were left out"] if counts.corrupt_frames else []
        if counts.dropped:
            reasons = ", ".join(f"{count} {reason}" for reason, count in counts.dropped.items())
            left_out.append(f"frames could not be looked at: {reasons}")
        return counts.delivered, left_out

    async def _remove(self, item_id: str) -> None:
        """Let the run forget an item: it must not grow with their number."""
        self.distribution.forget(item_id)
        if item_id in self.runner.sources.ids:
            await self.runner.sources.remove(item_id)
            self.runner.telemetry.sources.pop(item_id, None)

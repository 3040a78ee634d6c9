"""The training itself: epochs of steps, measured and kept, until it is done or asked to stop."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from stages.drawing.paint import Image
from training.board import draw_found
from training.checkpoints import LAST, Folder
from training.config import TrainConfig
from training.datasets import People
from training.learner import Diverged, Learner, Step
from training.loading import Batch, Loader
from training.peers import Peers
from training.place import Place, Totals
from training.schedule import rate_factor
from training.stopping import Stop
from training.validation import Validation
from training.witness import Witness

__all__ = ["Outcome", "Training"]


class Outcome(NamedTuple):
    """How a training ended."""

    is_complete: bool
    """False: it was asked to stop."""
    epochs: int
    best: float | None
    """The best measurement; None if nothing was measured."""


class Training:
    """A network, its data, and how far it is.

    Args:
        config: What was written down.
        people: Whom it learns from.
        learner: The network.
        validation: What it is measured on; None for nothing, and for all but the first process.
        folder: Where checkpoints go.
        peers: Who else trains.
        witnesses: Who is told; nobody in all but the first process.
    """

    def __init__(
        self,
        config: TrainConfig,
        people: People,
        learner: Learner,
        validation: Validation | None,
        folder: Folder,
        peers: Peers,
        witnesses: Sequence[Witness] = (),
    ) -> None:
        """Stand at the beginning."""
        self._config, self._people, self._learner, self._validation = config, people, learner, validation
        self._folder, self._peers, self._witnesses = folder, peers, witnesses
        self._place, self._totals = Place(), Totals()
        self._history: list[dict[str, Any]] = []
        self._best: float | None = None
        self._last_batch: Batch | None = None
        self._saved_at = time.monotonic()

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Take up what a checkpoint holds; see `checkpoints.read_checkpoint`."""
        self._learner.restore(saved)
        self._place, self._totals = Place(**saved["place"]), Totals(**saved["totals"])
        self._history, self._best = list(saved["history"]), saved["best"]
        torch.set_rng_state(saved["rng"]["cpu"])
        if saved["rng"]["cuda"] is not None and self._peers.device.type == "cuda":
            torch.cuda.set_rng_state(saved["rng"]["cuda"], self._peers.device)

    def run(self, loader: Loader, stop: Stop) -> Outcome:
        """Train until the last epoch, or until somebody asks to stop.

        Raises:
            Diverged: The loss is no finite number any more.
            SourceError: The pictures cannot be read.
            SinkError: A checkpoint cannot be written; the one before is intact.
        """
        while self._place.epoch < self._config.epochs:
            self._place = self._place.within(len(loader))
            for batches in self._groups(loader):
                if self._step(batches, loader, stop):
                    self._keep()
                    return Outcome(is_complete=False, epochs=self._place.epoch, best=self._best)
            if self._validation is not None and self._is_due(self._place.epoch + 1):
                self._keep()  # measuring may take long, and may fail
            self._end_epoch(loader)
        return Outcome(is_complete=True, epochs=self._place.epoch, best=self._best)

    def _groups(self, loader: Loader) -> Iterator[list[Batch]]:
        """Give the batches of each step that is left of this epoch; the last step may have fewer."""
        batches = loader.epoch(self._place.epoch, self._place.batch)
        while group := list(itertools.islice(batches, self._config.optimiser.accumulate)):
            yield group

    def _step(self, batches: Sequence[Batch], loader: Loader, stop: Stop) -> bool:
        """Take a step; tell whether to stop."""
        factor = rate_factor(self._config.schedule, self._place.epochs, self._config.epochs)
        rate = self._config.optimiser.lr * factor
        step = self._taken(batches, rate, stop)
        self._totals.add(step.loss, step.accuracy, sum(len(batch.rows) for batch in batches) * self._peers.world)
        for witness in self._witnesses:
            witness.step(self._place, step, rate)
        self._place, self._last_batch = self._place.after(len(batches)), batches[-1]
        is_late = time.monotonic() - self._saved_at > 60 * self._config.save_minutes
        if is_late and self._place.batch < len(loader) and not step.is_asked_to_stop:
            self._keep()
        return step.is_asked_to_stop

    def _taken(self, batches: Sequence[Batch], rate: float, stop: Stop) -> Step:
        try:
            return self._learner.step(batches, rate, stop=stop.asked)
        except Diverged as error:
            names = ", ".join(str(self._people.pictures[row]) for row in batches[0].rows.tolist()[:5])
            msg = (
                f"training has diverged: in epoch {self._place.epoch + 1}, batch {self._place.batch + 1} of"
                f" {self._place.batches} ({names} ...), {error}. {self._last_good()} Lower optimiser.lr, or set"
                " optimiser.clip=1, and go on with --resume"
            )
            raise Diverged(msg) from error

    def _last_good(self) -> str:
        path = self._folder.path / LAST
        return f"'{path}' was written before that." if path.exists() else "No checkpoint was written yet."

    def _end_epoch(self, loader: Loader) -> None:
        epoch = self._place.epoch + 1
        self._place = self._place.next_epoch()
        row = self._summary(epoch, loader)
        is_due = self._is_due(epoch)
        metrics = self._measured() if is_due else {}
        self._history.append(row | metrics)
        is_best = self._is_best(metrics)
        self._totals = Totals()
        for witness in self._witnesses:
            witness.epoch(self._history)
        if is_due or time.monotonic() - self._saved_at > 60 * self._config.save_minutes:
            self._keep(is_best=is_best)
        self._peers.wait()

    def _is_due(self, epoch: int) -> bool:
        """Tell whether it is measured after an epoch, counted from 1."""
        return epoch % self._config.measure.every_epochs == 0 or epoch == self._config.epochs

    def _summary(self, epoch: int, loader: Loader) -> dict[str, Any]:
        steps, pace = max(self._totals.steps, 1), loader.pace
        factor = rate_factor(self._config.schedule, epoch - 1, self._config.epochs)
        return {
            "epoch": epoch,
            "step": self._place.step,
            "loss": self._totals.loss / steps,
            "found_joints": self._totals.accuracy / steps,
            "lr": self._config.optimiser.lr * factor,
            "images": self._totals.images,
            "images_per_second": pace.images_per_second * self._peers.world,
            "waiting": pace.waiting,
            "broken": len(loader.broken),
        }

    def _measured(self) -> dict[str, float | None]:
        if self._validation is None:
            return {}
        network, threads = self._config.network, torch.get_num_threads()
        try:
            return self._validation.measure(self._learner.result, network.title, network.channels)
        finally:  # engines take every core; sums over another number of threads would be others in their last bits
            torch.set_num_threads(threads)

    def _is_best(self, metrics: Mapping[str, float | None]) -> bool:
        value = None if self._validation is None else metrics.get(self._validation.main)
        if value is None or (self._best is not None and value <= self._best):
            return False
        self._best = value
        return True

    def _keep(self, *, is_best: bool = False) -> None:
        """Write a checkpoint, in the first process."""
        self._saved_at = time.monotonic()
        if not self._peers.is_first:
            return
        self._folder.save(self._state(), is_best=is_best)
        for witness in self._witnesses:
            witness.kept(self._history, self._draw)

    def _state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state(self._peers.device) if self._peers.device.type == "cuda" else None
        return {
            **self._learner.state(),
            "rng": {"cpu": torch.get_rng_state(), "cuda": cuda},
            "place": self._place.plain(),
            "epoch": self._place.epoch,
            "totals": self._totals.plain(),
            "history": self._history,
            "best": self._best,
        }

    def _draw(self) -> Image | None:
        if self._last_batch is None:  # it went on at the end of an epoch
            return None
        heatmaps = self._learner.predict(self._last_batch)
        return draw_found(self._last_batch, heatmaps, self._people.skeleton, self._config.target)

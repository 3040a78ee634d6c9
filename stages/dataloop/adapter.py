"""Poses and identities as a model on Dataloop's own machines: what `dataloop.json` names as the model's class.

dtlpy deletes what the model has annotated before it uploads anew, and takes batches by their position. Here, items go
through the same run as with `kinestream dataloop annotate`, each for itself: its annotations are uploaded, seen to be
there, and only then take the place of the earlier ones. So `predict_items` and `predict_dataset` upload nothing more.
"""

import dataclasses
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from stages.dataloop.annotating.annotate import Wanted
from stages.dataloop.annotating.desk import Filing
from stages.dataloop.annotating.results import Result
from stages.dataloop.artifacts import keep_weights
from stages.dataloop.asked import count_items, items_of
from stages.dataloop.connection.platform import Platform
from stages.dataloop.items import get_item
from stages.dataloop.model_options import ModelOptions
from stages.dataloop.recipes import require_template
from stages.dataloop.standing import Assignment, StandingRun
from stages.dataloop.telling import see_that_all_are_done, telling

with warnings.catch_warnings():  # it changes the filters of the whole process
    warnings.simplefilter("ignore")
    import dtlpy as dl
    from dtlpy.ml.base_model_adapter import AdapterDefaults

__all__ = ["KinestreamAdapter"]


class KinestreamAdapter(dl.BaseModelAdapter):  # type: ignore[misc]  # dtlpy has no types
    """Annotates items with poses and identities; see docs/dataloop.md for its configuration.

    Args:
        model_entity: A `dl.Model`. Where it is given, it is loaded at once.

    Raises:
        PipelineError: As `load`.
    """

    def __init__(self, model_entity: Any = None) -> None:  # noqa: ANN401 - dtlpy has no types
        """Load the model, if there is one."""
        self._turn = threading.Lock()
        self._assignment: Assignment | None = None
        self._run: StandingRun | None = None
        self._end: Callable[[], object] = lambda: None
        super().__init__(model_entity)

    # What dtlpy calls

    def load_from_model(
        self,
        model_entity: Any = None,  # noqa: ANN401
        local_path: str | None = None,
        overwrite: bool = True,  # noqa: FBT001, FBT002 - as dtlpy has it
        **how: Any,  # noqa: ANN401
    ) -> None:
        """Take a model, download its artifacts, and `load`. The model on the platform stays as it is.

        Where a default of dtlpy's own is missing in the configuration, it would write it there: one request for each.
        """
        if model_entity is not None:
            model_entity.configuration = model_entity.configuration or {}
            for default in dataclasses.fields(AdapterDefaults):
                model_entity.configuration.setdefault(default.name, default.default)
        super().load_from_model(model_entity, local_path, overwrite, **how)

    def load(self, local_path: str, **_: Any) -> None:  # noqa: ANN401
        """Read the configuration and load the models.

        Args:
            local_path: Where the artifacts are.

        Raises:
            PipelineError: The configuration is wrong, or weights cannot be had; says what to do.
        """
        self.close()
        filing = Filing(str(self.model_entity.name), str(self.model_entity.id))
        self._options = ModelOptions.read(dict(self.configuration))
        self._assignment = self._options.assignment(Path(local_path), filing)
        self._ready()

    def save(self, local_path: str, **_: Any) -> None:  # noqa: ANN401
        """Put the weights that are in use into a folder, and their names into the configuration of the model.

        A model with these artifacts and this configuration needs nothing from elsewhere.

        Args:
            local_path: The folder; `save_to_model` uploads it.

        Raises:
            PipelineError: No model is loaded, or its weights are gone.
        """
        config, folder = self._assigned().config, Path(local_path)
        folder.mkdir(parents=True, exist_ok=True)
        keys = {"weights" if self._options.pose is None else "pose": config.pose, "detector": config.detect}
        names = {key: name for key, part in keys.items() if (name := keep_weights(part, folder))}
        if names:
            self.configuration.update(names)

    def prepare_item_func(self, item: Any) -> Any:  # noqa: ANN401
        """Give the item itself: it is downloaded when its turn comes, and never as a whole into memory."""
        return item

    def predict(self, batch: Sequence[Any], **_: Any) -> list[Any]:  # noqa: ANN401
        """Annotate items, and give what is on the platform then.

        Args:
            batch: Of `dl.Item`.

        Returns:
            An `AnnotationCollection` for each, in their order; empty where the item is not annotated.

        Raises:
            PipelineError: The run has failed.
        """
        return self._collections(batch, self._annotate(batch, None))

    def predict_items(
        self,
        items: Sequence[Any],
        batch_size: int | None = None,  # noqa: ARG002 - items are taken as there is room, not in batches
        progress: Any = None,  # noqa: ANN401
        **_: Any,  # noqa: ANN401
    ) -> tuple[Sequence[Any], list[Any]]:
        """Annotate items.

        Args:
            items: Of `dl.Item`.
            batch_size: Without meaning.
            progress: Is told how far it is.

        Returns:
            The items, and all annotations that the model has on them now.

        Raises:
            PipelineError: Some are not annotated, and why; the others are.
        """
        results = self._annotate(items, progress)
        see_that_all_are_done(results)
        return items, [one for found in self._collections(items, results) for one in found]

    def predict_dataset(
        self,
        dataset: Any,  # noqa: ANN401
        filters: Any = None,  # noqa: ANN401
        batch_size: int | None = None,  # noqa: ARG002 - as above
        progress: Any = None,  # noqa: ANN401
        **_: Any,  # noqa: ANN401
    ) -> bool:
        """Annotate the items of a dataset, however many, in this run.

        Args:
            dataset: A `dl.Dataset`.
            filters: `dl.Filters`, or conditions as the platform writes them; None: all files.
            batch_size: Without meaning.
            progress: Is told how far it is.

        Returns:
            True.

        Raises:
            PipelineError: Some are not annotated, and why; the others are.
        """
        conditions = _conditions(filters)
        with self._platform() as platform:
            require_template(platform, dataset.id)
            total = count_items(platform, dataset.id, conditions)
            wanted = items_of(platform, dataset.id, conditions)
            see_that_all_are_done(self._ready().annotate(wanted, telling(progress, total)))
        return True

    def close(self) -> None:
        """Give back the models. What is under way is finished, if that does not take long. Twice is fine."""
        with self._turn:
            self._end()
            self._run = None

    # How it is done

    def _assigned(self) -> Assignment:
        if self._assignment is None:
            msg = "no model is loaded: call load_from_model with a model first"
            raise ConfigError(msg)
        return self._assignment

    def _ready(self) -> StandingRun:
        """Give the run; a new one where the last one has failed."""
        with self._turn:
            if self._run is None or self._run.has_ended:
                self._end()
                run = StandingRun(self._platform(), self._assigned())
                self._end = weakref.finalize(self, run.close)
                run.open()
                self._run = run
            return self._run

    def _platform(self) -> Platform:
        """Log in as the model's own client is."""
        return Platform(like=self.model_entity._client_api)  # noqa: SLF001 - dtlpy has no other way to it

    def _annotate(self, items: Sequence[Any], progress: Any) -> list[Result]:  # noqa: ANN401
        run = self._ready()
        with self._platform() as platform:
            wanted = [Wanted(item.id, partial(get_item, platform, item.id)) for item in items]
            return run.annotate(wanted, telling(progress, len(wanted)))

    def _collections(self, items: Iterable[Any], results: Iterable[Result]) -> list[Any]:
        return [self._collection(item, result) for item, result in zip(items, results, strict=True)]

    def _collection(self, item: Any, result: Result) -> Any:  # noqa: ANN401
        """List what the model has annotated on an item."""
        if not result.is_done:
            return item.annotations.builder()
        ours = dl.Filters(
            resource=dl.FiltersResource.ANNOTATION, field="metadata.system.model.name", values=self.model_entity.name
        )
        return item.annotations.list(filters=ours)


def _conditions(filters: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - dtlpy has no types
    """Read the conditions off a filter.

    Raises:
        ConfigError: It asks for what cannot be kept.
    """
    if not filters:
        return []
    tree = filters.prepare() if isinstance(filters, dl.Filters) else filters
    if "join" in tree:
        msg = "a filter by annotations (join) is not understood: leave it out, or name items by their ids"
        raise ConfigError(msg)
    return [tree.get("filter", tree)]

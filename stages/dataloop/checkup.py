"""Looks whether items of a dataset could be annotated from here, and says what to do about what is missing."""

import importlib.metadata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from stages.dataloop.asked import find_dataset, items_of
from stages.dataloop.connection.client import Credentials
from stages.dataloop.connection.login import expires_at, stored_token
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError
from stages.dataloop.recipes import Recipes, plan
from stages.diagnosis.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_up"]

_AREA = "dataloop"
_LOG_IN = "kinestream dataloop login"


def check_up(dataset: str | None, project: str | None, *, timeout_seconds: float = 20.0) -> Iterator[Finding]:
    """Look at one thing after the other; what depends on something that is missing is not looked at.

    Args:
        dataset: Id or name; None to look at the login only.
        project: Id or name.
        timeout_seconds: How long the platform may be silent.
    """
    yield Finding(_AREA, "dtlpy", "ok", f"version {importlib.metadata.version('dtlpy')}")
    yield _login()
    try:
        platform = Platform.from_environment(timeout_seconds=timeout_seconds, attempts=2)
    except PipelineError as error:
        yield Finding(_AREA, "platform", "missing", str(error), _LOG_IN)
        return
    with platform:
        yield Finding(_AREA, "platform", "ok", f"{platform.url} takes the login")
        if dataset is not None:
            yield from _dataset(platform, dataset, project)


def _login() -> Finding:
    token = stored_token()
    if token is None and not Credentials.from_environment().is_given:
        return Finding(_AREA, "login", "missing", "there is none", _LOG_IN)
    until = None if token is None else expires_at(token)
    if until is None:
        return Finding(_AREA, "login", "ok", "until when is not known")
    if until < datetime.now(UTC):
        return Finding(
            _AREA, "login", "warning", f"expired {until:%Y-%m-%d %H:%M} UTC; renewed if that is possible", _LOG_IN
        )
    return Finding(_AREA, "login", "ok", f"until {until:%Y-%m-%d %H:%M} UTC")


def _dataset(platform: Platform, dataset: str, project: str | None) -> Iterator[Finding]:
    try:
        dataset_id = str(find_dataset(platform, dataset, project)["id"])
    except PipelineError as error:
        yield Finding(_AREA, "dataset", "missing", str(error), "give its id, as in the address of its page")
        return
    yield from _guarded("recipe", lambda: [_recipe(platform, dataset_id)])
    yield from _guarded("items", lambda: list(_items(platform, dataset_id)))


def _guarded(name: str, look: "Callable[[], list[Finding]]") -> list[Finding]:
    """Make what goes wrong while looking a finding of its own."""
    try:
        return look()
    except PlatformError as error:
        return [Finding(_AREA, name, "missing", str(error))]


def _recipe(platform: Platform, dataset_id: str) -> Finding:
    wanted = plan(Recipes.read(platform, dataset_id))
    if not wanted.lines():
        return Finding(_AREA, "recipe", "ok", "labels and the template are there")
    lacking = [f"{len(wanted.labels)} labels"] if wanted.labels else []
    lacking += [f"the template '{wanted.template['name']}' as it should be"] if wanted.template else []
    setup = f"kinestream dataloop setup --dataset {dataset_id}"
    return Finding(_AREA, "recipe", "missing", f"lacks {' and '.join(lacking)}", setup)


def _items(platform: Platform, dataset_id: str) -> Iterator[Finding]:
    kinds: Counter[str] = Counter()
    for wanted in items_of(platform, dataset_id, ()):
        try:
            item = wanted.look()
        except PlatformError:
            kinds["incomplete"] += 1
            continue
        kind = "videos" if item.is_video else "pictures" if item.is_image else "others"
        kinds[kind] += 1
        kinds["timeless"] += item.is_video and not item.frames_per_second
    yield Finding(_AREA, "items", "ok", f"{kinds['videos']} videos, {kinds['pictures']} pictures")
    for kind, detail, fix in (
        ("others", "are neither: they would be refused", "leave them out with --filter"),
        ("timeless", "videos without a frame rate (metadata.fps)", "wait until the platform has processed them"),
        ("incomplete", "items that the platform describes badly", "wait until the platform has processed them"),
    ):
        if kinds[kind]:
            yield Finding(_AREA, "items", "warning", f"{kinds[kind]} {detail}", fix)

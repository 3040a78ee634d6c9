"""From the words of the command line to a tracker, a refinement, and their options."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.config import build_config
from pipeline.errors import ConfigError
from pipeline.plugin import Options
from pipeline.registry import resolve, validate_options
from trackers.base import Tracker
from trackers.refinement import RefinementOptions

__all__ = ["AskedTracker", "asked_refinement", "asked_tracker"]


class AskedTracker(NamedTuple):
    """A tracker that was asked for."""

    kind: str
    plugin: type[Any]
    options: Options

    def make(self) -> Tracker:
        """Make one that knows nobody."""
        tracker: Tracker = self.plugin(self.options)
        return tracker


def asked_tracker(kind: str, settings: Sequence[str]) -> AskedTracker:
    """Find a tracker and check its options.

    Args:
        kind: Its name.
        settings: `option=value` each, values in YAML.

    Raises:
        UnknownPlugin: There is no such tracker.
        ConfigError: An option is unknown or wrong.
    """
    plugin = resolve("tracker", kind)
    _see_that_they_are_settings(settings, "--option", f"'{kind}'")
    config = build_config({"track": {"kind": kind}}, [f"track.{setting}" for setting in settings]).track
    assert config is not None
    return AskedTracker(kind, plugin, validate_options(plugin, config.options, "track"))


def asked_refinement(settings: Sequence[str], *, wanted: bool) -> RefinementOptions | None:
    """Check the options of refinement; None where it is not wanted.

    Args:
        settings: `option=value` each, values in YAML.
        wanted: Whether tracks are refined at all.

    Raises:
        ConfigError: An option is unknown or wrong, or is set although nothing is refined.
    """
    if not wanted:
        if settings:
            msg = f"--refine-option {settings[0]} sets something that is not done; add --refine"
            raise ConfigError(msg)
        return None
    _see_that_they_are_settings(settings, "--refine-option", "refinement")
    tree = build_config({"refine": True}, [f"refine.{setting}" for setting in settings]).refine
    options = validate_options(resolve("stage", "refine"), tree or {}, "refine")
    assert isinstance(options, RefinementOptions)
    return options


def _see_that_they_are_settings(settings: Sequence[str], flag: str, whose: str) -> None:
    for setting in settings:
        name, equals, _ = setting.partition("=")
        if not equals or not name.isidentifier() or name == "kind":
            msg = f"{flag} must be NAME=VALUE, an option of {whose}, got '{setting}'"
            raise ConfigError(msg)

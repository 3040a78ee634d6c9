"""From the words of the command line to a tracker and its options."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.config import build_config
from pipeline.errors import ConfigError
from pipeline.plugin import Options
from pipeline.registry import resolve, validate_options
from trackers.base import Tracker

__all__ = ["AskedTracker", "asked_tracker"]


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
    for setting in settings:
        name, equals, _ = setting.partition("=")
        if not equals or not name.isidentifier() or name == "kind":
            msg = f"--option must be NAME=VALUE, an option of '{kind}', got '{setting}'"
            raise ConfigError(msg)
    config = build_config({"track": {"kind": kind}}, [f"track.{setting}" for setting in settings]).track
    assert config is not None
    return AskedTracker(kind, plugin, validate_options(plugin, config.options, "track"))

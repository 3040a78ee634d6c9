"""Files that go with a model on the platform: dtlpy brings them to a folder, and takes them from one."""

import shutil
from pathlib import Path

from pipeline.config import PluginConfig
from pipeline.errors import ConfigError
from stages.zoo.find import find_weights

__all__ = ["artifact_or_name", "keep_weights"]


def artifact_or_name(name: str, artifacts: Path) -> str:
    """Give the path of a file among the artifacts; any other name as it is.

    Raises:
        ConfigError: It looks like a file of theirs, and is none.
    """
    if (artifacts / name).exists():
        return str(artifacts / name)
    if Path(name).suffix and not Path(name).exists():
        there = ", ".join(sorted(path.name for path in artifacts.glob("*"))) or "there is none"
        msg = f"'{name}' is not among the artifacts of the model ({there}): upload it, or name one of those"
        raise ConfigError(msg)
    return name


def keep_weights(part: PluginConfig | None, folder: Path) -> str | None:
    """Copy the weights of a plug-in into a folder, unless they are there.

    Returns:
        Their name in the folder; None where it has no weights of its own.

    Raises:
        WeightsError: They are gone, or cannot be fetched.
    """
    if part is None or not (text := part.options.get("weights")):
        return None
    weights = find_weights(text)
    copied = folder / weights.name
    if not copied.exists():
        (shutil.copytree if weights.is_dir() else shutil.copy2)(weights, copied)
    return weights.name

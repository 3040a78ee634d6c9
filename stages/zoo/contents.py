"""What a fetched file is when one looks into it."""

import importlib.util
import logging
import re
from pathlib import Path
from typing import Final

from pipeline.errors import WeightsError
from stages.zoo.model import Network

__all__ = ["check_network", "refuse_web_page"]

logger = logging.getLogger(__name__)

_START_BYTES: Final = 4096
_PAGE: Final = re.compile(rb"\s*(<\?xml.*?>\s*)?(<!--.*?-->\s*)?<(!doctype html|html)\b", re.IGNORECASE | re.DOTALL)
_TITLE: Final = re.compile(rb"<title[^>]*>(?P<title>.*?)</title>", re.IGNORECASE | re.DOTALL)


def refuse_web_page(path: Path) -> None:
    """See that a file is no page for people, as a closed share or the network of a hotel gives in its stead.

    Raises:
        WeightsError: It is one; the message has its title.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if _PAGE.match(start):
        title = _TITLE.search(start)
        called = f" called '{' '.join(title['title'].decode(errors='replace').split())}'" if title else ""
        msg = f"it is a web page{called}, not weights: open the address in a browser to see why"
        raise WeightsError(msg)


def check_network(path: Path, wanted: Network) -> None:
    """Read a checkpoint and see that it is the stated network. Takes seconds, and PyTorch.

    Where PyTorch is not installed, as on a machine that only fetches, this is said in the log and nothing is checked.

    Raises:
        WeightsError: It cannot be read, or is another network.
    """
    if importlib.util.find_spec("torch") is None:
        logger.warning("PyTorch is not installed, so it was not checked that %s holds %s", path, wanted)
        return
    from stages.poses.networks.checkpoint import read_checkpoint  # noqa: PLC0415 - loads PyTorch

    found = read_checkpoint(path)
    if (found.architecture, found.size, found.joints) != (wanted.architecture, wanted.size, wanted.joints):
        msg = f"it is {found.name} with {found.joints} joints, expected {wanted}"
        raise WeightsError(msg)

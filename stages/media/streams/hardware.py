"""What decodes: a GPU, or this machine's processor."""

import functools
import logging
from dataclasses import dataclass
from typing import Literal

import av
from av.codec.hwaccel import HWAccel

__all__ = ["Decoder", "Hardware", "choose"]

logger = logging.getLogger(__name__)

Hardware = Literal["auto", "cuda", "vaapi", "none"]


@dataclass(frozen=True)
class Decoder:
    """What shall decode."""

    kind: Hardware
    """What was found: a kind of hardware, or `none`."""
    missing: Hardware | None = None
    """What was asked for and is not there."""

    def accelerator(self) -> HWAccel | None:
        """Give what `av.open` takes; frames come to the host, and what the hardware cannot decode, software does."""
        return None if self.kind == "none" else HWAccel(self.kind, allow_software_fallback=True)

    def describe(self, codec: str, *, is_accelerated: bool) -> str:
        """Say what decodes: `h264, cuda`, `h264, software (cuda was asked for, not available)`."""
        if self.missing is not None:
            return f"{codec}, software ({self.missing} was asked for, not available)"
        if self.kind != "none" and not is_accelerated:
            return f"{codec}, software ({self.kind} cannot decode it)"
        return f"{codec}, {self.kind if is_accelerated else 'software'}"


def choose(wanted: Hardware) -> Decoder:
    """Find out what can decode here. What is asked for and not there is software instead, and a warning, once.

    Args:
        wanted: `auto` takes CUDA where there is a device for it.
    """
    if wanted == "none":
        return Decoder("none")
    if wanted == "auto":
        return Decoder("cuda" if _works("cuda") else "none")
    if _works(wanted):
        return Decoder(wanted)
    _warn(wanted)
    return Decoder("none", missing=wanted)


def _works(kind: str) -> bool:
    """Try it: a driver may be installed without a device, and a device be lost. Half a millisecond where it is not."""
    try:
        HWAccel(kind).create(av.Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError):
        return False
    return True


@functools.cache
def _warn(kind: str) -> None:
    logger.warning("hwaccel: %s was asked for, but is not available here; decoding in software", kind)

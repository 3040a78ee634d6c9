"""The options that every top-down pose plug-in has."""

from pydantic import Field, PositiveInt

from stages.engines.options import EngineOptions
from stages.topdown.budget import Budget
from stages.topdown.heatmaps import Decoding

__all__ = ["TopDownOptions"]


class TopDownOptions(EngineOptions):
    """Which network, how it looks at people, and where it runs."""

    weights: str = Field(min_length=1)
    """A file, or a name of the model zoo: see `kinestream models list`."""
    image_size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the picture that the network sees, in pixels. None: what the file says that it was trained
    with, else its name (`..._384x288.pth`), else 256x192, and 256x256 for the 16 joints of MPII."""
    joints: int | None = Field(default=None, ge=1)
    """How many joints the weights must find; another number is an error. None: whatever they find."""
    decoding: Decoding | None = None
    """From a heat map to a joint: `plain` (the peak), `quarter` (a quarter of a cell towards the higher neighbour, as
    the official results), `dark` (a Gaussian fitted to the peak, a little more exact and a little slower). None: `dark`
    where the file says that joints were drawn at their exact place, else `quarter`."""
    flip_test: bool = False
    """Look at each person a second time, mirrored, and average: a little more exact, for twice the time. The
    official results are with it."""
    padding: float | None = Field(default=None, ge=1, le=3)
    """Factor on both sides of a box before it is cut out. None: what the file says that the network was trained with,
    else 1.25, as the official ones were."""
    max_batch: int = Field(default=32, ge=1)
    """How many people go through the network at once, at most."""
    batch: int = Field(default=8, ge=1)
    """How many frames to take at once, at most."""
    people_per_second: float | None = Field(default=None, gt=0)
    """Look at no more people than this in a second of video, of all sources together, in fair turns; the joints of the
    others move along with their boxes, and their rows are marked `predicted`. None: everybody in every frame."""
    deadline_ms: float | None = Field(default=None, gt=0)
    """Aim at no more than so many milliseconds a batch of frames, judged by the last ones; whoever does not fit is
    treated as with `people_per_second`. None: take the time it takes."""

    def budget(self) -> Budget | None:
        """Make the bound on the work that is asked for, if any."""
        if self.people_per_second is None and self.deadline_ms is None:
            return None
        seconds = None if self.deadline_ms is None else self.deadline_ms / 1000
        return Budget(self.people_per_second, seconds)

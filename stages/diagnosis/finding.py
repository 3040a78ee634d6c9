"""What the doctor says of one thing."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    area: str
    name: str
    state: State
    detail: str
    fix: str = ""
    """The command, or the step, that mends it."""
    required: bool = False
    """The embedded preset cannot run without it."""

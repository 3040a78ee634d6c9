"""Reads JSON files that others wrote: what is wrong in them is said by entry."""

import json
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ConfigError

__all__ = ["Box", "checked", "read_json"]

T = TypeVar("T")

_MOST_FAULTS: Final = 3
"""So many faults of a file are quoted; a file with the wrong unit would be wrong a hundred thousand times."""

_Side = Annotated[FiniteFloat, Field(ge=0)]

Box = tuple[FiniteFloat, FiniteFloat, _Side, _Side]
"""(x, y, width, height) in pixels, as COCO writes boxes."""


def read_json(path: Path, what: str) -> Any:  # noqa: ANN401 - whatever the file holds; `checked` comes next
    """Read a JSON file.

    Args:
        path: The file.
        what: What it should hold, for the message: `annotations`.

    Raises:
        ConfigError: It is not there, cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        msg = f"cannot read the {what} '{path}': {error.strerror}"
        raise ConfigError(msg) from error
    except ValueError as error:  # not JSON, or not even text
        msg = f"the {what} '{path}' are not JSON, or were cut off: {error}"
        raise ConfigError(msg) from error


def checked(form: TypeAdapter[T], value: object, path: Path) -> T:
    """Check what a file holds.

    Raises:
        ConfigError: With the file, and place and value of the first faults.
    """
    try:
        return form.validate_python(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        more = [f"... and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        lines = [f"'{path}' is not as expected:", *map(_line, faults[:_MOST_FAULTS]), *more]
        raise ConfigError("\n".join(lines)) from None


def _line(fault: ErrorDetails) -> str:
    """Say where a fault is, what should be there and what is."""
    place = ".".join(str(part) for part in fault["loc"]) or "the file"
    got = "nothing" if fault["type"] == "missing" else f"{fault['input']!r:.60}"
    return f"  {place}: {fault['msg']}, got {got}"

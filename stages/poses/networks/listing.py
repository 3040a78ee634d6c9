"""How messages list names of which there may be hundreds."""

from collections.abc import Sequence

__all__ = ["first_of"]


def first_of(names: Sequence[str], shown: int = 3) -> str:
    """List the first names and count the rest: `a, b, c and 40 more`; `nothing` where there are none."""
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + rest if names else "nothing"

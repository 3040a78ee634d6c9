"""The columns of a table of people: the same in every format, decided once a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import StringConstraints

from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.rows import BOX_COLUMNS, FRAME_COLUMNS, joint_columns, predictions

__all__ = ["PREDICTED", "Columns", "Delimiter"]

PREDICTED: Final = "predicted"
"""The column that says whether nobody looked at a person, and the joints moved along with the box."""

Delimiter = Annotated[str, StringConstraints(pattern=r'^[^"\r\n]$')]
"""One character that can part the values of a row of text."""


@dataclass(slots=True)
class Columns:
    """Which columns a file has: the first table that has a row or a skeleton decides on joints and `predicted`.

    (A table of zero rows and no skeleton says nothing: a pose model never saw that frame.) `predicted` is the last
    column, and only there where a pose model looks at people in turns: to other files, nothing changes.
    """

    path: Path
    decided: bool = False
    skeleton: Skeleton | None = None
    predicted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""
        return (
            *FRAME_COLUMNS,
            "id",
            *BOX_COLUMNS,
            "score",
            *self.joint_names,
            *((PREDICTED,) if self.predicted else ()),
        )

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The columns of the joints, in order; none without a skeleton."""
        return () if self.skeleton is None else joint_columns(self.skeleton)

    def admit(self, instances: Instances) -> None:
        """Decide by `instances`, or check that they fit what was decided. Rows that lack something always fit.

        Raises:
            ValueError: Their joints are other ones, or some were predicted and there is no column to say so.
        """
        if not self.decided and (len(instances) or instances.skeleton is not None):
            self.decided, self.skeleton, self.predicted = True, instances.skeleton, instances.predicted is not None
        elif len(instances) and instances.skeleton not in (None, self.skeleton):
            here = "no joints" if self.skeleton is None else f"the joints of {self.skeleton.name}"
            msg = (
                f"cannot write {self.path}: its columns have {here}, and now there are people with the joints of "
                f"{instances.skeleton.name}; put {{source}} into its path, for one file a source"
            )
            raise ValueError(msg)
        elif not self.predicted and any(predictions(instances)):
            msg = (
                f"cannot write {self.path}: it has no column '{PREDICTED}', and now there are people whose joints were "
                "predicted; put {source} into its path, for one file a source"
            )
            raise ValueError(msg)

"""The columns of a table of people: the same in every format, decided once a file."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.rows import BOX_COLUMNS, FRAME_COLUMNS, joint_columns

__all__ = ["Columns"]


@dataclass(slots=True)
class Columns:
    """Which columns a file has: those of its joints come from the first table that has a row or a skeleton.

    (A table of zero rows and no skeleton says nothing: a pose model never saw that frame.)
    """

    path: Path
    decided: bool = False
    skeleton: Skeleton | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in order."""
        return (*FRAME_COLUMNS, "id", *BOX_COLUMNS, "score", *self.joint_names)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The columns of the joints, in order; none without a skeleton."""
        return () if self.skeleton is None else joint_columns(self.skeleton)

    def admit(self, instances: Instances) -> None:
        """Decide by `instances`, or check that they fit what was decided. Rows without joints always fit.

        Raises:
            ValueError: Their joints are other ones.
        """
        if not self.decided and (len(instances) or instances.skeleton is not None):
            self.decided, self.skeleton = True, instances.skeleton
        elif len(instances) and instances.skeleton not in (None, self.skeleton):
            here = "no joints" if self.skeleton is None else f"the joints of {self.skeleton.name}"
            msg = (
                f"cannot write {self.path}: its columns have {here}, and now there are people with the joints of "
                f"{instances.skeleton.name}; put {{source}} into its path, for one file a source"
            )
            raise ValueError(msg)

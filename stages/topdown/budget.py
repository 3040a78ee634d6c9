"""A top-down network takes time for every person: looks at people in fair turns when there are too many."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import Skeleton
from pipeline.types import Frame, Instances
from stages.topdown.acquaintances import Acquaintances, Person
from stages.topdown.allowance import Deadline, PeoplePerSecond

__all__ = ["Budget"]

Floats = NDArray[np.float32]

_FARTHEST: Final = float(np.finfo(np.float32).max)
"""Joints that a growing box would carry beyond what a table can hold stay there."""


class _Look(NamedTuple):
    """A look that could be taken: at one person, in one frame of a batch."""

    frame: int
    """Number in the batch."""
    row: int
    source: Acquaintances
    seconds: float
    """Time of the frame in its source."""
    score: float


class Budget:
    """Chooses who is looked at now; the joints of the others move and scale along with their boxes.

    Turns: who was never looked at comes first, best score first, then who waits longest. Who a person is from frame
    to frame is judged by the overlap of boxes, within a source, for pose comes before the tracker.

        looked = budget.plan(frames, tables)
        ...                                    # run the network on the chosen rows, and take the time
        tables = budget.fill(frames, tables, looked, keypoints, scores, skeleton, seconds)

    `plan` changes nothing, so a batch that failed may be planned again, frame by frame.

    The rate is per second of video (PTS), not of the wall clock. For a camera they are the same; a file gives the same
    result on every machine and every time, and is not thinned out because it is read faster than it was filmed. The
    deadline, on the other hand, is one of real time: what fits is another number from run to run.

    Args:
        people_per_second: Looks a second of video, of all sources together; None for no such limit.
        deadline_seconds: How long the network may take in one call; None for no such limit. An aim, not a promise:
            how many people fit is told from the last calls, and one is always looked at.
    """

    def __init__(self, people_per_second: float | None, deadline_seconds: float | None) -> None:
        """Know nobody."""
        self._rate = None if people_per_second is None else PeoplePerSecond(people_per_second)
        self._deadline = None if deadline_seconds is None else Deadline(deadline_seconds)
        self._sources: dict[str, Acquaintances] = {}

    def plan(self, frames: Sequence[Frame], tables: Sequence[Instances]) -> list[NDArray[np.bool_]]:
        """Choose who is to be looked at.

        Args:
            frames: Of any sources; those of one source in order.
            tables: Of each frame, with boxes.

        Returns:
            A mask of the rows to look at for each frame, shape (n,).
        """
        sources = {frame.source_id: self._source(frame.source_id).copy() for frame in frames}
        rate = deepcopy(self._rate)
        looks: dict[Person, list[_Look]] = {}
        for number, (frame, table) in enumerate(zip(frames, tables, strict=True)):
            source = sources[frame.source_id]
            present = _meet(frame, table, source, rate)
            for row, person in enumerate(present):
                looks.setdefault(person, []).append(_Look(number, row, source, source.seconds, table.score[row].item()))
        chosen = [np.zeros(len(table), np.bool_) for table in tables]
        limits = [limit.left(sources) for limit in (rate, self._deadline) if limit is not None]
        for look in _fairest(looks, min(limits, default=None)):
            chosen[look.frame][look.row] = True
        return chosen

    def fill(
        self,
        frames: Sequence[Frame],
        tables: Sequence[Instances],
        looked: Sequence[NDArray[np.bool_]],
        keypoints: Sequence[Floats],
        scores: Sequence[Floats],
        skeleton: Skeleton,
        seconds: float,
    ) -> list[Instances]:
        """Take note of what was found, and give the tables with joints for everybody.

        Args:
            frames: As planned.
            tables: As planned.
            looked: What `plan` gave.
            keypoints: Joints of the chosen rows of each frame, in pixels, shape (m, k, 2).
            scores: Their scores, shape (m, k).
            skeleton: Of the k joints.
            seconds: How long the network took for all of them.

        Returns:
            The tables with `keypoints`, `keypoint_score`, `skeleton` and `predicted`, true where nobody looked. The
            joints of a person who was never looked at lie in the centre of the box and have score 0.
        """
        filled = [self._fill(*one, skeleton) for one in zip(frames, tables, looked, keypoints, scores, strict=True)]
        people = Counter({frame.source_id: 0 for frame in frames})
        for frame, mask in zip(frames, looked, strict=True):
            people[frame.source_id] += int(mask.sum())
        if self._rate is not None:
            self._rate.spend(people)
        if self._deadline is not None:
            self._deadline.learn(people.total(), seconds)
        return filled

    def forget(self, source_id: str) -> None:
        """Forget everybody in a source: it has ended."""
        self._sources.pop(source_id, None)
        if self._rate is not None:
            self._rate.forget(source_id)

    def _source(self, source_id: str) -> Acquaintances:
        return self._sources.get(source_id) or Acquaintances()

    def _fill(
        self,
        frame: Frame,
        table: Instances,
        looked: NDArray[np.bool_],
        keypoints: Floats,
        scores: Floats,
        skeleton: Skeleton,
    ) -> Instances:
        source = self._sources.setdefault(frame.source_id, Acquaintances())
        present = _meet(frame, table, source, self._rate)
        for row, joints, joint_scores in zip(np.flatnonzero(looked).tolist(), keypoints, scores, strict=True):
            present[row].look(joints, joint_scores, source.seconds)
        places, certainty = np.empty((len(table), len(skeleton), 2)), np.empty((len(table), len(skeleton)))
        for row, person in enumerate(present):
            places[row], certainty[row] = person.carried(len(skeleton))
        near = np.clip(places, -_FARTHEST, _FARTHEST)
        return table.with_columns(keypoints=near, keypoint_score=certainty, skeleton=skeleton, predicted=~looked)


def _meet(frame: Frame, table: Instances, source: Acquaintances, rate: PeoplePerSecond | None) -> list[Person]:
    """Let time pass until `frame`, and say who is in each row of its table."""
    passed = source.pass_time(frame.pts_seconds)
    if rate is not None:
        rate.pass_time(frame.source_id, passed)
    return source.recognise(table.xyxy)


def _fairest(looks: Mapping[Person, Sequence[_Look]], most: int | None) -> list[_Look]:
    """Choose at most `most` looks; all of them if there is no limit.

    Every look has its turn by how long its person will have waited at the end of the batch, since the look before. So
    a person has a second look in the batch when everybody had one who waited longer; and where some of a person's
    looks are chosen, they are spread over the batch, the first one included.
    """
    turns = [(turn, person) for person, seen in looks.items() for turn in _turns(person, seen)]
    chosen = Counter(person for _, person in sorted(turns, key=itemgetter(0))[:most])
    return [
        looks[person][number * len(looks[person]) // count]
        for person, count in chosen.items()
        for number in range(count)
    ]


def _turns(person: Person, looks: Sequence[_Look]) -> Iterator[tuple[float, ...]]:
    """Give the turn of each look, the lowest first: new people by their score, the others by their waiting time."""
    before = person.looked_at
    for look in looks:
        rank = (0, -look.score) if before is None else (1, before - look.source.seconds)
        yield (*rank, look.frame, look.row)
        before = look.seconds

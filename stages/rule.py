"""rules: turns tracks into events, one set of rules a source."""

from collections.abc import Callable, Sequence

from pipeline.stage import Stage
from pipeline.types import Instances, Packet
from pipeline.worker import Worker
from stages.rules.base import Rule

__all__ = ["Judge"]


class Judge(Stage):
    """Keeps a set of rules for each source, from its first frame to its end."""

    name = "rules"
    provides = frozenset({"events"})
    max_batch = 1
    """A rule has seen a frame once it was asked: a batch must not be repeated."""

    def __init__(self, makers: Sequence[Callable[[], Rule]]) -> None:
        """Keep how to make the rules; each source gets its own."""
        self._makers = tuple(makers)
        self._rules: dict[str, list[Rule]] = {}
        self._worker = Worker(self.name)
        self.needs = frozenset[str]().union(*(make().needs for make in self._makers))

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Add what happens in each packet's frame."""
        return await self._worker.call(self._judge, packets)

    async def end_source(self, source_id: str) -> None:
        """Forget the source's rules."""
        self._rules.pop(source_id, None)

    async def close(self) -> None:
        """End the thread."""
        await self._worker.close()

    def _judge(self, packets: Sequence[Packet]) -> list[Packet]:
        return [self._judged(packet) for packet in packets]

    def _judged(self, packet: Packet) -> Packet:
        if packet.source_id not in self._rules:
            self._rules[packet.source_id] = [make() for make in self._makers]
        rules, frame = self._rules[packet.source_id], packet.frame
        people = Instances.empty() if packet.instances is None else packet.instances
        events = [event for rule in rules for event in rule.update(frame, people)]
        return packet.with_events(events).with_places(place for rule in rules for place in rule.places(frame))

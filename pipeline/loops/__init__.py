"""The loops of the engine, one a part: read a file, read a live source, work a stage, feed a sink.

Each loop owns its part's failure domain (what is dropped, retried, reopened or raised) and closes the channel after it
when it leaves, however it leaves. `pipeline.runner` starts them, all in one task group.
"""

from pipeline.loops.base import Inbox, Loop, Outbox
from pipeline.loops.fan_out import FanOut
from pipeline.loops.live import LiveLoop
from pipeline.loops.opening import Opening
from pipeline.loops.sink import SinkLoop
from pipeline.loops.source import SourceLoop
from pipeline.loops.stage import PassOn, StageLoop

__all__ = ["FanOut", "Inbox", "LiveLoop", "Loop", "Opening", "Outbox", "PassOn", "SinkLoop", "SourceLoop", "StageLoop"]

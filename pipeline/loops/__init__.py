"""The three loops of the engine, one a part: read a source, work a stage, feed a sink.

Each loop owns its part's failure domain (what is dropped, retried, reopened or raised) and closes the channel after it
when it leaves, however it leaves. `pipeline.runner` starts them, all in one task group.
"""

from pipeline.loops.base import Inbox, Loop, Outbox
from pipeline.loops.fan_out import FanOut
from pipeline.loops.sink import SinkLoop
from pipeline.loops.source import SourceLoop
from pipeline.loops.stage import PassOn, StageLoop

__all__ = ["FanOut", "Inbox", "Loop", "Outbox", "PassOn", "SinkLoop", "SourceLoop", "StageLoop"]

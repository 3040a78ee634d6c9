"""When a picture was taken, by the camera's own clock."""

import logging
import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

import av  # noqa: TC002 - imports stand in one block

__all__ = ["WallClock"]

logger = logging.getLogger(__name__)

_LAYOUT: Final = struct.Struct("=q")
"""Beginning of FFmpeg's AVProducerReferenceTime: microseconds since 1970."""
_ABSURD: Final = timedelta(days=1)
"""A camera that is so far off was never told the time; most of them begin in 1970 or 2000."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FURTHEST_MICROSECONDS: Final = 250_000_000_000_000_000
"""Around the year 9900; `datetime` ends at 9999."""


class WallClock:
    """Reads the camera's clock from what FFmpeg attaches to packets.

    With RTP that comes from the camera's RTCP sender reports: there is none before the first one, a few seconds after
    the connection. A clock that differs from ours by more than a day is not believed, which is logged once.

    Args:
        name: Of the stream, for messages.
        time_base: Seconds per tick of its PTS.
    """

    def __init__(self, name: str, time_base: Fraction) -> None:
        """Know nothing yet."""
        self._name = name
        self._time_base = time_base
        self._reference: tuple[int, int] | None = None  # PTS in ticks, microseconds since 1970
        self._is_absurd = False

    def note(self, packet: "av.Packet[Any]") -> None:
        """Look at the next packet of the stream."""
        if packet.pts is None or not packet.has_sidedata("prft"):
            return
        (microseconds,) = _LAYOUT.unpack_from(packet.get_sidedata("prft"))
        self._reference = packet.pts, microseconds

    def captured_at(self, pts: int | None, arrived_at: datetime) -> datetime | None:
        """Say when a picture was taken (UTC); None if the camera does not say, or says nonsense.

        Args:
            pts: Of the picture, in ticks.
            arrived_at: When it came, by our clock.
        """
        if pts is None or self._reference is None:
            return None
        reference_pts, microseconds = self._reference
        microseconds += round((pts - reference_pts) * self._time_base * 1_000_000)
        if abs(microseconds) < _FURTHEST_MICROSECONDS:
            captured_at = _EPOCH + timedelta(microseconds=microseconds)
            if abs(captured_at - arrived_at) <= _ABSURD:
                return captured_at
        self._doubt(microseconds)
        return None

    def _doubt(self, microseconds: int) -> None:
        if not self._is_absurd:
            self._is_absurd = True
            logger.warning(
                "'%s': the camera's clock says %d s since 1970, more than a day off ours; frames carry the time of"
                " their arrival. Set the camera's clock, best by NTP",
                self._name,
                microseconds // 1_000_000,
            )

"""Opens a container and chooses its video stream; what is wrong with a file is said here, in words."""

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import SourceError
from stages.media.paths import is_url

__all__ = ["choose_stream", "open_container"]

_NETWORK_TIMEOUT_MICROSECONDS = 10_000_000


def open_container(path: str) -> InputContainer:
    """Open a file or URL.

    Raises:
        SourceError: There is no such file, it is a folder, empty, cut off, or nothing that FFmpeg can read.
    """
    options = {"timeout": str(_NETWORK_TIMEOUT_MICROSECONDS)} if is_url(path) else {}
    try:
        return av.open(path, options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        # Without the address, which FFmpeg repeats with its password.
        cause = type(error)(error.errno or 0, error.strerror or "")
        msg = f"cannot open '{path}': {_why_unreadable(path, error)}"
        raise SourceError(msg) from cause


def _why_unreadable(path: str, error: av.FFmpegError) -> str:
    if is_url(path):
        return f"{error.strerror}; check the address, the credentials and the network"
    file = Path(path)
    if not file.exists():
        return f"there is no such file (looked from {Path.cwd()}); check the path"
    if file.is_dir():
        return f"it is a folder; give a file, or a pattern such as '{path}/*.mp4', or use the source 'images'"
    if not file.stat().st_size:
        return "the file is empty (0 bytes); record or fetch it again"
    with file.open("rb") as opened:
        starts_like_mp4 = opened.read(8)[4:] == b"ftyp"
    if starts_like_mp4 and isinstance(error, av.InvalidDataError):
        return (
            "it begins as an MP4, but its index (the 'moov' box) is missing or damaged: the recording or download was"
            " cut off before it was complete; record or fetch it again"
        )
    return f"{error.strerror}; expected a video file that FFmpeg can read"


def choose_stream(container: InputContainer, path: str, index: int | None) -> VideoStream:
    """Find the video stream to decode; the cover of a piece of music is none.

    Args:
        container: The open file.
        path: Its name, for messages.
        index: Which of the video streams, from 0; None for the one FFmpeg takes for the main one.

    Raises:
        SourceError: There is no such stream, or nobody can decode it.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not videos:
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        msg = f"'{path}' has no video stream, only: {found}; expected a video file"
        raise SourceError(msg)
    if index is not None and index >= len(videos):
        msg = f"'{path}' has {len(videos)} video stream(s), so stream_index must be below {len(videos)}, got {index}"
        raise SourceError(msg)
    best = container.streams.best("video")
    stream = videos[index] if index is not None else next((video for video in videos if video is best), videos[0])
    if getattr(stream, "codec_context", None) is None:  # PyAV's types say it is always there
        msg = f"'{path}' has video of a kind that this FFmpeg has no decoder for; convert it to H.264"
        raise SourceError(msg)
    return stream

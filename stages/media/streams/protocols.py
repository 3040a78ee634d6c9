"""What FFmpeg must be told for each protocol: how long to wait, and how little to look at before it begins."""

from typing import Final, Literal

__all__ = ["CLOCKLESS", "Transport", "needs_interrupts", "protocol_options"]

Transport = Literal["tcp", "udp", "auto"]

CLOCKLESS: Final = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "png_pipe", "image2pipe", "h264", "hevc", "m4v"})
"""Containers that say no times: FFmpeg makes some up, as if each camera gave 25 frames a second."""

_RECEIVE_BUFFER_BYTES: Final = 4 << 20
"""A key frame comes as a burst of datagrams; the system's default holds 200 kB."""

_UDP_SHARE: Final = 0.4
"""Of the time a camera has: so long its UDP may be silent before FFmpeg asks for TCP, which gets the rest."""


def protocol_options(scheme: str, transport: Transport, timeout_seconds: float) -> dict[str, str]:
    """Choose the options of FFmpeg for one protocol.

    Silence ends each wait after `timeout_seconds`. The option for it has another name in each protocol, and the wrong
    one is ignored without a word, or worse: `timeout` makes RTMP wait for somebody to call.

    Nothing is dropped while FFmpeg looks at the stream: with `fflags=nobuffer` it would throw away what it has looked
    at, and with it the key frame that many cameras send first.

    Args:
        scheme: Of the URL.
        transport: What carries RTSP's pictures.
        timeout_seconds: For one wait.
    """
    if transport == "auto":
        timeout_seconds *= _UDP_SHARE
    microseconds = str(round(timeout_seconds * 1_000_000))
    if scheme in {"rtsp", "rtsps"}:
        # RTSP describes the stream before it begins: nothing needs to be looked at. Sound is not even asked for.
        options = {"timeout": microseconds, "analyzeduration": "1", "probesize": "32", "allowed_media_types": "video"}
        return options if transport == "auto" else options | {"rtsp_transport": transport}
    looking = {"analyzeduration": "1000000", "probesize": "1000000"}
    if scheme in {"rtmp", "rtmps"}:
        return {"rw_timeout": microseconds, "rtmp_live": "live", **looking}
    datagrams = {"overrun_nonfatal": "1", "buffer_size": str(_RECEIVE_BUFFER_BYTES)} if scheme in {"udp", "rtp"} else {}
    return {"timeout": microseconds, **looking, **datagrams}


def needs_interrupts(scheme: str) -> bool:
    """Tell whether nothing but PyAV's own timeout ends a wait: RTP without RTSP has no option for it.

    It costs: FFmpeg asks again and again whether to go on, and each time takes the interpreter's lock.
    """
    return scheme == "rtp"

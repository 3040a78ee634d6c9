"""Where a stream is published: a URL, or a playlist on disk; and what FFmpeg has to know about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pipeline.secrets import remember_secret
from stages.sinks.naming import SOURCE, file_name

__all__ = ["Address", "check_address"]

_PLAYLIST: Final = ".m3u8"
_FORMATS: Final[dict[str, Mapping[str, str | int]]] = {
    "rtsp": {"format": "rtsp", "rtsp_transport": "tcp"},
    "rtsps": {"format": "rtsp", "rtsp_transport": "tcp"},
    "rtmp": {"format": "flv", "flvflags": "no_duration_filesize"},
    "rtmps": {"format": "flv", "flvflags": "no_duration_filesize"},
    "srt": {"format": "mpegts"},
}
_SEGMENTS: Final = 6
"""How many segments a playlist holds; older ones are deleted."""


def check_address(text: str) -> str:
    """Refuse what FFmpeg could not publish to.

    Raises:
        ValueError: It is neither a URL that is known here nor the name of a playlist.
    """
    scheme, separator, _ = text.partition("://")
    known = ", ".join(f"{scheme}://" for scheme in _FORMATS)
    if separator and scheme.lower() not in _FORMATS:
        msg = f"cannot publish to {scheme}://; known are {known} and, for HLS, a path that ends in {_PLAYLIST}"
        raise ValueError(msg)
    if separator and not urlsplit(text.replace(SOURCE, "source")).hostname:
        msg = "the URL names no host, as in rtsp://localhost:8554/{source}"
        raise ValueError(msg)
    if not separator and (not text.endswith(_PLAYLIST) or "\0" in text):
        msg = f"must be a URL ({known}) or, for HLS, a path that ends in {_PLAYLIST}, as in hls/{{source}}/index.m3u8"
        raise ValueError(msg)
    return text


class Address:
    """Where the streams of a sink go.

    Args:
        template: A URL or the path of a playlist, `{source}` in place of a source's name.
        out: The folder that a relative path is below.
    """

    def __init__(self, template: str, out: Path) -> None:
        """Tell URL and path apart."""
        scheme, separator, _ = template.partition("://")
        self.scheme = scheme.lower() if separator else None
        self.is_shared = SOURCE not in template
        """One stream for all sources: only one of them can have it."""
        self._template = template if separator else str((out / template).absolute())
        if separator:
            _keep_secret(template)

    @property
    def path(self) -> str | None:
        """Path of the playlist, `{source}` in place of a source's name; None for a URL."""
        return self._template if self.scheme is None else None

    @property
    def may_wait(self) -> bool:
        """True where FFmpeg waits until somebody connects: SRT as a listener."""
        query = parse_qs(urlsplit(self._template).query)
        return self.scheme is not None and ("listener" in query.get("mode", ()) or "listen" in query)

    def of(self, source_id: str) -> str:
        """Give the URL or path for one source."""
        if self.scheme is None:
            return self._template.replace(SOURCE, file_name(source_id))
        return self._template.replace(SOURCE, quote(source_id, safe="", errors="surrogatepass"))

    def folder(self, source_id: str) -> Path | None:
        """Give the folder in which FFmpeg has to run: that of the playlist, if there is one."""
        return None if self.scheme is not None else Path(self.of(source_id)).parent

    def muxing(self, source_id: str, key_seconds: float, *, again: bool) -> dict[str, str | int | float]:
        """Give the options of FFmpeg's muxer.

        Args:
            source_id: Of which source.
            key_seconds: From key frame to key frame; a segment begins with one.
            again: The stream goes on after its process had died.
        """
        if self.scheme is not None:
            return dict(_FORMATS[self.scheme])
        flags = [
            "delete_segments",
            "independent_segments",
            "temp_file",
            *(["append_list", "discont_start"] if again else []),
        ]
        # FFmpeg takes % for a pattern, also in the names of folders, and knows no way to write it otherwise
        segments = Path(self.of(source_id)).stem.replace("%", "~") + "-%06d.ts"
        return {
            "format": "hls",
            "hls_time": key_seconds,
            "hls_list_size": _SEGMENTS,
            "hls_flags": "+".join(flags),
            "hls_segment_filename": segments,
        }


def _keep_secret(url: str) -> None:
    """Mask the password of a URL wherever FFmpeg repeats it."""
    password = urlsplit(url.replace(SOURCE, "source")).password
    if password:
        remember_secret(password)
        remember_secret(unquote(password))

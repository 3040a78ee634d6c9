"""A real RTSP server for tests: GStreamer's, in a process of its own, on 127.0.0.1 and a port that was free.

    with RtspServer({"/cam": clip}) as server:                     # clip: clips.Clip
        av.open(server.url("/cam"), options={"rtsp_transport": "tcp", "timeout": "5000000"})
        server.starve("/cam")      # connected, but no picture any more; server.feed("/cam") goes on
        server.switch("/cam", other_clip)    # mid-stream, of another size; the same codec
        server.drop()              # close every connection, properly
        server.pause()             # freeze the whole server; server.resume()
        server.kill()              # gone without a goodbye; server.start() comes back on the same port
        server.restart()

Each client gets an endless stream in real time: the clip from its first frame, over and over, its PTS going on, and
sender reports with the wall clock. A mount may have many clients.

    RtspServer({"/cam": clip}, user="me", password="secret", auth="digest")
    server.url("/cam", user="me", password="secret")

A client can publish H.264 to an inlet; others watch it at `<inlet>/view`:

    with RtspServer(inlets=["/in"]) as server:
        ...  # publish to server.url("/in")
        until(lambda: server.published("/in").frames >= 25, "nothing was published")
        av.open(server.url("/in/view"), options=TCP)
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from clips import Clip
from programs import Program, Startable, require

PYTHON = "/usr/bin/python3"
"""The system's own: GStreamer's bindings are not on the package index."""

PACKAGES = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    *(f"gstreamer1.0-plugins-{kind}" for kind in ("base", "good", "bad")),
)

TCP = {"rtsp_transport": "tcp", "timeout": "5000000"}
"""Options for `av.open` that suit a test: 5 s and no longer."""

QUICK = {**TCP, "probesize": "5000"}
"""The same; opens within 0.1 s where 1.1 s would go into finding out the frame rate."""


@dataclass(frozen=True)
class Published:
    """What came in by one inlet since the server's start."""

    frames: int
    keys: int
    """Key frames among them."""
    bytes: int
    sessions: int
    """How often somebody began to publish."""
    open: int
    """How many publish now: 0 or 1."""
    caps: str
    """GStreamer's words about the stream, with its width, height and frame rate."""


class RtspServer(Startable):
    """Cameras that a test can treat badly.

    Args:
        clips: Mount -> what it shows: `{"/cam": clip}`.
        inlets: Mounts to publish to; watched at `<inlet>/view`.
        user: Who may connect; None for everybody.
        password: Of that user.
        auth: How the password is asked for.
        transports: What clients may ask for.
    """

    def __init__(
        self,
        clips: Mapping[str, Clip] | None = None,
        *,
        inlets: Sequence[str] = (),
        user: str | None = None,
        password: str = "",
        auth: Literal["basic", "digest"] = "basic",
        transports: Sequence[Literal["tcp", "udp"]] = ("tcp", "udp"),
    ) -> None:
        shown = {mount: {"path": str(clip.path), "codec": clip.codec} for mount, clip in (clips or {}).items()}
        self._options = {
            "clips": shown,
            "inlets": list(inlets),
            "user": user,
            "password": password,
            "auth": auth,
            "transports": list(transports),
        }
        self.port = 0
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        assert self._program is not None, "the server was not started"
        return self._program

    def start(self) -> None:
        """Start, and wait until it listens; on the port it had before, if it had one."""
        require(*PACKAGES)
        options = json.dumps({**self._options, "port": self.port})
        self._program = Program(PYTHON, Path(__file__).with_name("rtsp_server_process.py"), options)
        self._program.start()
        self.port = json.loads(self._program.hear(30))["port"]

    def stop(self) -> None:
        if self._program is not None:
            self._program.stop()

    def kill(self) -> None:
        self.program.kill()

    def pause(self) -> None:
        self.program.pause()

    def resume(self) -> None:
        self.program.resume()

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def url(self, mount: str, *, user: str | None = None, password: str = "", port: int | None = None) -> str:
        """Make the address of a mount; `port` is that of a proxy in between."""
        credentials = "" if user is None else f"{quote(user, safe='')}:{quote(password, safe='')}@"
        return f"rtsp://{credentials}127.0.0.1:{port or self.port}{mount}"

    def starve(self, mount: str) -> None:
        """Send no more pictures of this mount; connections and sender reports go on."""
        self._ask("starve", mount=mount, is_starved=True)

    def feed(self, mount: str) -> None:
        """Send pictures again; their PTS has gone on in between."""
        self._ask("starve", mount=mount, is_starved=False)

    def switch(self, mount: str, clip: Clip) -> None:
        """Go on with another clip of the same codec, in the same stream."""
        self._ask("switch", mount=mount, path=str(clip.path), codec=clip.codec)

    def drop(self) -> int:
        """Close all connections, and count them; new ones are welcome."""
        return int(self._ask("drop"))

    @property
    def clients(self) -> int:
        """How many connections are open."""
        return int(self._ask("state")["clients"])

    @property
    def sessions(self) -> int:
        """How many clients are set up to play or record; one that says TEARDOWN is none any more."""
        return int(self._ask("state")["sessions"])

    def sent(self, mount: str) -> int:
        """How many pictures of this mount were sent since the start."""
        return int(self._ask("state")["sent"][mount])

    def published(self, inlet: str) -> Published:
        return Published(**self._ask("state")["inlets"][inlet])

    def save(self, inlet: str, path: Path) -> Path:
        """Keep what is published from now on, as a bare H.264 stream; `av.open(path, format="h264")` reads it."""
        self._ask("save", mount=inlet, path=os.fspath(path))
        return path

    def _ask(self, command: str, **words: Any) -> Any:
        self.program.say(json.dumps({"command": command, **words}))
        reply = json.loads(self.program.hear())
        if "error" in reply:
            msg = f"the RTSP server cannot {command} {words}: {reply['error']}"
            raise RuntimeError(msg)
        return reply["done"]

"""An RTSP server of real cameras' manners, for the system's Python, which has GStreamer's bindings.

Run by `rtsp_server.py` with one JSON object as its argument, which see. Each clip is taken apart into coded pictures
once; each client gets an endless stream of them, in real time, and its time goes on as the clip begins again. Commands
come as lines of JSON on standard input, each is answered by one line; when that ends, so do we.
"""

import json
import sys
import threading
from typing import Any, NamedTuple

# The bindings belong to the system's Python, and are unknown to the type checker of the tests' one.
import gi  # type: ignore[import-not-found, import-untyped, unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: E402
    GLib,
    Gst,
    GstRtsp,
    GstRtspServer,
)

CODECS = {
    "h264": ("h264parse", "video/x-h264,stream-format=byte-stream,alignment=au", "rtph264pay config-interval=-1"),
    "hevc": ("h265parse", "video/x-h265,stream-format=byte-stream,alignment=au", "rtph265pay config-interval=-1"),
    "mjpeg": ("jpegparse", "image/jpeg", "rtpjpegpay"),
}
"""Codec -> what cuts it into pictures, how they look, what puts them into RTP packets."""

PROTOCOLS = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}

ROLE = "viewer"


class Picture(NamedTuple):
    """One coded picture; its time in nanoseconds."""

    data: bytes
    pts: int
    is_key: bool


def _picture(buffer: Any) -> Picture:
    is_key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
    return Picture(buffer.extract_dup(0, buffer.get_size()), buffer.pts, is_key)


class Reel:
    """A clip, taken apart."""

    def __init__(self, path: str, codec: str) -> None:
        parse, caps, _ = CODECS[codec]
        pipeline = Gst.parse_launch(f"filesrc name=file ! qtdemux ! {parse} ! {caps} ! appsink name=out sync=false")
        pipeline.get_by_name("file").set_property("location", path)
        out = pipeline.get_by_name("out")
        pipeline.set_state(Gst.State.PLAYING)
        is_readable = pipeline.get_state(5 * Gst.SECOND)[0] != Gst.StateChangeReturn.FAILURE
        self.pictures: list[Picture] = []
        while is_readable and (sample := out.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
            self.caps = sample.get_caps()
            self.pictures.append(_picture(sample.get_buffer()))
        pipeline.set_state(Gst.State.NULL)
        if len(self.pictures) < 2:
            msg = f"{path}: need an MP4 of {codec} with 2 frames or more, got {len(self.pictures)}"
            raise ValueError(msg)
        first, last = self.pictures[0].pts, self.pictures[-1].pts
        self.step = (last - first) // (len(self.pictures) - 1)


class Feed:
    """Gives pictures to the pipeline of one client, whenever that asks for one, from the clip's first picture on."""

    def __init__(self, camera: "Camera", source: Any) -> None:
        self._camera = camera
        self._source = source
        self._index = 0
        self._pts = 0
        self._is_wanted = False
        source.set_property("caps", camera.reel.caps)
        source.connect("need-data", lambda *_: self._need())

    def _need(self) -> None:
        with self._camera.lock:
            self._is_wanted = True
            self.push()

    def push(self) -> None:
        """Push the next picture, if it is wanted and there is one."""
        camera = self._camera
        if not self._is_wanted or camera.is_starved:
            return
        self._is_wanted = False
        picture = camera.reel.pictures[self._index]
        buffer = Gst.Buffer.new_wrapped(picture.data)
        buffer.pts = buffer.dts = self._pts
        buffer.duration = camera.reel.step
        if not picture.is_key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        self._index = (self._index + 1) % len(camera.reel.pictures)
        self._pts += camera.reel.step
        camera.sent += 1
        self._source.emit("push-buffer", buffer)

    def rewind(self) -> None:
        """Go on with the first picture of the clip."""
        self._index = 0

    def catch_up(self) -> None:
        """Go on at the present time."""
        if self._is_wanted and (clock := self._source.get_clock()) is not None:
            self._pts = max(self._pts, clock.get_time() - self._source.get_base_time())


class Camera:
    """What one mount shows, to all its clients."""

    def __init__(self, reel: Reel) -> None:
        self.lock = threading.Lock()
        self.reel = reel
        self.is_starved = False
        self.sent = 0
        self._feeds: set[Feed] = set()

    def connected(self, media: Any) -> None:
        """Begin to feed a client."""
        feed = Feed(self, _element(media, "source"))
        with self.lock:
            self._feeds.add(feed)
        media.connect("unprepared", lambda _: self._disconnected(feed))

    def _disconnected(self, feed: Feed) -> None:
        with self.lock:
            self._feeds.discard(feed)

    def starve(self, *, is_starved: bool) -> None:
        """Give no more pictures, or go on: the connections stay as they are."""
        with self.lock:
            self.is_starved = is_starved
            for feed in self._feeds:
                feed.catch_up()
                feed.push()

    def switch(self, reel: Reel) -> None:
        """Go on with another clip."""
        with self.lock:
            self.reel = reel
            for feed in self._feeds:
                feed.rewind()


class Outlet:
    """Gives what is published to the pipeline of one viewer, from a key frame on, at the publisher's pace."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._later: int | None = None

    def push(self, picture: Picture) -> None:
        """Give on one picture."""
        if self._later is None:
            clock = self._source.get_clock()
            if clock is None or not picture.is_key:
                return
            self._later = clock.get_time() - self._source.get_base_time() - picture.pts
        buffer = Gst.Buffer.new_wrapped(picture.data)
        buffer.pts = max(0, picture.pts + self._later)
        if not picture.is_key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        self._source.emit("push-buffer", buffer)


class Inlet:
    """Takes what is published, counts its pictures, and gives them on to those who watch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outlets: set[Outlet] = set()
        self._file: Any = None
        self.count = {"frames": 0, "keys": 0, "bytes": 0, "sessions": 0, "open": 0}
        self.caps = ""

    def published(self, media: Any) -> None:
        """Begin to take from a publisher."""
        self._add(sessions=1, open=1)
        media.connect("unprepared", lambda _: self._add(open=-1))
        _element(media, "sink").connect("new-sample", self._take)

    def viewed(self, media: Any) -> None:
        """Begin to give to a viewer."""
        outlet = Outlet(_element(media, "source"))
        with self._lock:
            self._outlets.add(outlet)
        media.connect("unprepared", lambda _: self._left(outlet))

    def save(self, path: str) -> None:
        """Keep what comes from now on."""
        with self._lock:
            self._file = open(path, "wb")  # noqa: SIM115, PTH123 - until we end

    def _left(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets.discard(outlet)

    def _add(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                self.count[name] += number

    def _take(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        picture = _picture(sample.get_buffer())
        self._add(frames=1, keys=int(picture.is_key), bytes=len(picture.data))
        with self._lock:
            self.caps = sample.get_caps().to_string()
            if self._file is not None:
                self._file.write(picture.data)
                self._file.flush()
            for outlet in self._outlets:
                outlet.push(picture)
        return Gst.FlowReturn.OK


class Server:
    """All mounts, on one port."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.server = GstRtspServer.RTSPServer()
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(options["port"]))
        # A thread for each client: who waits for a stream's first picture must not hold up who publishes it.
        self.server.get_thread_pool().set_max_threads(-1)
        self.cameras: dict[str, Camera] = {}
        self.inlets: dict[str, Inlet] = {}
        for mount, clip in options["clips"].items():
            self._add_clip(mount, clip)
        for mount in options["inlets"]:
            self._add_inlet(mount)
        if options["user"]:
            self._protect(options["user"], options["password"], options["auth"])

    def _mount(self, mount: str, launch: str, *, mode: Any = GstRtspServer.RTSPTransportMode.PLAY) -> Any:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_latency(0)
        factory.set_transport_mode(mode)
        protocols = PROTOCOLS[self.options["transports"][0]]
        for name in self.options["transports"][1:]:
            protocols |= PROTOCOLS[name]
        factory.set_protocols(protocols)
        permissions = GstRtspServer.RTSPPermissions.new()
        for permission in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(ROLE, permission, True)
        factory.set_permissions(permissions)
        self.server.get_mount_points().add_factory(mount, factory)
        return factory

    def _add_clip(self, mount: str, clip: dict[str, str]) -> None:
        camera = self.cameras[mount] = Camera(Reel(clip["path"], clip["codec"]))
        parse, _, pay = CODECS[clip["codec"]]
        # The queue of the source holds one picture; `identity` lets each through when its time has come.
        source = "appsrc name=source is-live=true format=time max-buffers=1 max-bytes=0"
        factory = self._mount(mount, f"( {source} ! identity sync=true ! {parse} ! {pay} name=pay0 pt=96 )")
        factory.connect("media-configure", lambda _, media: camera.connected(media))

    def _add_inlet(self, mount: str) -> None:
        inlet = self.inlets[mount] = Inlet()
        _, caps, pay = CODECS["h264"]
        sink = "appsink name=sink sync=false async=false emit-signals=true"
        launch = f"( rtph264depay name=depay0 ! h264parse config-interval=-1 ! {caps} ! {sink} )"
        factory = self._mount(mount, launch, mode=GstRtspServer.RTSPTransportMode.RECORD)
        factory.connect("media-configure", lambda _, media: inlet.published(media))
        source = f"appsrc name=source is-live=true format=time caps={caps}"
        view = self._mount(f"{mount}/view", f"( {source} ! h264parse ! {pay} name=pay0 pt=96 )")
        view.connect("media-configure", lambda _, media: inlet.viewed(media))

    def _protect(self, user: str, password: str, method: str) -> None:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        if method == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        self.server.set_auth(auth)

    def do(self, command: str, **words: Any) -> Any:
        """Do what a line of standard input asks for."""
        if command == "state":
            return self._state()
        if command == "drop":
            return len(self.server.client_filter(lambda _, client: _close(client)))
        if command == "starve":
            return self.cameras[words["mount"]].starve(is_starved=words["is_starved"])
        if command == "switch":
            return self.cameras[words["mount"]].switch(Reel(words["path"], words["codec"]))
        if command == "save":
            return self.inlets[words["mount"]].save(words["path"])
        msg = f"unknown command {command}"
        raise ValueError(msg)

    def _state(self) -> dict[str, Any]:
        return {
            "clients": len(self.server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REF)),
            "sessions": self.server.get_session_pool().get_n_sessions(),
            "sent": {mount: camera.sent for mount, camera in self.cameras.items()},
            "inlets": {mount: {**inlet.count, "caps": inlet.caps} for mount, inlet in self.inlets.items()},
        }


def _element(media: Any, name: str) -> Any:
    return media.get_element().get_by_name_recurse_up(name)


def _close(client: Any) -> Any:
    client.close()
    return GstRtspServer.RTSPFilterResult.REF


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _answer(line: str, server: Server, loop: Any) -> bool:
    """Do one command, on the server's own thread."""
    if not line:
        loop.quit()
        return False
    try:
        reply = {"done": server.do(**json.loads(line))}
    except (GLib.Error, KeyError, OSError, TypeError, ValueError) as error:
        reply = {"error": repr(error)}
    _say(reply)
    return False


def main() -> None:
    """Serve until standard input ends."""
    Gst.init(None)
    server, loop = Server(json.loads(sys.argv[1])), GLib.MainLoop()
    if not server.server.attach(None):
        sys.exit(f"cannot listen on port {server.options['port']}")

    def read_commands() -> None:
        for line in sys.stdin:
            GLib.idle_add(_answer, line, server, loop)
        GLib.idle_add(_answer, "", server, loop)

    threading.Thread(target=read_commands, daemon=True).start()
    _say({"port": server.server.get_bound_port()})
    loop.run()


if __name__ == "__main__":
    main()

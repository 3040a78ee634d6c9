"""Makes docs/dataloop.jpg: what a platform shows of a film that was annotated there, by the commands of a user.

    python tests/dataloop_picture.py docs/dataloop.jpg --pose yolov8n-pose.pt -o pose.confidence=0.65 -o pose.iou=0.4

The film is that of `kinestream demo`: a virtual camera over a photograph of the package ultralytics. The platform is
the test server; the picture is drawn from the annotations that it stores.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataloop_server import DataloopServer

from stages.sources.pan import Options, PanSource

WIDTH, HEIGHT, RATE, SECONDS = 420, 236, 25, 6


def film(path: Path) -> Path:
    """Film the photograph."""
    options = Options(seconds=SECONDS, frames_per_second=RATE, width=WIDTH, height=HEIGHT)
    with PanSource.expand(options, None)[-1] as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = WIDTH, HEIGHT
        while (frame := source.read()) is not None:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def main(out: Path, *how: str) -> None:
    """Annotate the film, with options as of the command, and draw what is stored then."""
    with DataloopServer() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        item = server.add_item(
            film(folder / "demo.mp4"), fps=RATE, frame_count=RATE * SECONDS, width=WIDTH, height=HEIGHT
        )
        environment = {
            **os.environ, "DATALOOP_URL": server.url, "DATALOOP_TOKEN": server.new_token(),
            "DATALOOP_PATH": str(folder / "login"), "KINESTREAM_STATE": str(folder / "state"),
        }  # fmt: skip
        for arguments in (
            ("setup", "--dataset", server.dataset_id),
            ("annotate", "--dataset", server.dataset_id, *how),
            ("show", item, "--out", str(out.resolve())),
        ):
            program = Path(sys.executable).with_name("kinestream")
            subprocess.run([program, "dataloop", *arguments], env=environment, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

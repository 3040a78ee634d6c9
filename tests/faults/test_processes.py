"""The whole program, stopped while cameras hang, or killed: what it has written can be read, and nobody is misled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import av
import pytest
import yaml
from broker import Broker, Listener
from clips import Clip, number_of
from fault_proxy import FaultProxy, Silent, Stall
from live_run import camera
from programs import ROOT, until
from rtsp_server import RtspServer

pytestmark = pytest.mark.slow

Proxy = Callable[[int], FaultProxy]
Record = Callable[[str, float], None]

PASSWORD = "correct-horse#7"  # noqa: S105 - of a server that lives as long as a test
WRONG = "battery/staple:9"


class Kinestream:
    """`kinestream run` with a configuration, in a process of its own."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.out = folder / "out"
        self._said = folder / "said.txt"
        config = folder / "cameras.yaml"
        config.write_text(yaml.safe_dump({**sections, "run": {"out": str(self.out)}}), encoding="utf-8")
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", str(config), "--verbose"]
        environment = {**os.environ, "KINESTREAM_STATE": str(folder / "state")}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment
            )

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return report

    def until_lines(self, count: int, source_id: str = "good") -> None:
        """Wait until so many frames of a source are in the table."""
        path = self.out / "people.jsonl.part"

        def are_there() -> bool:
            assert self.process.poll() is None, self.said
            return path.exists() and path.read_text(encoding="utf-8").count(f'"source":"{source_id}"') >= count

        until(are_there, f"not {count} frames of {source_id}", 30)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)


@pytest.fixture
def kinestream(tmp_path: Path) -> Iterator[Callable[..., Kinestream]]:
    """Start the program, with sections of a configuration."""
    with ExitStack() as started:

        def start(**sections: Any) -> Kinestream:
            program = Kinestream(tmp_path, **sections)
            started.callback(program.close)
            return program

        yield start


def numbers(path: Path) -> list[int | None]:
    """Decode a video, and read the numbers off its frames."""
    with av.open(path) as container:
        return [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]


def sinks(box: Broker) -> list[Any]:
    return ["jsonl", {"kind": "video", "info": False}, {"kind": "mqtt", "port": box.port}]


def test_asked_to_stop_while_cameras_hang_it_ends_in_order_within_ten_seconds(
    steady: RtspServer, fault_proxy: Proxy, broker: Callable[..., Broker], listener: Callable[..., Listener],
    kinestream: Callable[..., Kinestream], seconds: Record,
) -> None:  # fmt: skip
    silent, stalled, box = fault_proxy(steady.port), fault_proxy(steady.port), broker()
    heard = listener(box)
    silent.apply(Silent())
    url = steady.url("/cam")
    bad = {"silent": silent.through(url), "stalled": stalled.through(url)}
    cameras = [camera("good", url), *(camera(name, at, stall_timeout_seconds=30) for name, at in bad.items())]
    program = kinestream(sources=cameras, sinks=sinks(box))
    program.until_lines(30)
    program.until_lines(5, "stalled")
    heard.wait_for("kinestream/available", lambda message: message.text == "online")
    stalled.apply(Stall())
    time.sleep(0.5)  # until what was on its way has arrived: from now on the read waits
    asked = time.monotonic()
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(15) == 0, program.said
    took = time.monotonic() - asked
    assert took <= 10
    heard.wait_for("kinestream/available", lambda message: message.text == "offline")
    for name in ("good", "stalled"):
        assert None not in numbers(program.out / f"{name}.mp4")
    assert not list(program.out.glob("*.part"))
    for counts in program.report["sources"].values():
        assert counts["received"] == counts["delivered"] + counts["in_flight"] + sum(counts["dropped"].values())
    lines = (program.out / "people.jsonl").read_text(encoding="utf-8").splitlines()
    delivered = sum(counts["delivered"] for counts in program.report["sources"].values())
    assert len([json.loads(line) for line in lines]) == delivered
    seconds("ended", took)


def test_killed_it_leaves_whole_lines_a_video_that_plays_and_a_broker_that_says_so(
    steady: RtspServer, broker: Callable[..., Broker], listener: Callable[..., Listener],
    kinestream: Callable[..., Kinestream], seconds: Record,
) -> None:  # fmt: skip
    box = broker()
    heard = listener(box)
    program = kinestream(sources=[camera("good", steady.url("/cam"))], sinks=sinks(box))
    program.until_lines(60)
    heard.wait_for("kinestream/available", lambda message: message.text == "online")
    program.process.kill()
    killed = time.monotonic()
    assert program.process.wait(10) == -signal.SIGKILL
    offline = heard.wait_for("kinestream/available", lambda message: message.text == "offline")
    text = (program.out / "people.jsonl.part").read_text(encoding="utf-8")
    assert text.endswith("\n")
    frames = [json.loads(line)["frame"] for line in text.splitlines()]
    assert frames == list(range(len(frames)))
    played = numbers(program.out / "good.mp4.part")
    assert len(played) >= len(frames) - 30  # up to its last two seconds
    assert None not in played
    seconds("found", offline.at - killed)


def test_passwords_are_in_nothing_that_the_program_says_or_writes(
    rtsp_server: Callable[..., RtspServer], clip: Clip, kinestream: Callable[..., Kinestream]
) -> None:
    server = rtsp_server({"/cam": clip}, user="me", password=PASSWORD, auth="digest")
    cameras = [
        camera("good", server.url("/cam", user="me", password=PASSWORD)),
        camera("bad", server.url("/cam", user="me", password=WRONG)),
        camera("bad-too", server.url("/cam"), user="me", password=WRONG),
    ]
    program = kinestream(sources=cameras, sinks=["jsonl"])
    program.until_lines(20)
    until(lambda: program.said.count("'bad") >= 1, "nothing was said about the wrong password")
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(15) == 0, program.said
    assert program.report["sources"]["bad"]["state"] == "stopped"
    assert program.report["sources"]["good"]["delivered"] >= 20
    everything = [program.said, *(path.read_text(encoding="utf-8") for path in program.out.iterdir())]
    for secret in ("battery", "staple", "correct-horse"):
        assert not any(secret in text for text in everything)

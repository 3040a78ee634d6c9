import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ConfigError, MissingPackage, WeightsError
from stages.engines import EngineOptions, InputFormat, Model, artefacts, open_engines
from stages.engines.base import Engine
from stages.engines.conversion import onnx_of, openvino_of

Pictures = NDArray[np.uint8]


def writes(*contents: str) -> Callable[[Path], None]:
    """Make a function that writes an .xml and a .bin, other ones at each call."""
    left = list(contents)

    def make(path: Path) -> None:
        content = left.pop(0)
        path.write_text(content)
        path.with_suffix(".bin").write_text(content * 2)

    return make


def start(model: Model, name: str = "openvino") -> Engine:
    options = EngineOptions.model_validate({"engine": name, "precision": "f32", "device": "cpu"})
    (engine,) = open_engines(model, options, 4)
    return engine


def test_a_name_says_what_an_artefact_was_made_from(model: Model, own_cache: Path) -> None:
    path = artefacts.graph_path(model, ".xml", "int8")
    assert path == own_cache / f"tiny_64x48-{model.sha256[:12]}-64x48-int8.xml"
    assert artefacts.graph_path(model, ".onnx", where=Path("out")).parent == Path("out")
    assert artefacts.graph_path(replace(model, input=InputFormat(64, 64)), ".xml", "int8") != path


def test_an_artefact_is_made_once(own_cache: Path) -> None:
    path = own_cache / "a.xml"
    make = writes("first", "second")
    assert artefacts.kept(path, make) == path
    artefacts.kept(path, make)
    assert path.read_text() == "first"
    artefacts.kept(path, make, again=True)
    assert path.read_text() == "second"


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="the graph is gone"),
        pytest.param(lambda path: path.with_suffix(".bin").unlink(), id="its weights are gone"),
        pytest.param(lambda path: path.with_suffix(".bin").write_text("firstfirsT"), id="one byte differs"),
        pytest.param(lambda path: path.with_suffix(".bin").write_text("first"), id="cut off"),
        pytest.param(lambda path: path.write_text(""), id="empty"),
        pytest.param(lambda path: path.with_name("a.xml.json").unlink(), id="the card is gone"),
        pytest.param(lambda path: path.with_name("a.xml.json").write_text("{"), id="the card is damaged"),
        pytest.param(lambda path: path.with_name("a.xml.json").write_text("[]"), id="the card is something else"),
        pytest.param(
            lambda path: path.with_name("a.xml.json").write_text(
                json.dumps(json.loads(path.with_name("a.xml.json").read_text()) | {"format": 0})
            ),
            id="made by the rules of an older release",
        ),
    ],
)
def test_a_damaged_artefact_is_made_again(damage: Callable[[Path], None], own_cache: Path) -> None:
    path = own_cache / "a.xml"
    make = writes("first", "second")
    artefacts.kept(path, make)
    damage(path)
    assert not artefacts.is_intact(path)
    artefacts.kept(path, make)
    assert artefacts.is_intact(path)
    assert path.read_text() == "second"


def test_what_fails_while_it_is_made_leaves_nothing(own_cache: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        msg = "broken"
        raise WeightsError(msg)

    with pytest.raises(WeightsError, match="broken"):
        artefacts.kept(own_cache / "a.xml", fail)
    assert [file.name for file in own_cache.iterdir()] == [".a.xml.lock"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write to .*file.*KINESTREAM_CACHE"):
        artefacts.kept(tmp_path / "file" / "a.xml", writes("first"))


def test_of_two_that_make_the_same_one_waits_for_the_other(own_cache: Path) -> None:
    path = own_cache / "a.xml"
    started, go_on = threading.Event(), threading.Event()
    made: list[str] = []

    def make(target: Path) -> None:
        made.append(threading.current_thread().name)
        started.set()
        assert go_on.wait(30)
        writes("one")(target)

    threads = [threading.Thread(target=artefacts.kept, args=(path, make)) for _ in range(2)]
    threads[0].start()
    assert started.wait(30)
    threads[1].start()
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made == [threads[0].name]


def test_processes_may_make_the_same_at_once(model: Model) -> None:
    program = (
        "import sys; from pathlib import Path; from stages.engines import artefacts\n"
        "def make(path): path.write_text('one'); print('made')\n"
        "artefacts.kept(Path(sys.argv[1]), make)"
    )
    path = artefacts.graph_path(model, ".xml")
    command = [sys.executable, "-c", program, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = "".join(process.communicate(timeout=60)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert said == "made\n"
    assert artefacts.is_intact(path)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_second_start_needs_no_pytorch(name: str, model: Model, pictures: Pictures, tmp_path: Path) -> None:
    first = start(model, name)
    (expected,) = first.run(pictures[:2])
    first.close()
    np.save(tmp_path / "pictures.npy", pictures[:2])
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; import numpy as np\n"
        "from stages.engines import EngineOptions, InputFormat, Model, open_engines\n"
        "def build(): raise AssertionError('built')\n"
        "model = Model(Path(sys.argv[1]), InputFormat(48, 64), build)\n"
        f"options = EngineOptions(engine={name!r}, precision='f32')\n"
        "(engine,) = open_engines(model, options, 4)\n"
        "np.save(sys.argv[3], engine.run(np.load(sys.argv[2]))[0])\n"
        "engine.close()"
    )
    files = [str(model.weights), str(tmp_path / "pictures.npy"), str(tmp_path / "heatmaps.npy")]
    subprocess.run([sys.executable, "-c", program, *files], check=True, timeout=100, env=os.environ)
    assert np.array_equal(np.load(tmp_path / "heatmaps.npy"), expected)


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_damaged_graph_is_converted_again_and_says_so(
    suffix: str, model: Model, pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(model)
    (expected,) = first.run(pictures)
    first.close()
    damaged = openvino_of(model).with_suffix(suffix)
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = start(model)
    assert np.array_equal(again.run(pictures)[0], expected)
    again.close()
    assert any("is made again" in message for message in caplog.messages)


def test_a_graph_that_openvino_cannot_read_is_converted_again(model: Model, pictures: Pictures) -> None:
    path = artefacts.graph_path(model, ".xml")
    artefacts.kept(path, writes("of another release"))
    assert artefacts.is_intact(path)
    engine = start(model)
    assert engine.run(pictures)[0].shape == (5, 5, 32, 24)
    engine.close()


def test_other_weights_of_the_same_name_have_artefacts_of_their_own(model: Model) -> None:
    first = onnx_of(model)
    model.weights.write_bytes(b"trained further")
    assert onnx_of(Model(model.weights, model.input, model.module)) != first


def test_without_the_exporter_its_extra_is_named(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingPackage, match=r"'onnxscript': pip install 'kinestream\[torch\]'"):
        onnx_of(model)


def test_an_int8_graph_that_is_not_made_yet_gives_the_command(model: Model) -> None:
    options = EngineOptions(engine="openvino", precision="int8")
    with pytest.raises(WeightsError, match=r"not made yet.*kinestream export .*tiny_64x48\.pth' .*--calibrate FOLDER"):
        open_engines(model, options, 1)


def test_nothing_is_logged_when_an_artefact_is_there(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    onnx_of(model)
    caplog.clear()
    caplog.set_level(logging.INFO, "stages.engines")
    started = time.perf_counter()
    onnx_of(model)
    assert time.perf_counter() - started < 5
    assert caplog.messages == []

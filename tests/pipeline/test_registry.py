"""The table of plug-ins: names are found, the unknown is answered with the closest, the missing with a command."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import plugins_for_tests
import pytest

from pipeline.errors import ConfigError, MissingPackage, UnknownPlugin
from pipeline.registry import EXTRAS, LOADERS, PLUGINS, SOURCE_PATTERNS, options_model, resolve, shorthand
from pipeline.registry import validate_options as validate

Write = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of plug-ins, register its class `Lamp` as the source `lamp`, and give the module's name."""

    def write(text: str) -> str:
        name = f"lamp_of_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setitem(PLUGINS, "source", {"lamp": f"{name}:Lamp"})
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


# The table


def test_every_entry_names_a_module_and_a_class() -> None:
    for role, entries in PLUGINS.items():
        assert entries, role
        assert all(entry.count(":") == 1 for entry in entries.values())
        assert list(entries) == sorted(entries) or role == "stage"


def test_shorthand_leads_to_registered_plugins_only() -> None:
    assert all(kind in PLUGINS["source"] for _, kind, _ in SOURCE_PATTERNS)
    assert all(kind in PLUGINS[role] for role, patterns in LOADERS.items() for _, kind in patterns)


@pytest.mark.parametrize("role", LOADERS)
def test_whatever_is_left_over_goes_to_the_last_loader(role: str) -> None:
    assert LOADERS[role][-1] == (".+", "ultralytics")


def test_every_package_of_an_extra_that_a_plugin_may_lack_is_offered_with_it() -> None:
    pyproject = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(pyproject)["project"]["optional-dependencies"]
    for imported, extra in EXTRAS.items():
        package = {"ffmpeg": "ffmpeg_python"}.get(imported, imported)
        assert any(re.split("[>=<]", wanted)[0].replace("-", "_") == package for wanted in extras[extra]), package


# Finding a plug-in


@pytest.mark.parametrize(
    ("role", "name", "message"),
    [
        ("sink", "jsonll", r"unknown sink 'jsonll'\. Did you mean 'jsonl'\? Known: coco, csv, dataloop, events, json"),
        ("tracker", "bytetracker", r"unknown tracker 'bytetracker'\. Did you mean 'bytetrack'\? Known: "),
        ("sink", "qqqq", r"unknown sink 'qqqq'\. Known: coco"),
        ("pose", "", r"unknown pose ''\. Known: "),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest_and_all_known(role: str, name: str, message: str) -> None:
    with pytest.raises(UnknownPlugin, match=message) as caught:
        resolve(role, name)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2


def test_a_plugin_is_imported_when_it_is_named(module: Write) -> None:
    name = module("class Options: ...\nclass Lamp: ...\n")
    assert name not in sys.modules
    lamp = resolve("source", "lamp")
    assert lamp is sys.modules[name].Lamp
    assert options_model(lamp) is sys.modules[name].Options


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items(), ids=list(EXTRAS))
def test_a_missing_package_is_answered_with_the_command_that_installs_it(
    package: str, extra: str, module: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    module(f"import {package}.some.part\nclass Lamp: ...\n")
    with pytest.raises(MissingPackage) as caught:
        resolve("source", "lamp")
    assert str(caught.value) == f"source 'lamp' needs the package '{package}': pip install 'kinestream[{extra}]'"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert caught.value.exit_code == 2


def test_a_fault_of_the_plugin_itself_is_not_taken_for_a_missing_package(module: Write) -> None:
    module("import a_module_that_nobody_ships\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_ships"):
        resolve("source", "lamp")


# Shorthand


@pytest.mark.parametrize(
    ("role", "text", "entry"),
    [
        ("source", "street.mp4", {"kind": "file", "path": "street.mp4"}),
        ("source", "videos/*.mp4", {"kind": "file", "path": "videos/*.mp4"}),
        ("source", "C:\\street.mp4", {"kind": "file", "path": "C:\\street.mp4"}),
        ("source", "without suffix", {"kind": "file", "path": "without suffix"}),
        ("source", "photo.jpg", {"kind": "images", "path": "photo.jpg"}),
        ("source", "photos/*.JPEG", {"kind": "images", "path": "photos/*.JPEG"}),
        ("source", "photo.png.mp4", {"kind": "file", "path": "photo.png.mp4"}),
        ("source", "synthetic", {"kind": "synthetic"}),
        ("source", "0", {"kind": "camera", "path": "0"}),
        ("source", "/dev/video12", {"kind": "camera", "path": "/dev/video12"}),
        ("source", "rtsp://me:pw@cam/1.mp4", {"kind": "rtsp", "url": "rtsp://me:pw@cam/1.mp4"}),
        ("source", "RTSPS://cam", {"kind": "rtsp", "url": "RTSPS://cam"}),
        ("source", "https://hub/live.m3u8?a=1", {"kind": "rtsp", "url": "https://hub/live.m3u8?a=1"}),
        ("source", "http://cam/video.mjpg", {"kind": "rtsp", "url": "http://cam/video.mjpg"}),
        ("source", "http://hub/street.mp4?a=1", {"kind": "file", "path": "http://hub/street.mp4?a=1"}),
        ("source", "udp://239.0.0.1:5000", {"kind": "rtsp", "url": "udp://239.0.0.1:5000"}),
        ("detector", "blazepose", {"kind": "blazepose"}),
        ("detector", "yolo11n.pt", {"kind": "ultralytics", "weights": "yolo11n.pt"}),
        ("detector", "models/mine_openvino_model", {"kind": "ultralytics", "weights": "models/mine_openvino_model"}),
        ("detector", "models/yolox_s.onnx", {"kind": "onnx", "weights": "models/yolox_s.onnx"}),
        ("detector", "RT-DETR_r18.ONNX", {"kind": "onnx", "weights": "RT-DETR_r18.ONNX"}),
        ("detector", "rtdetr-l.pt", {"kind": "ultralytics", "weights": "rtdetr-l.pt"}),
        ("detector", "yolox/yolo11n.onnx", {"kind": "ultralytics", "weights": "yolox/yolo11n.onnx"}),
        ("pose", "yolo11n-pose", {"kind": "ultralytics", "weights": "yolo11n-pose"}),
        ("pose", "yolo11n-pose.onnx", {"kind": "ultralytics", "weights": "yolo11n-pose.onnx"}),
        ("pose", "hrnet", {"kind": "hrnet"}),
        ("pose", "hrnet-w32-256x192", {"kind": "hrnet", "weights": "hrnet-w32-256x192"}),
        ("pose", "pose_hrnet_w48_384x288.pth", {"kind": "hrnet", "weights": "pose_hrnet_w48_384x288.pth"}),
        ("pose", "runs/model_best.pth", {"kind": "hrnet", "weights": "runs/model_best.pth"}),
        ("pose", "checkpoint.pth.tar", {"kind": "hrnet", "weights": "checkpoint.pth.tar"}),
        ("pose", "resnets/model_best.pth", {"kind": "hrnet", "weights": "resnets/model_best.pth"}),
        ("pose", "poseresnet-50-256x192", {"kind": "poseresnet", "weights": "poseresnet-50-256x192"}),
        ("pose", "a/pose_resnet_50_256x192.pth", {"kind": "poseresnet", "weights": "a/pose_resnet_50_256x192.pth"}),
        ("pose", "C:\\pose_resnet_50.pth.tar", {"kind": "poseresnet", "weights": "C:\\pose_resnet_50.pth.tar"}),
        ("pose", "res50_coco_256x192.pth", {"kind": "poseresnet", "weights": "res50_coco_256x192.pth"}),
        ("pose", "results_best.pth", {"kind": "hrnet", "weights": "results_best.pth"}),
        ("pose", "pose_resnet_50.onnx", {"kind": "onnx", "weights": "pose_resnet_50.onnx"}),
        ("pose", "a/hrnet_w32.xml", {"kind": "onnx", "weights": "a/hrnet_w32.xml"}),
        ("pose", "rtmpose-m.onnx", {"kind": "onnx", "weights": "rtmpose-m.onnx"}),
        ("tracker", "bytetrack", {"kind": "bytetrack"}),
        ("sink", "jsonl", {"kind": "jsonl"}),
        ("sink", "publish=rtsp://a/b", {"kind": "publish", "url": "rtsp://a/b"}),
        ("sink", "video=out.mp4", {"kind": "video", "path": "out.mp4"}),
        ("sink", "video={source}=1.mp4", {"kind": "video", "path": "{source}=1.mp4"}),
    ],
)
def test_a_bare_text_is_written_out(role: str, text: str, entry: dict[str, str]) -> None:
    assert shorthand(role, text) == entry


def test_a_folder_is_read_as_images(tmp_path: Path) -> None:
    assert shorthand("source", str(tmp_path)) == {"kind": "images", "path": str(tmp_path)}


def test_the_name_of_a_plugin_comes_before_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "synthetic").mkdir()
    monkeypatch.chdir(tmp_path)
    assert shorthand("source", "synthetic") == {"kind": "synthetic"}
    assert shorthand("source", "./synthetic") == {"kind": "images", "path": "./synthetic"}


@pytest.mark.parametrize("url", ["gopher://me:hunter2@hole/1", "GOPHER://hole/photo.jpg", "x+y://hole"])
def test_a_url_that_no_source_reads_is_refused_and_its_password_masked(url: str) -> None:
    with pytest.raises(UnknownPlugin, match=r"no source reads '.*hole.*'\. Known: camera, file, images") as caught:
        shorthand("source", url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("role", "text", "closest"),
    [
        ("detector", "blazepos", "blazepose"),
        ("detector", "ultralitics", "ultralytics"),
        ("pose", "blaze-pose", "blazepose"),
        ("pose", "pose-resnet", "poseresnet"),
        ("pose", "hr-net", "hrnet"),
        ("tracker", "bytetrak", "bytetrack"),
    ],
)
def test_a_misspelt_plugin_is_not_taken_for_weights(role: str, text: str, closest: str) -> None:
    with pytest.raises(UnknownPlugin, match=rf"unknown {role} '{text}'\. Did you mean '{closest}'\?"):
        shorthand(role, text)


def test_a_file_is_weights_even_if_its_name_is_like_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ultralitics").touch()
    monkeypatch.chdir(tmp_path)
    assert shorthand("detector", "ultralitics") == {"kind": "ultralytics", "weights": "ultralitics"}


def test_a_tracker_loads_no_weights() -> None:
    with pytest.raises(UnknownPlugin, match=r"unknown tracker 'tracker\.pt'"):
        shorthand("tracker", "tracker.pt")


# Options


def test_options_are_checked_and_filled_in() -> None:
    options = validate(plugins_for_tests.Finder, {"confidence": "0.25"}, "detect")
    assert options == plugins_for_tests.Options(path="out.txt", confidence=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"confidense": 0.4},
            (
                "detect.confidense: unknown option 'confidense'. Did you mean 'confidence'? "
                "Allowed: path, confidence, device, password"
            ),
        ),
        ({"qqqq": 0.4}, "detect.qqqq: unknown option 'qqqq'. Allowed: path, confidence, device, password"),
        ({"confidence": 1.5}, "detect.confidence: Input should be less than or equal to 1, got 1.5"),
        ({"path": None}, "detect.path: Input should be a valid string, got None"),
        ({"path": ["rtsp://me:hunter2@cam"]}, "detect.path: Input should be a valid string, got ['rtsp://***@cam']"),
        ({"password": 12345}, "detect.password: Input should be a valid string, got '***'"),
    ],
    ids=["misspelt", "unknown", "out of range", "none", "secret by value", "secret by name"],
)
def test_a_wrong_option_is_named_with_its_path_value_and_what_is_allowed(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(plugins_for_tests.Finder, options, "detect")
    assert str(caught.value) == message
    assert caught.value.__cause__ is None


def test_a_required_option_that_is_left_out_is_named(module: Write) -> None:
    module("from pipeline import plugin\nclass Options(plugin.Options):\n    password: str\nclass Lamp: ...\n")
    with pytest.raises(ConfigError, match=r"\Asources\.0\.password: this option is required\Z"):
        validate(resolve("source", "lamp"), {}, "sources.0")


def test_each_wrong_option_has_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(plugins_for_tests.Finder, {"confidence": 2, "device": 3, "extra": 4}, "sinks.0")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["sinks.0.confidence", "sinks.0.device", "sinks.0.extra"]

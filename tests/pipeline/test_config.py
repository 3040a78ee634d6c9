"""Configurations: presets, short forms, overrides, the environment; and every mistake in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import skip_or_fail

from pipeline import config as module
from pipeline import secrets
from pipeline.config import PipelineConfig, build_config, presets, read_yaml
from pipeline.errors import ConfigError, MissingPackage, UnknownPlugin
from pipeline.graph import build
from pipeline.registry import PLUGINS
from pipeline.secrets import mask

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))

Presets = Callable[..., None]


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_remembered", set())


@pytest.fixture
def own_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Presets:
    """Put presets in place of those that are shipped: `own_presets(small="pose: blazepose")`."""
    folder = tmp_path / "configs"
    folder.mkdir()
    monkeypatch.setattr(module, "_configs", lambda: folder)

    def write(**texts: str) -> None:
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")

    return write


def kinds(config: PipelineConfig) -> dict[str, Any]:
    """Say which plug-in each section has."""
    return {
        "sources": [entry.kind for entry in config.sources],
        **{name: entry and entry.kind for name in ("detect", "pose", "track") for entry in [getattr(config, name)]},
        "sinks": [entry.kind for entry in config.sinks],
    }


# Short forms


def test_nothing_at_all_is_a_configuration_of_nothing() -> None:
    config = build_config({})
    assert kinds(config) == {"sources": [], "detect": None, "pose": None, "track": None, "sinks": []}
    assert config.run.max_age_seconds == 0.5


def test_bare_names_are_written_out() -> None:
    config = build_config(
        {
            "sources": ["street.mp4", {"kind": "synthetic", "id": "figures", "frames": 3}],
            "detect": "yolo11n.pt",
            "pose": "none",
            "track": "bytetrack",
            "sinks": ["jsonl", "video=out.mp4"],
        }
    )
    assert kinds(config) == {
        "sources": ["file", "synthetic"],
        "detect": "ultralytics",
        "pose": None,
        "track": "bytetrack",
        "sinks": ["jsonl", "video"],
    }
    assert config.sources[0].options == {"path": "street.mp4"}
    assert (config.sources[1].id, config.sources[1].options) == ("figures", {"frames": 3})
    assert config.sinks[1].options == {"path": "out.mp4"}


def test_a_misspelt_bare_name_is_answered_with_the_closest() -> None:
    with pytest.raises(UnknownPlugin, match="Did you mean 'bytetrack'"):
        build_config({"track": "bytetrak"})


def test_the_callers_tree_is_left_alone() -> None:
    tree = {"preset": "embedded", "sinks": ["jsonl"], "run": {"out": "x"}}
    build_config(tree, ["sinks.0.path=a.jsonl", "run.out=y", "preset=balanced"])
    assert tree == {"preset": "embedded", "sinks": ["jsonl"], "run": {"out": "x"}}


# Presets


@pytest.mark.parametrize(
    ("over", "pose"),
    [
        ({}, {"kind": "blazepose", "threads": 2, "overlap": 0.5}),
        ({"pose": {"threads": 1}}, {"kind": "blazepose", "threads": 1, "overlap": 0.5}),
        ({"pose": {"kind": "blazepose", "threads": 1}}, {"kind": "blazepose", "threads": 1, "overlap": 0.5}),
        ({"pose": "blazepose"}, {"kind": "blazepose", "threads": 2, "overlap": 0.5}),
        ({"pose": {"kind": "ultralytics", "weights": "x"}}, {"kind": "ultralytics", "weights": "x"}),
        ({"pose": "none"}, None),
        ({"pose": None}, None),
    ],
    ids=["as it is", "an option", "the same kind", "the same name", "another kind", "none", "null"],
)
def test_what_is_given_is_laid_over_the_preset(over: dict[str, Any], pose: object, own_presets: Presets) -> None:
    own_presets(small="pose: {kind: blazepose, threads: 2, overlap: 0.5}")
    config = build_config({"preset": "small", **over})
    assert (config.pose and {"kind": config.pose.kind, **config.pose.options}) == pose


def test_lists_of_a_preset_are_replaced_and_settings_are_merged(own_presets: Presets) -> None:
    own_presets(small="{sinks: [jsonl, csv], run: {device: cpu, max_frames: 9}}")
    config = build_config({"preset": "small", "sinks": ["mot"], "run": {"max_frames": 3}})
    assert kinds(config)["sinks"] == ["mot"]
    assert (config.run.device, config.run.max_frames) == ("cpu", 3)


def test_a_preset_may_stand_on_another_one(own_presets: Presets) -> None:
    own_presets(base="{track: bytetrack, sinks: [jsonl]}", demo="{preset: base, sinks: [csv]}")
    config = build_config({"preset": "demo", "sources": ["synthetic"]})
    assert kinds(config) | {"detect": None} == {
        "sources": ["synthetic"],
        "detect": None,
        "pose": None,
        "track": "bytetrack",
        "sinks": ["csv"],
    }


@pytest.mark.parametrize("name", ["embeded", "", "../embedded", 5, ["embedded"]])
def test_an_unknown_preset_is_answered_with_the_known(name: object) -> None:
    with pytest.raises(ConfigError, match=r"unknown preset '.*'; known: .*embedded") as caught:
        build_config({"preset": name})
    assert all(known in str(caught.value) for known in presets())


def test_a_preset_takes_values_from_the_environment(own_presets: Presets, monkeypatch: pytest.MonkeyPatch) -> None:
    own_presets(small="sources: ['${CAMERA:-street.mp4}']")
    assert build_config({"preset": "small"}).sources[0].options == {"path": "street.mp4"}
    monkeypatch.setenv("CAMERA", "garden.mp4")
    assert build_config({"preset": "small"}).sources[0].options == {"path": "garden.mp4"}


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_shipped_configuration_is_a_preset_and_loads(path: Path) -> None:
    assert path.stem in presets()
    assert build_config(read_yaml(path)) == build_config({"preset": path.stem})


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_shipped_configuration_makes_a_chain(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        graph = build(build_config({"sources": ["synthetic"]} | read_yaml(path)), tmp_path)
    except MissingPackage as error:
        skip_or_fail(str(error))
    assert graph.stages
    assert list(tmp_path.iterdir()) == []


def test_shipped_configurations_name_known_plugins_only() -> None:
    for path in CONFIGS:
        config = build_config(read_yaml(path))
        assert {entry.kind for entry in config.sinks} <= set(PLUGINS["sink"])


# Sections that are on or off


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("light", {"strength": "light"}),
        ("strong", {"strength": "strong"}),
        ("{strength: strong}", {"strength": "strong"}),
        ("{}", {}),
        ("on", {}),
        ("true", {}),
        ("off", None),
        ("false", None),
        ("none", None),
        ("null", None),
        ('"off"', None),
    ],
)
def test_smooth_is_off_on_or_one_word(given: str, options: object) -> None:
    assert build_config(yaml.safe_load(f"smooth: {given}")).smooth == options
    assert build_config({}, [f"smooth={given}"]).smooth == options


@pytest.mark.parametrize(
    ("given", "options"),
    [("true", {}), ("on", {}), ("off", None), ("none", None), ("null", None), ("{min_score: 0}", {"min_score": 0})],
)
def test_refine_is_off_on_or_options(given: str, options: object, own_presets: Presets) -> None:
    own_presets(hindsight="refine: true")
    assert build_config({"preset": "hindsight"}).refine == {}
    assert build_config({"preset": "hindsight"}, [f"refine={given}"]).refine == options
    assert build_config({"refine": yaml.safe_load(given)}).refine == options


@pytest.mark.parametrize("given", ["strong", "[on]", "3"])
def test_refine_is_no_word_list_or_number(given: str) -> None:
    with pytest.raises(ConfigError, match="refine must be on, off or options by name, got "):
        build_config({}, [f"refine={given}"])


@pytest.mark.parametrize("given", ["off", "none", "null"])
def test_what_a_preset_steadies_can_be_left_as_it_is(given: str, own_presets: Presets) -> None:
    own_presets(steady="smooth: strong")
    assert build_config({"preset": "steady"}).smooth == {"strength": "strong"}
    assert build_config({"preset": "steady"}, [f"smooth={given}"]).smooth is None
    assert build_config({"preset": "steady"}, ["smooth=light"]).smooth == {"strength": "light"}
    assert build_config({"preset": "steady", "smooth": yaml.safe_load(given)}).smooth is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("medium", r"smooth\.strength: Input should be 'light' or 'strong', got 'medium'"),
        ("{strenght: light}", r"smooth: unknown option 'strenght'\. Did you mean 'strength'|smooth\.strenght"),
        ("3", r"smooth must be on, off, its strength or options by name, got 3"),
        ("[light]", r"smooth must be on, off, its strength or options by name, got \['light'\]"),
    ],
)
def test_a_wrong_strength_is_refused_with_what_is_right(given: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        build(build_config({"sources": ["synthetic"], "sinks": ["null"]}, [f"smooth={given}"]), tmp_path)


def test_joints_are_steadied_where_there_are_joints_and_identities(tmp_path: Path) -> None:
    whole: dict[str, Any] = {"sources": ["synthetic"], "pose": "blazepose", "track": "bytetrack", "sinks": ["null"]}
    graph = build(build_config(whole, ["smooth=light"]), tmp_path)
    assert [stage.name for stage in graph.stages] == ["pose", "track", "smooth"]
    with pytest.raises(ConfigError, match="smooth needs track_id, but no earlier stage provides it: add 'track'"):
        build(build_config(whole | {"track": "none"}, ["smooth=light"]), tmp_path)


# Overrides


TREE: dict[str, Any] = {
    "sources": ["street.mp4", "garden.mp4"],
    "detect": {"kind": "ultralytics", "weights": "a.pt"},
    "track": "bytetrack",
    "sinks": ["jsonl", {"kind": "video", "path": "out.mp4"}],
}


@pytest.mark.parametrize(
    ("override", "where", "value"),
    [
        ("detect.weights=b.pt", lambda c: c.detect.options, {"weights": "b.pt"}),
        ("detect.confidence=0.4", lambda c: c.detect.options["confidence"], 0.4),
        ("detect.classes=[0, 2]", lambda c: c.detect.options["classes"], [0, 2]),
        ("detect.a.b.c=1", lambda c: c.detect.options["a"], {"b": {"c": 1}}),
        ("detect.note=a=b", lambda c: c.detect.options["note"], "a=b"),
        ("detect.note=", lambda c: c.detect.options["note"], None),
        ("detect=yolo.pt", lambda c: c.detect.options, {"weights": "yolo.pt"}),
        ("detect=none", lambda c: c.detect, None),
        ("track=null", lambda c: c.track, None),
        ("pose=blazepose", lambda c: c.pose.kind, "blazepose"),
        ("pose.kind=blazepose", lambda c: c.pose.kind, "blazepose"),
        ("track.patience_seconds=2", lambda c: c.track.options, {"patience_seconds": 2}),
        ("sinks.0.path=a.jsonl", lambda c: c.sinks[0].options, {"path": "a.jsonl"}),
        ("sinks.1.path=b.mp4", lambda c: (c.sinks[1].kind, c.sinks[1].options), ("video", {"path": "b.mp4"})),
        ("sinks.1=csv", lambda c: [sink.kind for sink in c.sinks], ["jsonl", "csv"]),
        ("sinks=[mot]", lambda c: [sink.kind for sink in c.sinks], ["mot"]),
        ("sources.1.id=back", lambda c: [source.id for source in c.sources], [None, "back"]),
        ("run.max_frames=7", lambda c: c.run.max_frames, 7),
        ("run.out=runs/x", lambda c: c.run.out, Path("runs/x")),
    ],
)
def test_an_override_reaches_every_place(override: str, where: Callable[[Any], object], value: object) -> None:
    assert where(build_config(TREE, [override])) == value


def test_an_override_fills_in_a_section_that_was_left_out_on_purpose() -> None:
    config = build_config(TREE | {"pose": "none"}, ["pose.kind=blazepose", "pose.threads=1"])
    assert config.pose is not None
    assert (config.pose.kind, config.pose.options) == ("blazepose", {"threads": 1})


def test_of_two_overrides_the_later_one_counts() -> None:
    assert build_config(TREE, ["run.max_frames=7", "run.max_frames=8"]).run.max_frames == 8


def test_overrides_reach_into_what_the_preset_gave(own_presets: Presets) -> None:
    own_presets(small="{sinks: [jsonl, {kind: video, path: a.mp4}]}")
    assert build_config({"preset": "small"}, ["sinks.1.path=b.mp4"]).sinks[1].options == {"path": "b.mp4"}


def test_an_override_may_choose_another_preset(own_presets: Presets) -> None:
    own_presets(small="pose: {kind: blazepose, threads: 2}", large="pose: {kind: blazepose, threads: 8}")
    config = build_config({"preset": "small", "track": "bytetrack"}, ["pose.overlap=0.4", "preset=large"])
    assert config.pose is not None
    assert config.pose.options == {"threads": 8, "overlap": 0.4}
    assert config.track is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("detect.confidence", r"an override must be dotted\.path=value, got 'detect\.confidence'; for example -o"),
        ("=3", r"an override must be dotted\.path=value, got '=3'"),
        ("detect..confidence=3", r"an override must be dotted\.path=value, got 'detect\.\.confidence=3'"),
        (".detect=3", r"an override must be dotted\.path=value"),
        ("", r"an override must be dotted\.path=value, got ''"),
        ("sinks.2.path=x", r"-o sinks\.2: there are 2 entries, numbered from 0; got '2'"),
        ("sinks.-1.path=x", r"-o sinks\.-1: there are 2 entries, numbered from 0; got '-1'"),
        ("sinks.²=x", r"-o sinks\.²: there are 2 entries, numbered from 0; got '²'"),
        ("sinks.jsonl.path=x", r"-o sinks\.jsonl: there are 2 entries, numbered from 0; got 'jsonl'"),
        ("sinks.7=csv", r"-o sinks\.7: there are 2 entries, numbered from 0; got '7'"),
        (
            "detect.classes=[0",
            r"-o detect\.classes: the value is not valid YAML: line 1, column 3: .*; put it in quotes",
        ),
        ("run.max_frames=0", r"run\.max_frames: Input should be greater than or equal to 1, got 0"),
        ("run.max_frame=1", r"run\.max_frame: unknown option 'max_frame'\. Did you mean 'max_frames'\? Allowed: out, "),
        ("trak=bytetrack", r"trak: unknown option 'trak'\. Did you mean 'track'\? Allowed: preset, sources, detect"),
        ("sources=street.mp4", r"sources: Input should be a valid list, got 'street\.mp4'"),
        ("detect.kind=", r"detect\.kind: Input should be a valid string, got None"),
        ("pose.confidence=1", r"pose\.kind: this option is required"),
    ],
)
def test_a_bad_override_is_named_with_what_is_right(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_config(TREE, [override])
    assert caught.value.exit_code == 2


# The environment


def test_variables_are_filled_in_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "hunter2")
    monkeypatch.setenv("FRAMES", "12")
    config = build_config(
        {"sources": [{"kind": "file", "path": "x${CAM_PASSWORD}y", "every": 2}]},
        ["run.max_frames=${FRAMES}", "sources.0.id=${CAM_PASSWORD}-${FRAMES}"],
    )
    assert config.sources[0].options == {"path": "xhunter2y", "every": 2}
    assert config.sources[0].id == "hunter2-12"
    assert config.run.max_frames == 12


@pytest.mark.parametrize(
    ("text", "environment", "value"),
    [
        ("${PLACE:-here}", {}, "here"),
        ("${PLACE:-here}", {"PLACE": ""}, "here"),
        ("${PLACE:-here}", {"PLACE": "there"}, "there"),
        ("${PLACE:-}", {}, ""),
        ("${PLACE}", {"PLACE": ""}, ""),
        ("a${PLACE:-b c}d", {}, "ab cd"),
        ("$PLACE ${} ${1X} $${", {"PLACE": "there"}, "$PLACE ${} ${1X} $${"),
        ("${PLACE}", {"PLACE": "${HOME} and ${NOT_SET}"}, "${HOME} and ${NOT_SET}"),
    ],
    ids=["default", "empty", "set", "empty default", "empty is a value", "within", "no variable", "not twice"],
)
@pytest.mark.parametrize("as_override", [False, True], ids=["file", "override"])
def test_a_variable_may_have_a_default(
    text: str,
    environment: dict[str, str],
    value: str,
    as_override: bool,  # noqa: FBT001 - a case
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PLACE", raising=False)
    for name, content in environment.items():
        monkeypatch.setenv(name, content)
    tree = {"detect": {"kind": "x", "note": "" if as_override else text}}
    config = build_config(tree, [f"detect.note='{text}'"] if as_override else [])
    assert config.detect is not None
    assert config.detect.options == {"note": value}


@pytest.mark.parametrize(
    ("tree", "overrides", "path"),
    [
        ({"sinks": [{"kind": "csv"}, {"kind": "mqtt", "password": "${NOT_SET}"}]}, [], "sinks.1.password"),
        ({"run": {"out": "a/${NOT_SET}/b"}}, [], "run.out"),
        ({"sinks": ["csv"]}, ["sinks.0.path=${NOT_SET}"], "sinks.0.path"),
    ],
)
def test_a_variable_that_is_not_set_is_named_with_its_place(
    tree: dict[str, Any], overrides: list[str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    message = f"{path}: the environment variable NOT_SET is not set; set it, or write ${{NOT_SET:-default}}"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_config(tree, overrides)


# Secrets

SECRETIVE: dict[str, Any] = {
    "sources": [{"kind": "file", "path": "rtsp://me:hunter2@cam/1"}],
    "sinks": [{"kind": "mqtt", "url": "mqtt://me:${BROKER_PASSWORD}@broker", "password": "hunter2", "port": 1883}],
    "run": {"out": "runs/${BROKER_PASSWORD}"},
}


def test_secrets_are_masked_wherever_a_configuration_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "s3cr3t")
    config = build_config(SECRETIVE)
    assert config.sinks[0].options["url"] == "mqtt://me:s3cr3t@broker"
    shown = [repr(config), str(config), f"{config}", f"{config.masked()}", f"{config.sinks}", str(config.sources[0])]
    assert not [text for text in shown if "hunter2" in text or "s3cr3t" in text]
    assert config.masked()["sources"] == [{"kind": "file", "path": "rtsp://***@cam/1"}]
    assert config.masked()["sinks"] == [
        {"kind": "mqtt", "url": "mqtt://***@broker", "password": "***", "port": 1883},
    ]
    assert config.masked()["run"]["out"] == "runs/***"
    assert mask("the broker said: s3cr3t is wrong") == "the broker said: *** is wrong"


@pytest.mark.parametrize(
    "tree",
    [
        {"sources": "rtsp://me:hunter2@cam/1"},
        {"sinks": {"kind": "mqtt", "password": "hunter2"}},
        {"sinks": [["password", {"password": 12345, "url": "mqtt://me:hunter2@broker"}]]},
        {"detect": {"kind": ["rtsp://me:hunter2@cam/1"]}},
    ],
    ids=["url", "mapping", "number", "nested"],
)
def test_secrets_are_masked_in_errors(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(tree)
    assert "***" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


# Files


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("\ufeffsources: [straße.mp4]\nrun: {max_frames: 3}\n", encoding="utf-8")
    assert read_yaml(path) == {"sources": ["straße.mp4"], "run": {"max_frames": 3}}


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n"], ids=["empty", "blank", "comment", "mark"])
def test_an_empty_file_is_a_configuration_of_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- street.mp4\n", r"my\.yaml must be a mapping \(sources:, detect:, \.\.\.\), got a list"),
        (b"street.mp4\n", r"my\.yaml must be a mapping .*, got a str"),
        (b"5\n", r"my\.yaml must be a mapping .*, got a int"),
        (b"sources: [a\nsinks: b\n", r"my\.yaml is not valid YAML: line 2, column \d+: "),
        (b"a: b: c\n", r"my\.yaml is not valid YAML: line 1, column 5: mapping values are not allowed here"),
        (b"a: 1\n--- \nb: 2\n", r"my\.yaml is not valid YAML: line 2, column 1: "),
        (b"a: !!python/object:os.system {}\n", r"my\.yaml is not valid YAML: line 1, column 4: "),
        (b"a: \x00\n", r"my\.yaml is not valid YAML: .*special characters are not allowed"),
        ("straße".encode("latin-1"), r"cannot read the configuration .*my\.yaml: 'utf-8' codec can't decode"),
        (None, r"cannot read the configuration .*my\.yaml: .*No such file"),
    ],
    ids=["list", "text", "number", "unclosed", "colons", "two", "code", "binary", "latin-1", "missing"],
)
def test_a_file_that_is_no_configuration_is_named_with_what_it_is(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "my.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_yaml(path)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        'password: "hunter2',
        "password: *hunter2",
        "password: !hunter2 x",
        "url: 'mqtt://me:hunter2@broker",
        "hunter2: %",
    ],
)
def test_a_file_that_is_no_yaml_gives_none_of_its_text_away(line: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(f"sinks:\n  - kind: mqtt\n    {line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line [34], column") as caught:
        read_yaml(path)
    assert "hunter2" not in str(caught.value)
    assert not isinstance(caught.value.__cause__, yaml.YAMLError)


def test_a_bare_null_among_the_sinks_is_the_sink_of_that_name() -> None:
    assert [sink.kind for sink in build_config({"sinks": [None, "jsonl"]}).sinks] == ["null", "jsonl"]

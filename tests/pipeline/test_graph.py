"""From a configuration to a chain that fits together, or to the reason why it does not."""

import threading
from pathlib import Path
from typing import Any

import plugins_for_tests
import pytest

from pipeline.config import build_config
from pipeline.errors import ConfigError, SourceError, UnknownPlugin
from pipeline.graph import Graph
from pipeline.graph import build as build_graph
from pipeline.registry import PLUGINS
from stages.decode import Decode
from stages.detect import Detect
from stages.pose import EstimatePose
from stages.rule import Judge
from stages.sink import Write
from stages.track import Track


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    for role, entries in plugins_for_tests.PLUGINS.items():
        monkeypatch.setitem(PLUGINS, role, entries)


def build(out: Path = Path("out"), **sections: Any) -> Graph:
    return build_graph(build_config({"sources": ["lamp"], "sinks": ["null"]} | sections), out)


def names(graph: Graph) -> tuple[list[str], list[str], list[str]]:
    return (
        [source.source_id for source in graph.sources],
        [stage.name for stage in graph.stages],
        [sink.name for sink in graph.sinks],
    )


# A chain


def test_a_chain_without_stages_is_a_chain() -> None:
    assert names(build()) == (["lamp"], [], ["null"])


def test_stages_stand_in_the_order_of_the_flow() -> None:
    graph = build(track="follower", pose="top-down", detect="finder", sinks=["ids", "null"])
    assert names(graph) == (["lamp"], ["detect", "pose", "track"], ["ids", "null"])
    assert [type(part) for part in (*graph.sources, *graph.stages, *graph.sinks)] == [
        Decode,
        Detect,
        EstimatePose,
        Track,
        Write,
        Write,
    ]


def test_rules_follow_the_tracker_in_their_order_under_their_names() -> None:
    rules = ["head-count", {"kind": "head-count", "id": "door", "confidence": 0.1}]
    graph = build(detect="finder", track="follower", rules=rules, sinks=["happenings"])
    assert names(graph)[1] == ["detect", "track", "rules"]
    judge = graph.stages[-1]
    assert isinstance(judge, Judge)
    made = [make() for make in judge._makers]
    assert [rule.name for rule in made] == ["head-count", "door"]
    assert [rule.options.confidence for rule in made] == [0.5, 0.1]  # type: ignore[attr-defined]


def test_building_opens_and_starts_nothing(tmp_path: Path) -> None:
    threads = threading.active_count()
    build(tmp_path / "out", detect="finder", track="follower", sinks=["table", "null"])
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


def test_a_tracker_is_made_for_each_source() -> None:
    (_, track) = build(detect="finder", track={"kind": "follower", "confidence": 0.1}).stages
    assert isinstance(track, Track)
    one, other = track._make(), track._make()
    assert isinstance(one, plugins_for_tests.Follower)
    assert one is not other
    assert one.options.confidence == 0.1


def test_refinement_follows_the_tracker_and_needs_it() -> None:
    assert names(build(detect="finder", track="follower", refine=True))[1] == ["detect", "track", "refine"]
    with pytest.raises(ConfigError, match="refine needs track_id, but no earlier stage provides it: add 'track'"):
        build(detect="finder", refine=True)


@pytest.mark.parametrize("live", [False, True], ids=["a recording", "a camera"])
def test_refinement_looks_ahead_and_is_refused_for_what_is_live(monkeypatch: pytest.MonkeyPatch, *, live: bool) -> None:
    monkeypatch.setattr(plugins_for_tests.LampSource, "live", live)
    if not live:
        assert len(build(detect="finder", track="follower", refine=True).stages) == 3
        return
    assert build(detect="finder", track="follower", refine=False).sources[0].live
    with pytest.raises(ConfigError, match=r"sources\.0: 'lamp' is live, but refine looks some seconds ahead"):
        build(detect="finder", track="follower", refine={"gap_seconds": 3})


@pytest.mark.parametrize(
    ("sinks", "blank", "kept"),
    [(["table", "null"], False, False), (["null", "happenings"], False, True), (["happenings"], True, False)],
    ids=["nobody draws", "somebody draws", "somebody draws on a blank"],
)
def test_pictures_are_kept_for_those_who_look_at_them(
    monkeypatch: pytest.MonkeyPatch, sinks: list[str], *, blank: bool, kept: bool
) -> None:
    monkeypatch.setattr(plugins_for_tests.HappeningsSink, "needs", frozenset({"pixels"}))
    graph = build(detect="finder", track="follower", refine=True, sinks=sinks, privacy={"skeleton_only": blank})
    assert next(stage for stage in graph.stages if stage.name == "refine").keeps_pixels is kept


# What is missing


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"sources": []}, "sources: nothing to watch; name at least one file, folder, URL or camera"),
        ({"sinks": []}, "sinks: results would go nowhere; name at least one"),
        ({"track": "follower"}, "track needs xyxy, but no earlier stage provides it: add 'detect' before it"),
        ({"pose": "top-down"}, "pose needs xyxy, but no earlier stage provides it: add 'detect' before it"),
        (
            {"detect": "finder", "sinks": ["joints"]},
            "sink 'joints' needs keypoints, but no earlier stage provides it: add 'pose' before it",
        ),
        (
            {"detect": "finder", "rules": ["head-count"]},
            "rules needs track_id, but no earlier stage provides it: add 'track' before it",
        ),
        (
            {"detect": "finder", "track": "follower", "rules": ["head-count", "posture"]},
            "rules needs keypoints, but no earlier stage provides it: add 'pose' before it",
        ),
        (
            {"sinks": ["happenings"]},
            "sink 'happenings' needs events, but no earlier stage provides it: add 'rules' before it",
        ),
        (
            {"pose": "one-stage", "sinks": ["null", {"kind": "ids", "id": "mine"}]},
            "sink 'mine' needs track_id, but no earlier stage provides it: add 'track' before it",
        ),
    ],
    ids=[
        "sources",
        "sinks",
        "boxes to track",
        "boxes to look into",
        "joints",
        "identities for rules",
        "joints for a rule",
        "events",
        "identities",
    ],
)
def test_what_is_missing_is_said_with_what_to_add(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(**sections)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("pose", ["one-stage", "either"])
def test_a_pose_model_that_finds_people_needs_no_detector(pose: str) -> None:
    graph = build(pose=pose, track="follower", sinks=["joints", {"kind": "ids", "path": "ids.txt"}])
    assert names(graph)[1] == ["pose", "track"]


@pytest.mark.parametrize("pose", ["top-down", "either"])
def test_a_pose_model_that_uses_boxes_may_follow_a_detector(pose: str) -> None:
    assert names(build(detect="finder", pose=pose))[1] == ["detect", "pose"]


def test_a_detector_whose_boxes_would_be_thrown_away_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pose 'one-stage' finds people by itself.*'finder'.*set detect to none"):
        build(detect="finder", pose="one-stage")


# What is wrong


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"sources": ["lamp", {"kind": "lmap"}]}, r"unknown source 'lmap'\. Did you mean 'lamp'\?"),
        ({"detect": {"kind": "findr"}}, r"unknown detector 'findr'\. Did you mean 'finder'\?"),
        ({"pose": {"kind": "onestage"}}, r"unknown pose 'onestage'\. Did you mean 'one-stage'\?"),
        ({"track": {"kind": "folower"}}, r"unknown tracker 'folower'\. Did you mean 'follower'\?"),
        ({"sinks": ["tabel"]}, r"unknown sink 'tabel'\. Did you mean 'table'\?"),
    ],
)
def test_an_unknown_plugin_is_answered_with_the_closest(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownPlugin, match=message):
        build(**sections)


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"sources": ["lamp", {"kind": "lamp", "confidence": 3}]}, r"sources\.1\.confidence"),
        ({"detect": {"kind": "finder", "confidence": 3}}, r"detect\.confidence"),
        ({"pose": {"kind": "one-stage", "confidence": 3}}, r"pose\.confidence"),
        ({"track": {"kind": "follower", "confidence": 3}}, r"track\.confidence"),
        ({"sinks": ["null", "null", {"kind": "table", "confidence": 3}]}, r"sinks\.2\.confidence"),
    ],
)
def test_a_wrong_option_is_named_with_its_place(sections: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=rf"\A{where}: Input should be less than or equal to 1, got 3\Z"):
        build(**sections)


def test_a_source_whose_path_matches_nothing_is_an_error_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLUGINS, "source", {"file": "stages.sources.file:FileSource"})
    with pytest.raises(SourceError, match=r"nothing\.mp4"):
        build(sources=[str(tmp_path / "nothing.mp4")])


# Names


@pytest.mark.parametrize(
    ("sources", "ids"),
    [
        (["lamp", "lamp", "lamp"], ["lamp", "lamp-2", "lamp-3"]),
        ([{"kind": "lamp", "id": "door"}, {"kind": "lamp", "id": "door"}, "lamp"], ["door", "door-2", "lamp"]),
        ([{"kind": "lamp", "id": "lamp-2"}, "lamp", "lamp"], ["lamp-2", "lamp", "lamp-3"]),
        ([{"kind": "street", "path": "a"}], ["a-left", "a-right"]),
        (
            [{"kind": "street", "id": "a"}, {"kind": "street", "id": "a"}],
            ["a-left", "a-right", "a-left-2", "a-right-2"],
        ),
    ],
    ids=["kind", "given", "number taken", "several of one entry", "several twice"],
)
def test_sources_that_would_share_a_name_are_numbered(sources: list[Any], ids: list[str]) -> None:
    assert names(build(sources=sources))[0] == ids


def test_sinks_that_would_share_a_name_are_numbered() -> None:
    sinks = ["null", {"kind": "null", "id": "null-2"}, "null", {"kind": "table", "id": "null"}]
    assert names(build(sinks=sinks))[2] == ["null", "null-2", "null-3", "null-4"]


@pytest.mark.parametrize(
    "sinks",
    [
        ["table", "table"],
        [{"kind": "table", "path": "a/b.txt"}, {"kind": "table", "id": "other", "path": "a/./b.txt"}],
        [{"kind": "table", "id": "same"}, {"kind": "table", "id": "same"}],
        [{"kind": "table", "path": "b.txt"}, {"kind": "table", "path": "/out/b.txt"}],
        [{"kind": "table", "path": "{source}.txt"}, "null", {"kind": "table", "path": "{source}.txt"}],
    ],
    ids=["default", "other spelling", "same name", "absolute", "one a source"],
)
def test_two_sinks_cannot_write_to_one_target(sinks: list[Any]) -> None:
    with pytest.raises(ConfigError, match=r"sinks\.[12]: '.*' would write to /out/.*, as '.*' does; give one another"):
        build(Path("/out"), sinks=sinks)


def test_two_sinks_of_a_kind_may_write_to_two_targets() -> None:
    assert len(build(sinks=["table", {"kind": "table", "path": "other.txt"}]).sinks) == 2


# The device


def parts(graph: Graph) -> dict[str, Any]:
    """Give the plug-ins inside of the parts of a chain."""
    source, (detect, track), (table, null) = graph.sources[0], graph.stages, graph.sinks
    assert isinstance(source, Decode)
    assert isinstance(detect, Detect)
    assert isinstance(track, Track)
    assert isinstance(table, Write)
    assert isinstance(null, Write)
    return {
        "source": source._plugin,
        "detect": detect._detector,
        "track": track._make(),
        "table": table._plugin,
        "null": null._plugin,
    }


def test_the_device_of_the_run_goes_to_plugins_that_have_the_option_and_to_no_other() -> None:
    graph = build(detect="finder", track="follower", sinks=["table", "null"], run={"device": "cuda:1"})
    plugins = parts(graph)
    assert plugins.pop("null").options.model_dump() == {}
    assert {name: plugin.options.device for name, plugin in plugins.items()} == dict.fromkeys(plugins, "cuda:1")


def test_a_plugin_that_was_given_a_device_keeps_it() -> None:
    detect = {"kind": "finder", "device": "cpu"}
    graph = build(detect=detect, track="follower", sinks=["table", "null"], run={"device": "cuda:1"})
    assert parts(graph)["detect"].options.device == "cpu"
    assert parts(graph)["track"].options.device == "cuda:1"


def test_without_a_word_the_device_is_left_to_the_plugin_that_chooses() -> None:
    assert parts(build(detect="finder", track="follower", sinks=["table", "null"]))["detect"].options.device == "auto"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["head-count", "head-count"], "rules.1: there is a rule 'head-count' already; give each an id of its own"),
        ([{"kind": "head-count", "confidence": 2}], r"rules.0.confidence: .*, got 2"),
        (["head-cuont"], "Did you mean 'head-count'"),
    ],
    ids=["same name", "wrong option", "unknown"],
)
def test_a_wrong_rule_is_named_by_its_place(rules: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(detect="finder", track="follower", rules=rules)

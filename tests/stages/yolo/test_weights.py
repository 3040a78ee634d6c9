from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from stages.yolo.weights import Card, Task, check_fit, openvino_graph, read_card

PEOPLE = {0: "person", 1: "bicycle"}


@pytest.mark.parametrize("missing", ["tiny.bin", "tiny.xml", "metadata.yaml"])
def test_an_openvino_export_that_lacks_a_file_says_which(missing: str, tiny_export: Callable[..., Path]) -> None:
    folder = tiny_export()
    (folder / missing).unlink()
    with pytest.raises(WeightsError, match=Path(missing).suffix):
        openvino_graph(folder)


def test_an_openvino_export_with_an_empty_file_says_which(tiny_export: Callable[..., Path]) -> None:
    folder = tiny_export()
    (folder / "tiny.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"tiny\.bin is empty"):
        openvino_graph(folder)


def test_the_graph_itself_stands_for_its_folder(tiny_export: Callable[..., Path]) -> None:
    graph = tiny_export() / "tiny.xml"
    assert openvino_graph(graph) == openvino_graph(graph.parent) == graph


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"- a list", id="no mapping"),
        pytest.param(b"task: detect", id="half of the facts"),
        pytest.param(b"{", id="no YAML"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
    ],
)
def test_a_card_that_says_nothing_is_damage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_bytes(content)
    with pytest.raises(WeightsError, match=r"metadata\.yaml"):
        read_card(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("card", "task", "words"),
    [
        pytest.param(
            Card("detect", PEOPLE), "pose", "'detect', expected 'pose': use it as the detector", id="detector"
        ),
        pytest.param(Card("pose", PEOPLE, (17, 3)), "detect", "use it as the pose model", id="pose model"),
        pytest.param(Card("segment", PEOPLE), "detect", "expected 'detect': give weights", id="neither"),
        pytest.param(Card("pose", PEOPLE, (5, 3)), "pose", "finds 5 joints, expected the 17", id="faces"),
        pytest.param(Card("pose", PEOPLE), "pose", "an unknown number of joints", id="no joints"),
        pytest.param(Card("detect", {0: "helmet"}), "detect", r"no class \[1\].*0 \(helmet\)", id="class unknown"),
    ],
)
def test_a_network_for_something_else_does_not_fit(card: Card, task: Task, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        check_fit(card, task, (0, 1), Path("a.pt"))

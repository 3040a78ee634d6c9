"""What a file says of its training is read with it, and never believed half."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trained_networks import HORSE, trained, with_note, write_trained

from pipeline.errors import WeightsError
from pipeline.skeletons import COCO_17, skeleton_of
from stages.poses.networks.checkpoint import read_checkpoint
from stages.poses.networks.notes import card_of
from stages.poses.networks.trained import Trained, trained_of

Save = Callable[..., Path]


@pytest.fixture
def note() -> dict[str, Any]:
    return trained().model_dump(mode="json")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
def test_a_file_says_what_its_network_was_trained_with(
    tiny: torch.nn.Module, note: dict[str, Any], save: Save, *, legacy: bool
) -> None:
    checkpoint = read_checkpoint(save(with_note(tiny.state_dict(), note), legacy=legacy))
    assert checkpoint.trained == trained()
    assert checkpoint.trained is not None
    assert checkpoint.trained.skeleton == HORSE
    assert all(torch.equal(tensor, tiny.state_dict()[name]) for name, tensor in checkpoint.state.items())


def test_the_note_changes_nothing_for_others_who_load_the_file(
    tiny: torch.nn.Module, note: dict[str, Any], save: Save
) -> None:
    loaded = torch.load(save(with_note(tiny.state_dict(), note)), weights_only=True)
    assert list(loaded) == list(tiny.state_dict())
    type(tiny)(4, 5).load_state_dict(loaded, strict=True)


def test_a_checkpoint_of_the_trainer_says_it_too(tiny: torch.nn.Module, note: dict[str, Any], save: Save) -> None:
    saved = {"format": "kinestream-training-1", "state_dict": tiny.state_dict(), "note": note, "step": 3}
    assert read_checkpoint(save(saved)).trained == trained()


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(dict, id="no place for it"),
        pytest.param(lambda state: state, id="official"),
        pytest.param(lambda state: {"state_dict": state, "note": "lr too high"}, id="a note of somebody else"),
        pytest.param(lambda state: {"state_dict": state, "format": 1, "note": {"format": 1}}, id="another format"),
        pytest.param(lambda state: with_note(state, "by me"), id="no mapping"),
    ],
)
def test_files_of_others_do_not_say(wrap: Callable[[Any], Any], tiny: torch.nn.Module, save: Save) -> None:
    assert read_checkpoint(save(wrap(tiny.state_dict()))).trained is None


@pytest.mark.parametrize("saved", [None, 3, [], {"": 1}, torch.zeros(1)], ids=repr)
def test_what_is_no_file_of_weights_says_nothing(saved: object) -> None:
    assert trained_of(saved, Path("a.pth")) is None


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda note: note.pop(name)


def with_(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda note: note.update({name: value})


def in_skeleton(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda note: note["skeleton"].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(with_("format", 2), "in format 2 .* expected 1: update kinestream", id="a later release"),
        pytest.param(without("format"), "in format None", id="no format"),
        pytest.param(without("skeleton"), "skeleton: Field required", id="no skeleton"),
        pytest.param(with_("sigma", float("nan")), "sigma: .*finite", id="nan"),
        pytest.param(with_("sigma", 0), "sigma: .*greater than 0", id="no sigma"),
        pytest.param(with_("padding", 0.5), "padding: .*greater than or equal to 1", id="padding"),
        pytest.param(with_("image_size", [256]), "image_size", id="one side"),
        pytest.param(with_("encoding", "soft"), "encoding: .*'plain', 'dark' or 'udp'", id="encoding"),
        pytest.param(with_("channels", "grey"), "channels: ", id="colours"),
        pytest.param(in_skeleton(bones=[[0, 5]]), "bones must be pairs of two of its joints, 0 to 4", id="bone"),
        pytest.param(in_skeleton(mirrored=[[1, 1]]), "mirrored must be pairs of two", id="its own mirror"),
        pytest.param(in_skeleton(mirrored=[[1, 2], [2, 3]]), "change places with one other", id="two mirrors"),
        pytest.param(in_skeleton(sigmas=[0.1]), "needs 5 sigmas above 0", id="sigmas"),
        pytest.param(in_skeleton(joints=["a"] * 5), "names of their own", id="one name"),
    ],
)
def test_a_damaged_note_is_refused_with_the_file_and_the_place(
    change: Callable[[dict[str, Any]], object], said: str, tiny: torch.nn.Module, note: dict[str, Any], save: Save
) -> None:
    change(note)
    with pytest.raises(WeightsError, match=rf"weights\.pth' say .*{said}"):
        read_checkpoint(save(with_note(tiny.state_dict(), note)))


def test_joints_that_the_tensors_do_not_find_are_refused_with_both_numbers(tiny: torch.nn.Module, save: Save) -> None:
    note = trained(skeleton=COCO_17).model_dump(mode="json")
    with pytest.raises(WeightsError, match=r"give 5 heat maps, but name 17 joints \(coco-17\)"):
        read_checkpoint(save(with_note(tiny.state_dict(), note)))


def test_the_order_of_the_colours_is_what_the_file_says(tmp_path: Path) -> None:
    """A PoseResNet of our trainer looks like an official one, which saw BGR."""
    for channels in ("rgb", "bgr"):
        path = write_trained(tmp_path / f"{channels}.pth", trained(channels=channels), depth=50)
        assert read_checkpoint(path).channels == channels


def test_the_second_look_knows_it_without_pytorch(tmp_path: Path) -> None:
    path = write_trained(tmp_path / "horse.pth", trained())
    assert card_of(path).trained == trained()
    program = (
        "import sys; from pathlib import Path; from stages.poses.networks.notes import card_of;"
        "print(card_of(Path(sys.argv[1])).trained.skeleton.joints[4], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tail", "False"]


def test_the_same_tensors_with_another_note_are_another_file(tmp_path: Path) -> None:
    path = tmp_path / "horse.pth"
    for padding in (1.2, 1.4):
        assert card_of(write_trained(path, trained(padding=padding))).trained == trained(padding=padding)


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=30, unique=True).map(skeleton_of),
    st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    st.sampled_from(["plain", "dark", "udp"]),
    st.floats(0.1, 20),
)
def test_what_is_written_is_read(skeleton: Any, image_size: Any, encoding: str, sigma: float) -> None:
    wanted = trained(skeleton=skeleton, image_size=image_size, encoding=encoding, sigma=sigma)
    assert Trained.model_validate(wanted.model_dump(mode="json")) == wanted
    assert Trained.model_validate_json(wanted.model_dump_json()) == wanted

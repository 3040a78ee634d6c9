"""A file that is not what it should be says what it is instead; and no code in it runs."""

import os
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import WeightsError
from stages.poses.networks.files import load

Save = Callable[..., Path]

FORMATS = pytest.mark.parametrize("legacy", [False, True], ids=["today's format", "old format"])


@FORMATS
def test_tensors_come_back_as_they_were(save: Save, *, legacy: bool) -> None:
    half, nested = torch.randn(2, 3).half(), {"epoch": 3, "name": "w32"}
    loaded = load(save({"half": half, "count": torch.tensor(7), "nested": nested}, legacy=legacy))
    assert torch.equal(loaded["half"], half)
    assert loaded["count"] == 7
    assert loaded["nested"] == nested


@FORMATS
def test_numbers_of_numpy_beside_the_weights_are_data(save: Save, *, legacy: bool) -> None:
    sigmas = np.array([0.026, 0.025], np.float32)
    loaded = load(save({"perf": np.float64(0.744), "epoch": np.int64(210), "sigmas": sigmas}, legacy=legacy))
    assert loaded["perf"] == 0.744
    assert loaded["epoch"] == 210
    assert np.array_equal(loaded["sigmas"], sigmas)


def test_numbers_that_an_older_numpy_wrote_are_data(save: Save) -> None:
    path = save({"perf": np.float64(0.744)})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert any(b"numpy._core.multiarray" in part for part in parts.values())
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load(path)["perf"] == 0.744


# Files of another kind

WEB_PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>"

OTHERS = [
    pytest.param(b"", "weights '{path}' are an empty file: download or copy it again", id="empty"),
    pytest.param(WEB_PAGE, "weights '{path}': the file is a web page: the download gave a page", id="web page"),
    pytest.param(b"<HTML>\xff", "weights '{path}': the file is a web page", id="shouting web page"),
    pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS: run", id="Git LFS"),
    pytest.param(b"epoch: 1\n", "weights '{path}': the file is a text file. Give a .pth file", id="text"),
    pytest.param(b"\x1f\x8b\x08\x00", "is a packed archive: unpack it", id="gzip"),
    pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "was not written by torch.save. Give a .pth file", id="picture"),
    pytest.param(b"\x80\x02]q\x00.", "was not written by torch.save", id="pickle of something else"),
    pytest.param(b"PK\x03\x04\x00\x00", "are damaged or cut short (6 bytes): download or copy", id="cut zip"),
]


@pytest.mark.parametrize(("content", "message"), OTHERS)
def test_a_file_of_another_kind_says_what_it_is(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pose_hrnet_w32_256x192.pth"
    path.write_bytes(content)
    assert message.format(path=path) in refusal(path)


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert f"'{path}'" in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.pth").endswith("gone.pth' do not exist: there is no such file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory. Expected a file" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", [".onnx", ".XML"])
def test_a_graph_names_the_plugin_that_takes_it(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"hrnet{suffix}"
    path.write_bytes(b"\x08\x08\x12\x07pytorch")
    assert "is a graph of ONNX or OpenVINO. Give it to the pose model 'onnx'" in refusal(path)


def test_a_zip_of_something_else_says_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "models.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("w32.pth", "w48.pth", "readme.txt", "licence.txt"):
            archive.writestr(name, "x")
    said = refusal(path)
    assert "are a zip archive, but not one that torch.save wrote" in said
    assert "it holds w32.pth, w48.pth, readme.txt and 1 more" in said
    assert said.endswith("If the weights are in it, unpack it")


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
@FORMATS
def test_a_file_that_was_cut_short_says_how_much_is_there(save: Save, share: float, *, legacy: bool) -> None:
    path = save({"weight": torch.randn(1000), "more": torch.randn(1000)}, legacy=legacy)
    content = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(content)
    said = refusal(path)
    assert "cut short" in said
    assert f"({len(content)} bytes): download or copy them again" in said


@FORMATS
def test_whatever_byte_is_damaged_nothing_but_a_weights_error_comes_of_it(save: Save, *, legacy: bool) -> None:
    path = save({"weight": torch.zeros(4)}, legacy=legacy)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            load(path)  # damage within the numbers cannot be seen
        except WeightsError as error:
            assert str(path) in str(error)  # noqa: PT017 - it may be raised or not


# Files that hold code


class Bomb:
    """Removes a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (str(self.victim),)


@FORMATS
def test_code_in_a_file_is_named_and_not_run(save: Save, tmp_path: Path, *, legacy: bool) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    said = refusal(save({"state_dict": OrderedDict(weight=torch.zeros(1)), "meta": Bomb(victim)}, legacy=legacy))
    assert victim.exists()
    assert f"hold {os.remove.__module__}.remove, code as in a whole network that was saved, not only tensors." in said
    assert "Code in files is never run." in said
    assert said.endswith("torch.save(model.state_dict(), 'weights.pth')")


@FORMATS
def test_an_array_of_objects_does_not_hide_code(save: Save, tmp_path: Path, *, legacy: bool) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    refusal(save({"meta": np.array([Bomb(victim)], object)}, legacy=legacy))
    assert victim.exists()


@FORMATS
def test_a_whole_network_says_so(save: Save, *, legacy: bool) -> None:
    said = refusal(save(nn.Sequential(nn.Conv2d(3, 4, 1)), legacy=legacy))
    assert "hold torch.nn.modules.container.Sequential, code as in a whole network that was saved" in said


@FORMATS
def test_what_others_have_allowed_in_this_process_is_not_allowed_here(save: Save, *, legacy: bool) -> None:
    path = save(nn.Sequential(nn.ReLU()), legacy=legacy)
    with torch.serialization.safe_globals([nn.Sequential, nn.ReLU]):
        allowed = set(torch.serialization.get_safe_globals())
        assert "code as in a whole network that was saved" in refusal(path)
        assert set(torch.serialization.get_safe_globals()) == allowed


def test_a_torchscript_program_says_so(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would rather have other files
        torch.jit.save(torch.jit.script(nn.ReLU()), path)
    assert "are a TorchScript program, not bare weights. Code in files is never run." in refusal(path)

"""Looking into a fetched file: a page for people, a checkpoint of the stated network, one of another."""

import importlib.util
from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from stages.zoo.contents import check_network, refuse_web_page
from stages.zoo.model import Network

HRNET = Network("hrnet", 32, 17)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        pytest.param(b"<!DOCTYPE html><html><title>Quota\n exceeded</title>", "called 'Quota exceeded'", id="page"),
        pytest.param(b" \r\n<HTML lang='en'>", "it is a web page, not weights", id="page without title"),
        pytest.param(b"<?xml version='1.0'?>\n<!-- x --><html><TITLE a='b'>T</TITLE>", "called 'T'", id="XHTML"),
    ],
)
def test_a_web_page_is_no_weights(start: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(start + b"more" * 1000)
    with pytest.raises(WeightsError, match=words):
        refuse_web_page(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04", id="checkpoint"),
        pytest.param(b"<?xml version='1.0'?>\n<net name='a'>", id="OpenVINO graph"),
        pytest.param(b"<htmlike>", id="looks like one"),
        pytest.param(b"TFL3 <html>", id="page inside"),
    ],
)
def test_what_is_no_page_passes(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(start)
    refuse_web_page(tmp_path / "a.pth")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained HRNet-W32 for 17 joints, in half precision."""
    torch = pytest.importorskip("torch")
    from stages.poses.networks.hrnet import HRNet  # noqa: PLC0415 - loads torch

    path = tmp_path_factory.mktemp("checkpoint") / "weights.pth.part"
    torch.save({name: tensor.half() for name, tensor in HRNet(32, 17).state_dict().items()}, path)
    return path


def test_the_stated_network_passes(checkpoint: Path) -> None:
    check_network(checkpoint, HRNET)


@pytest.mark.parametrize(
    "wanted", [Network("hrnet", 48, 17), Network("hrnet", 32, 16), Network("poseresnet", 32, 17)], ids=str
)
def test_another_network_is_named(wanted: Network, checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match=f"it is HRNet-W32 with 17 joints, expected {wanted}"):
        check_network(checkpoint, wanted)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(WeightsError, match=r"a\.pth"):
        check_network(tmp_path / "a.pth", HRNET)


def test_without_pytorch_nothing_is_read_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    check_network(tmp_path / "absent.pth", HRNET)
    assert "PyTorch is not installed, so it was not checked" in caplog.text

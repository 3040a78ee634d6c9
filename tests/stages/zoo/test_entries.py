import re

import pytest

from pipeline.errors import UnknownPlugin
from pipeline.registry import shorthand
from stages.zoo import MODELS, Model
from stages.zoo.entries import lookup, siblings
from stages.zoo.model import DriveFolder, Url


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_an_entry_can_be_fetched_and_verified(model: Model) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{8}", model.sha256 or "0" * 8)
    assert model.is_pinned or model.network
    assert model.size_bytes is None or model.size_bytes > 900_000
    assert model.licence.spdx
    assert not isinstance(model.origin, Url) or model.origin.address.startswith("https://")
    assert not isinstance(model.origin, DriveFolder) or model.origin.file_name == model.file_name
    assert model in siblings(model)


@pytest.mark.parametrize("column", ["name", "file_name", "sha256"])
def test_no_two_entries_share(column: str) -> None:
    values = [value for model in MODELS.values() if (value := getattr(model, column)) is not None]
    assert len(set(values)) == len(values)


def test_no_file_is_shared_by_two_entries() -> None:
    assert len({str(model.origin) + model.file_name for model in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize(
    ("name", "file_name", "network", "origin"),
    [
        (
            "hrnet-w32-256x192",
            "pose_hrnet_w32_256x192.pth",
            "HRNet-W32 with 17 joints",
            "https://drive.google.com/file/d/1zYC7go9EV0XaSlSBjMaiyE_4TcHc_S38/view",
        ),
        (
            "hrnet-w48-384x288",
            "pose_hrnet_w48_384x288.pth",
            "HRNet-W48 with 17 joints",
            "https://drive.google.com/file/d/1UoJhTtjHNByZSm96W3yFTfU5upJnsKiS/view",
        ),
        (
            "hrnet-w32-256x256-mpii",
            "pose_hrnet_w32_256x256.pth",
            "HRNet-W32 with 16 joints",
            "https://drive.google.com/file/d/1_wn2ifmoQprBrFvUCDedjPON4Y6jsN-v/view",
        ),
        (
            "poseresnet-101-384x288",
            "pose_resnet_101_384x288.pth",
            "PoseResNet-101 with 17 joints",
            "https://drive.google.com/drive/folders/1hOTihvbyIxsm5ygDpbUuJ7O_tzv4oXjC",
        ),
        (
            "hrnet-w32-256x192-mmpose",
            "hrnet_w32_coco_256x192-c78dce93_20200708.pth",
            "HRNet-W32 with 17 joints",
            "https://download.openmmlab.com/mmpose/top_down/hrnet/hrnet_w32_coco_256x192-c78dce93_20200708.pth",
        ),
        (
            "poseresnet-152-256x256-mpii-mmpose",
            "res152_mpii_256x256-3ecba29d_20200812.pth",
            "PoseResNet-152 with 16 joints",
            "https://download.openmmlab.com/mmpose/top_down/resnet/res152_mpii_256x256-3ecba29d_20200812.pth",
        ),
    ],
)
def test_a_network_has_the_name_and_the_address_of_its_owner(
    name: str, file_name: str, network: str, origin: str
) -> None:
    model = lookup(name)
    assert (model.file_name, str(model.network), str(model.origin)) == (file_name, network, origin)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_names_of_a_network_lead_to_the_plugin_that_runs_it(model: Model) -> None:
    if model.network:
        for text in (model.name, model.file_name, f"some/where/{model.file_name}"):
            assert shorthand("pose", text) == {"kind": model.network.architecture, "weights": text}


@pytest.mark.parametrize("name", ["yolo11n-pose", "yolo11n-pose.pt"])
def test_a_model_is_found_by_name_and_by_file_name(name: str) -> None:
    assert lookup(name) is MODELS["yolo11n-pose"]


def test_an_unknown_name_offers_the_closest() -> None:
    with pytest.raises(
        UnknownPlugin, match=r"unknown model 'blazepose-detecter'\. Did you mean 'blazepose-detector'\?"
    ):
        lookup("blazepose-detecter")


def test_models_of_one_wheel_come_together() -> None:
    together = [model.name for model in siblings(MODELS["blazepose-detector"])]
    assert together == ["blazepose-detector", "blazepose-landmark-full"]

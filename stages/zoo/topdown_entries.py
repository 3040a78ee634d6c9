"""HRNet and PoseResNet: the files of the papers' authors, and those that OpenMMLab trained again.

HRNet: Sun et al., CVPR 2019; PoseResNet: Xiao et al., ECCV 2018. The authors' files, their folder and what they reach
are by the README of leoxiaobin/deep-high-resolution-net.pytorch, the addresses of three files by that of
stefanopini/simple-HRNet. OpenMMLab's are by the model zoo in the documentation of open-mmlab/mmpose; the name of each
holds the first eight digits of its SHA-256.
"""

from typing import Final

from stages.zoo.model import Drive, DriveFolder, Licence, Model, Network, Url

__all__ = ["TOPDOWN_ENTRIES"]

_DATA_TERMS: Final = {
    17: "COCO, whose photographs stay their owners' (cocodataset.org/#termsofuse)",
    16: "MPII Human Pose, which is for research (human-pose.mpi-inf.mpg.de)",
}
"""Joints -> what the weights were made from."""

_OFFICIAL_FOLDER: Final = "1hOTihvbyIxsm5ygDpbUuJ7O_tzv4oXjC"
_OPENMMLAB: Final = "https://download.openmmlab.com/mmpose/top_down"


def _licence(spdx: str, joints: int) -> Licence:
    terms = "That of the code, which lets you use, change and ship it; the weights state none of their own."
    return Licence(spdx, f"{terms} Made from {_DATA_TERMS[joints]}.")


def _name(network: Network, image_size: str) -> str:
    letter = "w" if network.architecture == "hrnet" else ""
    return f"{network.architecture}-{letter}{network.size}-{image_size}{'-mpii' if network.joints == 16 else ''}"


def _title(network: Network, image_size: str) -> str:
    return f"{network} of {'MPII' if network.joints == 16 else 'COCO'}, {image_size}"


def _official(
    network: Network,
    image_size: str,
    accuracy: str,
    file_id: str | None = None,
    sha256: str | None = None,
    size_bytes: int | None = None,
) -> Model:
    """Describe a file of the authors; `accuracy` is theirs: COCO AP with their boxes, MPII PCKh@0.5, with flip test."""
    is_hrnet = network.architecture == "hrnet"
    file_name = f"pose_{'hrnet_w' if is_hrnet else 'resnet_'}{network.size}_{image_size}.pth"
    # DATASET.COLOR_RGB is false in the authors' configurations of every PoseResNet, and true in those of HRNet.
    order = "" if is_hrnet else ", made for BGR"
    return Model(
        name=_name(network, image_size),
        file_name=file_name,
        task="pose of one person",
        summary=f"{_title(network, image_size)}, {accuracy}{order}",
        origin=Drive(file_id) if file_id else DriveFolder(_OFFICIAL_FOLDER, file_name),
        sha256=sha256,
        size_bytes=size_bytes,
        licence=_licence("MIT", network.joints),
        network=network,
    )


def _openmmlab(network: Network, image_size: str, accuracy: str, digits: str, day: str) -> Model:
    """Describe a file of OpenMMLab; `digits` begin its SHA-256. All are made for RGB."""
    is_hrnet = network.architecture == "hrnet"
    data = "mpii" if network.joints == 16 else "coco"
    file_name = f"{'hrnet_w' if is_hrnet else 'res'}{network.size}_{data}_{image_size}-{digits}_{day}.pth"
    return Model(
        name=f"{_name(network, image_size)}-mmpose",
        file_name=file_name,
        task="pose of one person",
        summary=f"{_title(network, image_size)}, {accuracy}, trained again by OpenMMLab",
        origin=Url(f"{_OPENMMLAB}/{'hrnet' if is_hrnet else 'resnet'}/{file_name}"),
        sha256=digits,
        size_bytes=None,
        licence=_licence("Apache-2.0", network.joints),
        network=network,
    )


def _hrnet(width: int, joints: int = 17) -> Network:
    return Network("hrnet", width, joints)


def _resnet(depth: int, joints: int = 17) -> Network:
    return Network("poseresnet", depth, joints)


TOPDOWN_ENTRIES: Final = (
    _official(
        _hrnet(32),
        "256x192",
        "AP 74.4",
        "1zYC7go9EV0XaSlSBjMaiyE_4TcHc_S38",
        # SHA-256: LibreYOLO/libreyolo (with the size), and YanmiYu/Dance_CV_Final for this very address.
        "19bc083708bb8d873211e50d85d56344c10290c6e8b564c813fdde09645c4c1c",
        114_721_619,
    ),
    _official(_hrnet(32), "384x288", "AP 75.8"),
    _official(_hrnet(48), "256x192", "AP 75.1"),
    _official(
        _hrnet(48),
        "384x288",
        "AP 76.3",
        "1UoJhTtjHNByZSm96W3yFTfU5upJnsKiS",
        # SHA-256: LibreYOLO/libreyolo (with the size) and haoboww/WiMocap-Core.
        "95e0fec3194826d5e3f806ea89be68bbb84517b114c3a32b3058c56610b5ef61",
        255_061_287,
    ),
    _official(_hrnet(32, 16), "256x256", "PCKh 90.3", "1_wn2ifmoQprBrFvUCDedjPON4Y6jsN-v"),
    _official(_resnet(50), "256x192", "AP 70.4"),
    _official(_resnet(50), "384x288", "AP 72.2"),
    _official(_resnet(101), "256x192", "AP 71.4"),
    _official(_resnet(101), "384x288", "AP 73.6"),
    _official(_resnet(152), "256x192", "AP 72.0"),
    _official(_resnet(152), "384x288", "AP 74.3"),
    _official(_resnet(50, 16), "256x256", "PCKh 88.5"),
    _official(_resnet(101, 16), "256x256", "PCKh 89.1"),
    _official(_resnet(152, 16), "256x256", "PCKh 89.6"),
    _openmmlab(_hrnet(32), "256x192", "AP 74.6", "c78dce93", "20200708"),
    _openmmlab(_hrnet(32), "384x288", "AP 76.0", "d9f0d786", "20200708"),
    _openmmlab(_hrnet(48), "256x192", "AP 75.6", "b9e0b3ab", "20200708"),
    _openmmlab(_hrnet(48), "384x288", "AP 76.7", "314c8528", "20200708"),
    _openmmlab(_hrnet(32, 16), "256x256", "PCKh 90.0", "6c4f923f", "20200812"),
    _openmmlab(_resnet(50), "256x192", "AP 71.8", "ec54d7f3", "20200709"),
    _openmmlab(_resnet(50), "384x288", "AP 73.1", "e6f795e9", "20200709"),
    _openmmlab(_resnet(101), "256x192", "AP 72.6", "6e6babf0", "20200708"),
    _openmmlab(_resnet(101), "384x288", "AP 74.8", "8c71bdc9", "20200709"),
    _openmmlab(_resnet(152), "256x192", "AP 73.5", "f6e307c2", "20200709"),
    _openmmlab(_resnet(152), "384x288", "AP 75.0", "3860d4c9", "20200709"),
    _openmmlab(_resnet(50, 16), "256x256", "PCKh 88.2", "418ffc88", "20200812"),
    _openmmlab(_resnet(101, 16), "256x256", "PCKh 88.8", "416f5d71", "20200812"),
    _openmmlab(_resnet(152, 16), "256x256", "PCKh 88.9", "3ecba29d", "20200812"),
)
"""The authors' first, in the order of their table; then OpenMMLab's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import SourceError
from training.pixels import decode, read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)


def coded(suffix: str) -> bytes:
    return cv2.imencode(suffix, NOISE)[1].tobytes()


def with_preview(jpeg: bytes) -> bytes:
    """Put a small JPEG into the head of a JPEG, as cameras do."""
    preview = b"Exif\0\0" + cv2.imencode(".jpg", NOISE[:16, :16])[1].tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + jpeg[2:]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_a_picture_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(coded(suffix))

    assert read_picture(path).shape == (64, 48, 3)


@pytest.mark.parametrize("make", [lambda jpeg: jpeg, with_preview], ids=["plain", "with a preview"])
def test_a_jpeg_that_is_cut_short_is_refused_wherever_it_ends(make: object) -> None:
    jpeg = make(coded(".jpg"))  # type: ignore[operator]
    assert decode(jpeg).shape == (64, 48, 3)
    assert decode(jpeg + bytes(3000)).shape == (64, 48, 3)

    for end in range(0, len(jpeg) - 1, 97):
        with pytest.raises(SourceError, match=r"is cut short|is empty|is no picture"):
            decode(jpeg[:end])


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no picture that OpenCV can read"):
        decode(b"<html>")
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        read_picture(tmp_path)

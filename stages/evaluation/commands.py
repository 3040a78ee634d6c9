"""`kinestream evaluate`: measure a model on a data set."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.errors import ConfigError, SinkError
from stages.evaluation.asked import asked_model, image_size
from stages.evaluation.tracks.command import track
from stages.terminal import reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.evaluation.run import Watch

__all__ = ["app"]

app = typer.Typer(help="Measure a pose model or a tracker on a data set.", no_args_is_help=True)


@app.callback()
def _evaluate() -> None:
    """Measure a pose model or a tracker on a data set."""


@app.command()
def pose(  # noqa: PLR0913 - the arguments of a command are its options
    annotations: Annotated[Path, typer.Option(help="COCO person keypoints, or MPII's valid.json.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    weights: Annotated[str, typer.Option(metavar="NAME|PATH", help="The pose model.")],
    *,
    kind: Annotated[
        str | None, typer.Option(metavar="hrnet|poseresnet|onnx|...", help="Its plug-in. [default: told by its name]")
    ] = None,
    detections: Annotated[
        Path | None, typer.Option(help="COCO results of a detector, whose boxes are used. [default: annotated boxes]")
    ] = None,
    min_score: Annotated[float, typer.Option(help="Leave out detections that score less.")] = 0.0,
    head_boxes: Annotated[Path | None, typer.Option(help="For MPII: the official gt_valid.mat.")] = None,
    flip_test: Annotated[
        bool | None, typer.Option("--flip-test/--no-flip-test", help="Look at everybody mirrored, too.")
    ] = None,
    decoding: Annotated[
        str | None, typer.Option("--decoding", "--decode", metavar="quarter|dark|plain", help="Heat map to joint.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--image-size", metavar="HEIGHTxWIDTH", help="What the network sees: 256x192.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="auto|cpu|cuda:N", help="Where it runs; `cuda:0,1` on two GPUs.")
    ] = None,
    engine: Annotated[str | None, typer.Option(metavar="auto|torch|openvino|...", help="What runs it.")] = None,
    precision: Annotated[str | None, typer.Option(metavar="auto|f32|bf16|...", help="Of its arithmetic.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="People at once; of a model that takes no boxes, pictures.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("-o", metavar="pose.OPTION=VALUE", help="Set any option of the plug-in.")
    ] = None,
    max_images: Annotated[int | None, typer.Option(min=1, help="Only the first so many images that are there.")] = None,
    results: Annotated[Path | None, typer.Option(metavar="OUT.json", help="Write the poses, as COCO does.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Measure a pose model: AP on COCO, PCKh on MPII, by the steps of the official HRNet evaluation.

    **Examples**

    `kinestream evaluate pose --annotations person_keypoints_val2017.json --images val2017
    --detections COCO_val2017_detections_AP_H_56_person.json --weights hrnet-w32-256x192 --flip-test`

    `kinestream evaluate pose --annotations person_keypoints_val2017.json --images val2017
    --weights yolo11n-pose.pt -o pose.confidence=0.001`

    `kinestream evaluate pose --annotations valid.json --head-boxes gt_valid.mat --images images
    --weights hrnet-w32-256x256-mpii --flip-test`

    Published COCO numbers are with the detections above and the flip test; with annotated boxes, AP is higher.
    Exit code: 0 measured, 1 something failed, 2 an option or a file is wrong.
    """
    given = {
        "flip_test": flip_test,
        "decoding": decoding,
        "device": device,
        "engine": engine,
        "precision": precision,
        "max_batch": batch,
    }
    from stages.evaluation.data import Data, open_data  # noqa: PLC0415 - SciPy and OpenCV take a while to load, and
    from stages.evaluation.run import run  # noqa: PLC0415 - every command of `kinestream` would wait for them

    with reported():
        _see_that_it_can_be_written(results)
        asked = asked_model(weights, kind, given | {"image_size": image_size(size)}, overrides or ())
        data = Data(annotations, images, detections, head_boxes, min_score, max_images)
        measure = open_data(data, asked.plugin.boxes)
        with _bar(quiet=as_json) as watch:
            report = {**run(asked, measure, watch), "data": _plain(data._asdict())}
        if as_json:
            typer.echo(json.dumps(report, indent=2))
        else:
            _show(report, measure.digits)
        if results is not None:  # after the numbers: a full disk must not cost them
            _write(results, measure.results())


app.command("track")(track)


@contextmanager
def _bar(*, quiet: bool) -> "Iterator[Watch]":
    """Show how far it is, where somebody looks at it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        yield lambda rows, total: bar.track(rows, total=total, description="images")


def _plain(files: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in files.items()}


def _show(report: dict[str, Any], digits: int) -> None:
    """Print what was measured: a table in a terminal, tab-separated anywhere else; then on what."""
    cells = ["-" if value is None else f"{value:.{digits}f}" for value in report["metrics"].values()]
    console = Console()
    if console.is_terminal:
        table = Table(*report["metrics"], title=report["measure"], title_justify="left")
        table.add_row(*cells)
        console.print(table)
    else:
        for name, cell in zip(report["metrics"], cells, strict=True):
            typer.echo(f"{name}\t{cell}")
    typer.echo(f"boxes: {report['boxes']}")
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report["counts"].items() if count))
    typer.echo(f"{report['model']['kind']}, {report['seconds']['looking']:.1f} s")


def _see_that_it_can_be_written(path: Path | None) -> None:
    """Complain about a wrong path before the model runs for an hour.

    Raises:
        ConfigError: There is no such folder, or the path is one.
    """
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        what = "is a folder" if path.is_dir() else f"is in '{path.absolute().parent}', which does not exist"
        msg = f"--results must be a file in an existing folder, but '{path}' {what}"
        raise ConfigError(msg)


def _write(path: Path, results: list[dict[str, Any]]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            json.dump(results, file)
    except OSError as error:
        msg = f"cannot write the results '{path}': {error.strerror}"
        raise SinkError(msg) from error

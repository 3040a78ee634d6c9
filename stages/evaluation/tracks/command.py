"""`kinestream evaluate track`: measure a tracker on MOTChallenge sequences."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from pipeline.errors import ConfigError, SinkError
from stages.terminal import progress, reported

__all__ = ["track"]

_RATIOS: Final = 5
"""The first figures are shown in percent, the others are counts."""
_STDOUT: Final = "-"


class CameraMotionFrom(StrEnum):
    """Where warps come from."""

    NONE = "none"
    FILE = "file"


def track(  # noqa: PLR0913 - the arguments of a command are its options
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Of sequences: NAME/seqinfo.ini, NAME/det/det.txt, NAME/gt/gt.txt.")
    ],
    *,
    tracker: Annotated[str, typer.Option(metavar="NAME", help="Which one.")] = "kinesort",
    sequences: Annotated[str | None, typer.Option(metavar="A,B", help="Only these. [default: all]")] = None,
    every: Annotated[int, typer.Option(min=1, help="Show the tracker only each so many-th frame.")] = 1,
    camera_motion: Annotated[
        CameraMotionFrom, typer.Option(help="`file`: tell it how the camera moved, by NAME/gmc/gmc.txt.")
    ] = CameraMotionFrom.NONE,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out detections that score less.")] = 0.1,
    options: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help="Set an option of the tracker.")
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Refine the tracks with hindsight, as for recordings.")
    ] = False,
    refine_options: Annotated[
        list[str] | None, typer.Option("--refine-option", metavar="NAME=VALUE", help="Set an option of refinement.")
    ] = None,
    as_json: Annotated[
        str | None, typer.Option("--json", metavar="OUT.json", help="Write all figures; `-`: to stdout, and only them.")
    ] = None,
) -> None:
    """Measure a tracker: HOTA, DetA, AssA, IDF1, MOTA and identity switches, counted by TrackEval.

    **Examples**

    `kinestream evaluate track MOT17/train --tracker kinesort`

    `kinestream evaluate track MOT17/train --sequences MOT17-09-FRCNN --every 6 -o patience_seconds=3`

    `kinestream evaluate track MOT17/train --tracker kinesort --refine`

    Detections are those of the folder, so only the tracker is measured. Ground truth of MOT16 and later is
    pre-processed as the benchmark does. Exit code: 0 measured, 1 something failed, 2 an option or a file is wrong.
    """
    from stages.evaluation.tracks.run import Protocol, run  # noqa: PLC0415 - every command would wait for SciPy
    from stages.tracking.asked import asked_refinement, asked_tracker  # noqa: PLC0415
    from stages.tracking.sequences import find_sequences  # noqa: PLC0415

    with reported():
        _see_that_it_can_be_written(as_json)
        asked = asked_tracker(tracker, options or ())
        refinement = asked_refinement(refine_options or (), wanted=refine)
        videos = find_sequences(folder, [name for name in (sequences or "").split(",") if name])
        protocol = Protocol(every, camera_motion is CameraMotionFrom.FILE, min_score)
        total = sum(len(range(0, video.frames, every)) for video in videos)
        with progress(total, quiet=as_json == _STDOUT) as watch:
            report = run(asked, videos, protocol, watch, refinement)
        if as_json == _STDOUT:
            typer.echo(json.dumps(report, indent=2))
            return
        _show(report)
        if as_json is not None:  # after the numbers: a full disk must not cost them
            _write(Path(as_json), report)


def _show(report: Mapping[str, Any]) -> None:
    """Print a table in a terminal, tab-separated values anywhere else; then what was measured."""
    rows = [*report["sequences"].items(), ("all together", report["combined"])]
    names = [name.replace("updates_per_second", "updates/s") for name in report["combined"]]
    console = Console()
    if console.is_terminal:
        table = Table("sequence", title="MOTChallenge", title_justify="left")
        for name in names:
            table.add_column(name, justify="right")
        for row, (name, figures) in enumerate(rows, start=1):
            table.add_row(name, *_cells(figures), end_section=row == len(rows) - 1)
        console.print(table)
    else:
        for line in (["sequence", *names], *([name, *_cells(figures)] for name, figures in rows)):
            typer.echo("\t".join(line))
    protocol = report["protocol"]
    motion = "told how the camera moved" if protocol["camera_motion"] else "not told how the camera moved"
    shown = f"every {protocol['every']}. frame, " if protocol["every"] > 1 else ""
    refined = "" if report["refinement"] is None else "refined, "
    typer.echo(f"{report['tracker']['kind']}, {refined}{motion}; {shown}{protocol['frames']} frames")


def _cells(figures: Mapping[str, float]) -> list[str]:
    return [
        f"{100 * value:.2f}" if column < _RATIOS else f"{value:.0f}" for column, value in enumerate(figures.values())
    ]


def _see_that_it_can_be_written(where: str | None) -> None:
    """Complain about a wrong path before anything is measured.

    Raises:
        ConfigError: There is no such folder, or the path is one.
    """
    if where in {None, _STDOUT}:
        return
    path = Path(str(where)).absolute()
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"is in '{path.parent}', which does not exist"
        msg = f"--json must be a file in an existing folder, but '{where}' {what}"
        raise ConfigError(msg)


def _write(path: Path, report: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"cannot write the figures '{path}': {error.strerror}"
        raise SinkError(msg) from error

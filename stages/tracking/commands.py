"""`kinestream track`: give identities to what was detected before."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import ConfigError, SinkError
from stages.terminal import progress, reported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stages.tracking.replay import Shown

__all__ = ["app"]

app = typer.Typer(help="Give identities to the detections of a file.")


@app.callback(
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},  # one command: options may stand behind the file
    epilog="Example: kinestream track det.txt --out tracks.txt --fps 25 -o patience_seconds=3",
)
def track(  # noqa: PLR0913 - the arguments of a command are its options
    detections: Annotated[Path, typer.Argument(help="MOTChallenge text: frame,id,x,y,w,h,score,... a line.")],
    *,
    out: Annotated[Path, typer.Option(help="Where the tracks go: the same, with ids from 1.")],
    tracker: Annotated[str, typer.Option(metavar="NAME", help="Who keeps identities.")] = "kinesort",
    fps: Annotated[float, typer.Option(min=0.001, help="Frames a second: frame 1 is at 0 seconds.")] = 30.0,
    camera_motion: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How the camera moved: frame a b tx c d ty, a line a frame.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help="Set an option of the tracker.")
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Refine the tracks with hindsight, as for recordings.")
    ] = False,
    refine_options: Annotated[
        list[str] | None, typer.Option("--refine-option", metavar="NAME=VALUE", help="Set an option of refinement.")
    ] = None,
) -> None:
    """Track the people of a file of detections, without any pictures.

    Rows without an identity are left out; boxes and scores are those of the detections. Refined, boxes are steadied,
    and those that are missing in between are added, with the score 0.2.

    Exit code: 0 written, 1 it could not be written, 2 an option or a file is wrong.
    """
    from stages.tracking.asked import asked_refinement, asked_tracker  # noqa: PLC0415 - every command would wait for SciPy
    from stages.tracking.mot import read_rows  # noqa: PLC0415
    from stages.tracking.replay import Tape, refined, replay  # noqa: PLC0415
    from trackers.camera_motion import read_warps  # noqa: PLC0415

    with reported():
        asked = asked_tracker(tracker, options or ())
        refinement = asked_refinement(refine_options or (), wanted=refine)
        rows = read_rows(detections)
        _see_that_it_can_be_written(out, detections)
        tape = Tape(rows, rows.last_frame, fps, warps=None if camera_motion is None else read_warps(camera_motion))
        with progress(tape.frames) as watch:
            written, people = _write(out, refined(replay(asked.make(), tape), tape, refinement), watch)
        boxes = f"{written} of {len(rows)} boxes" if refinement is None else f"{written} boxes out of {len(rows)} found"
        typer.echo(f"{out}: {people} people, {boxes}, {tape.frames} frames")


def _write(out: Path, tracked: "Iterable[Shown]", watch: "Callable[[str, int], None]") -> tuple[int, int]:
    """Write the tracks beside `out` and move them there when they are complete; count boxes and people.

    Raises:
        SinkError: They cannot be written; `out` is as it was.
    """
    from stages.tracking.mot import format_rows  # noqa: PLC0415 - see above

    part = out.with_name(out.name + ".part")
    written, people = 0, 0
    try:
        with part.open("w", encoding="utf-8") as file:
            for shown in tracked:
                lines = list(format_rows(shown.frame, shown.tracked))
                file.writelines(lines)
                written += len(lines)
                assert shown.tracked.track_id is not None
                people = max(people, int(shown.tracked.track_id.max(initial=0)))
                watch("frames", 1)
        part.replace(out)
    except OSError as error:
        msg = f"cannot write the tracks '{out}': {error.strerror}"
        raise SinkError(msg) from error
    return written, people


def _see_that_it_can_be_written(out: Path, detections: Path) -> None:
    """Complain about a wrong path before anything is tracked.

    Raises:
        ConfigError: There is no such folder, the path is one, or the detections are there.
    """
    path = out.absolute()
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"is in '{path.parent}', which does not exist"
        msg = f"--out must be a file in an existing folder, but '{out}' {what}"
        raise ConfigError(msg)
    if path.exists() and path.samefile(detections):
        msg = f"--out must be another file than the detections, got '{out}' for both"
        raise ConfigError(msg)

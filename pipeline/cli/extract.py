"""`kinestream extract`: one table of who was where, in the format and under the name that was asked for."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal, cast, get_args

import typer

from pipeline.cli.arguments import (
    DetectorName,
    Device,
    Json,
    MaxFrames,
    Overrides,
    PoseName,
    Preset,
    Quiet,
    TrackerName,
    Verbose,
    checked,
    models,
    read_or_name,
    run_settings,
)
from pipeline.cli.console import stdout
from pipeline.cli.session import Output, execute
from pipeline.config import PipelineConfig
from pipeline.errors import ConfigError
from pipeline.registry import options_model, resolve, validate_options

__all__ = ["extract"]

Format = Literal["csv", "json", "jsonl", "parquet", "seed-csv", "seed-json"]

_ENDINGS: Final[dict[Format, str]] = {
    "csv": ".csv",
    "json": ".json",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "seed-csv": ".csv",
    "seed-json": ".json",
}
_FORMATS: Final[dict[str, Format]] = {ending: name for name, ending in reversed(_ENDINGS.items())}
"""The format that a file's ending stands for: of two, the one with identities."""
_SEPARATED: Final = ("csv", "seed-csv")
_EACH: Final = "{source}"


def extract(  # noqa: PLR0913 - the arguments of a command are its options
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE... | CONFIG.yaml", help="What to look at.")],
    *,
    as_format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Of the results. [default: what FILE ends in]")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Where to write: a file, a folder, or a name with {source} in it. [default: ./{source}.ENDING]",
        ),
    ] = None,
    preset: Preset = None,
    detector: DetectorName = None,
    pose: PoseName = None,
    tracker: TrackerName = None,
    single_person: Annotated[
        bool, typer.Option("--single-person", help="Keep only the person that the model is most certain of.")
    ] = False,
    csv_delimiter: Annotated[
        str | None, typer.Option(metavar="CHARACTER", help="What parts the values of a CSV row. [default: ,]")
    ] = None,
    overrides: Overrides = None,
    max_frames: MaxFrames = None,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the joints, boxes, identities and times of everybody in a video into one file.

    **Examples**

    `kinestream extract street.mp4 --out street.csv`

    `kinestream extract street.mp4 --format json --pose hrnet-w32-256x192 --detector yolo11n`

    `kinestream extract 'videos/*.mp4' --format parquet --out tables/`

    `kinestream extract street.mp4 --format seed-csv --csv-delimiter ';' --out output.csv`

    Formats: `csv` and `parquet` have a row a person, with a header; `jsonl` has an object a frame, one a line; `json`
    is one document: what the source is, which joints there are, then the same objects. `seed-csv` and `seed-json` are
    those of simple-HRNet's extract-keypoints.py, for programs that read them already: joints only.

    The file is written as FILE.part, frame by frame, and gets its name when it is complete. Of several sources each has
    a file of its own: let FILE be a folder, or have {source} in it. A report of the run is put under runs/DATE-TIME,
    as always. Exit codes are those of `kinestream run`.
    """
    kind = _format_of(as_format, out)
    target = _target(out, kind)
    tree = read_or_name(sources, preset)
    tree |= models(detector, pose, tracker)
    tree["sinks"] = [{"kind": kind, "path": target, **_delimiter(kind, csv_delimiter)}]
    tree["run"] = run_settings(tree, max_frames=max_frames, device=device)
    config = checked(tree, overrides)
    if single_person:
        config = checked(tree, [*(overrides or ()), f"{_finder(config)}.max_people=1"])
    _check_target(config)
    code = execute(config, Output(as_json, quiet, verbose))
    if code == 0 and not (as_json or quiet):
        stdout.print(f"  {_path_of(config)}", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _format_of(name: Format | None, out: str | None) -> Format:
    """Take the format that was named, or the one that the file's ending stands for."""
    if name is not None:
        return name
    ending = "" if out is None else Path(out).suffix.lower()
    if ending not in _FORMATS:
        got = "--out is not given" if out is None else f"'{out}' ends in none of {', '.join(_FORMATS)}"
        msg = f"which format is it to be? {got}: add --format, one of {', '.join(get_args(Format))}"
        raise ConfigError(msg)
    return _FORMATS[ending]


def _target(out: str | None, kind: Format) -> str:
    """Give the path of the results: absolute, because that of a sink is relative to the folder of the run."""
    name = f"{_EACH}{_ENDINGS[kind]}"
    if out is None:
        return str(Path.cwd() / name)
    if out.endswith(os.sep) or Path(out).is_dir():
        return str(Path.cwd() / out / name)
    return str(Path.cwd() / out)


def _delimiter(kind: Format, delimiter: str | None) -> dict[str, str]:
    if delimiter is None:
        return {}
    if kind not in _SEPARATED:
        msg = f"--csv-delimiter is for {' and '.join(_SEPARATED)}, and the format is {kind}: leave it out"
        raise ConfigError(msg)
    return {"delimiter": "\t" if delimiter == r"\t" else delimiter}


def _finder(config: PipelineConfig) -> str:
    """Name the section of the model that finds the people, and so can be told how many.

    Raises:
        ConfigError: There is none, or it cannot.
    """
    section, role, entry = ("detect", "detector", config.detect) if config.detect else ("pose", "pose", config.pose)
    if entry is None:
        msg = "--single-person: nothing looks for people; name a --detector or a --pose"
        raise ConfigError(msg)
    if "max_people" not in options_model(resolve(role, entry.kind)).model_fields:
        msg = f"--single-person: the {role} '{entry.kind}' has no option max_people; choose another one"
        raise ConfigError(msg)
    return section


def _path_of(config: PipelineConfig) -> Path:
    """Give the path of the one sink, as it is after `-o`."""
    return Path(cast("str", config.sinks[0].options["path"]))


def _check_target(config: PipelineConfig) -> None:
    """See that results do not overwrite what is watched, and that each source has a file of its own.

    Raises:
        ConfigError: They would, or it has not.
    """
    path = _path_of(config)
    if any(path.resolve() == Path(entry.options.get("path", "")).resolve() for entry in config.sources):
        msg = f"--out: '{path}' is what is to be watched; choose another name"
        raise ConfigError(msg)
    if (count := _count_sources(config)) > 1 and _EACH not in str(path):
        msg = (
            f"--out: one file, '{path}', and {count} sources: give a folder, or a name with {_EACH} in it, as in "
            f"'{path.with_name(f'{path.stem}-{_EACH}{path.suffix}').name}'"
        )
        raise ConfigError(msg)


def _count_sources(config: PipelineConfig) -> int:
    """Count what there is to watch: an entry stands for several sources if it is a pattern."""
    count = 0
    for position, entry in enumerate(config.sources):
        plugin = resolve("source", entry.kind)
        options = validate_options(plugin, entry.options, f"sources.{position}")
        count += len(plugin.expand(options, entry.id))
    return count

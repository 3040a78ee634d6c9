"""`kinestream export`: convert weights ahead of time."""

import dataclasses
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.errors import ConfigError, PipelineError
from stages.zoo import find_weights

if TYPE_CHECKING:
    from stages.engines.export import Exported

__all__ = ["app"]


class Format(StrEnum):
    """What to write."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


class Precision(StrEnum):
    """Of its arithmetic."""

    F32 = "f32"
    BF16 = "bf16"
    F16 = "f16"
    INT8 = "int8"


app = typer.Typer(help="Convert the weights of a pose network ahead of time, for a faster start or in int8.")


@app.callback(
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},  # one command: options may stand behind the weights
    epilog="Example: kinestream export hrnet-w32-256x192 --precision int8 --calibrate crops/",
)
def export(  # noqa: PLR0913 - the arguments of a command are its options
    weights: Annotated[str, typer.Argument(help="A .pth, .onnx or .xml file, or a name of the model zoo.")],
    *,
    to: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.OPENVINO,
    precision: Annotated[Precision, typer.Option(help="Of the arithmetic.")] = Precision.F32,
    image_size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the network's input; from the file if left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder; the cache, where runs find it, if left out.")] = None,
    calibrate: Annotated[Path | None, typer.Option(help="For int8: a folder of pictures of people, cut out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it even if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Convert weights, compare what came out with the original, and say where it is."""
    from stages.engines.export import Order, carry_out, model_of  # noqa: PLC0415 - keeps the command line quick

    console = Console(stderr=True)
    try:
        with console.status(f"converting {weights}"):
            model = model_of(find_weights(weights), _size(image_size))
            exported = carry_out(Order(model, to.value, precision.value, out, calibrate, force))
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(_json(exported) if as_json else _text(exported))


def _size(text: str | None) -> tuple[int, int] | None:
    """Read 256x192.

    Raises:
        ConfigError: It is something else.
    """
    if text is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d{1,3})x([1-9]\d{1,3})", text)):
        msg = f"--image-size '{text}': expected HEIGHTxWIDTH in pixels, such as 256x192"
        raise ConfigError(msg)
    return int(found[1]), int(found[2])


def _json(exported: "Exported") -> str:
    return json.dumps(dataclasses.asdict(exported) | {"path": str(exported.path)}, indent=2)


def _text(exported: "Exported") -> str:
    facts = f"{exported.format} {exported.precision}, {exported.height}x{exported.width} (height x width)"
    return (
        f"{exported.path}\n"
        f"  {facts}, {exported.size_bytes / 1e6:.1f} MB, SHA-256 {exported.sha256}\n"
        f"  differs from {exported.reference} by {exported.difference:.2g} at most, "
        f"on a test picture with outputs up to {exported.peak:.2g}"
    )

"""`unconfound export`: write an encoder as one file that runs without unconfound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from unconfound.options.constraints import Checked
from unconfound.parsing import parse

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.encoders.export import Exported


@dataclass(frozen=True, kw_only=True)
class ExportArguments(Checked):
    """Write the encoder of a run as one file that runs without unconfound: raw samples to embeddings and logits."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder of an encoder of images or of rows of tables."""
    out: Path
    """File to write: .onnx (needs the extra `export`) or .pt2 (a program of torch.export)."""
    dtype: Literal["uint8", "float32"] | None = None
    """Type of the inputs: uint8 (pixels from 0 to 255, the default for images) or float32 (pixels in [0, 1]; for rows
    of a table, encoded as by `unconfound embed`, the only choice)."""
    classifier: bool = True
    """Also return the logits of the classifier that was trained with the encoder, if there is one."""
    overwrite: bool = False
    """Replace an existing file."""


def export(
    run: Path | str,
    out: Path | str,
    *,
    classifier: bool = True,
    dtype: Literal["uint8", "float32"] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the encoder of a run as one file: raw samples to embeddings and logits.

    Args:
        run: the run folder, of an encoder of images or of the rows of tables.
        out: .onnx (needs the extra `export`) or .pt2 (a program of torch.export).
        classifier: give the logits of the classifier that was trained with the encoder, too, where there is one.
        dtype: of the inputs: uint8 (pixels from 0 to 255, the default of images) or float32 (pixels in [0, 1]; the only
            one for rows of a table).
        overwrite: replace `out`.

    Returns:
        The names, types and shapes of inputs and outputs.

    Raises:
        ValueError, FileNotFoundError: `out` is there already or of another kind, or the encoder cannot be exported.
    """
    from unconfound.encoders.export import export_run

    return export_run(Path(run), Path(out), classifier=classifier, dtype=dtype, overwrite=overwrite)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound export` says."""
    given: ExportArguments = parse(ExportArguments, list(words), command="export")

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.encoders.export  # noqa: F401
    with announced(f"exporting {given.run}"):
        exported = export(**vars(given))
    print(f"The encoder of {given.run} is in {given.out}, whose answers were checked against its own.")
    for kind, port in [("input", exported.input), *(("output", port) for port in exported.outputs)]:
        shape = ", ".join(str(size) for size in port.shape)
        print(f"  {kind:<6}  {port.name:<10}  {port.dtype:<7}  [{shape}]")
    if exported.classes:
        print(f"  classes of the logits: {', '.join(exported.classes)}")
    if given.out.suffix == ".onnx":
        print(f"Next: onnxruntime.InferenceSession({str(given.out)!r}).run(None, {{'inputs': inputs}})")
    else:
        print(f"Next: torch.export.load({str(given.out)!r}).module()(inputs)")

"""The encoder of a run as one file that runs without unconfound: ONNX, or a program of torch.export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from unconfound import __version__
from unconfound.encoders.classifier import load_classifier
from unconfound.encoders.encoder import Encoder
from unconfound.encoders.normalized import Normalized
from unconfound.encoders.saved import Card, load_encoder, read_card
from unconfound.extras import require
from unconfound.files import atomic
from unconfound.outputs import check_output_file

PixelType = Literal["uint8", "float32"]
# An answer of the file may be this far from the encoder's, as a share of the largest answer where that is above 1.
TOLERANCE = 1e-4
# A file of protocol buffers ends at 2 GiB, and torch begins a second file for the weights of ONNX before that.
LARGEST_ONNX = 1536 * 2**20
# The file inside of a .pt2 archive that holds the metadata.
METADATA = "unconfound.json"


@dataclass(frozen=True)
class Port:
    """An input or output: its name in the file, "uint8" or "float32", and its shape, in which "batch" is any number."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@dataclass(frozen=True)
class Exported:
    """What an exported file takes and gives.

    Args:
        input: raw samples.
        outputs: the embeddings and, where there is a classifier, the logits.
        classes: what each logit is of; empty without a classifier, or where the run's classes have no names.
        metadata: what the file says of itself, as text by name.
    """

    input: Port
    outputs: tuple[Port, ...]
    classes: tuple[str, ...]
    metadata: dict[str, str]


def export_run(
    run: Path | str,
    out: Path | str,
    *,
    classifier: bool = True,
    dtype: PixelType | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the encoder of a finished run, and the classifier that was trained with it, as one file.

    The file takes raw samples as the encoder does, in batches of any size: normalisation and a morpher are a part of
    it. Before it gets its name, it answers random batches of 1 and of 3 samples, and must agree with the encoder.

    Args:
        run: the folder.
        out: ends in .onnx (opset of torch's exporter; read by onnxruntime and others) or .pt2 (`torch.export.load`).
        classifier: give logits, too, where the run trained a classifier.
        dtype: of the inputs. Images and images as rows: "uint8" (0 to 255), the default, or "float32" (in [0, 1]).
            Rows of a table: "float32", encoded as `embed` encodes them.
        overwrite: replace an existing file.

    Raises:
        ValueError: another suffix, an existing file, an encoder of graphs, texts or series, uint8 rows of a table, an
            encoder that cannot be exported, or is too large for one ONNX file.
        FileNotFoundError: the folder holds no encoder.
        ImportError: the libraries for ONNX are not installed.
        ArithmeticError: the file's answers are not the encoder's; there is no file then.
    """
    run, out = Path(run), Path(out)
    check_output_file(out, suffixes=(".onnx", ".pt2"), overwrite=overwrite)
    card = read_card(run)
    dtype = _checked_type(card, dtype, run=run)
    encoder = load_encoder(run)
    if out.suffix == ".onnx":
        _check_onnx(encoder, run=run)
    linear = load_classifier(run) if classifier else None
    # Weights in the order that files keep: torch.export warns of others.
    network = _Answers(encoder, linear).eval().requires_grad_(False).to(memory_format=torch.contiguous_format)
    exported = _describe(card, network, dtype=dtype, run=run)
    write, read = (_onnx_writer, _read_onnx) if out.suffix == ".onnx" else (_pt2_writer, _read_pt2)
    with _failing_in_one_line(run):
        program = torch.export.export(
            network,
            (_samples(card, encoder, dtype=dtype, count=2),),
            dynamic_shapes={"inputs": {0: torch.export.Dim("batch")}},
        )
        write_to = write(program, exported)
    with atomic(out) as temporary:
        write_to(temporary)
        answers = read(temporary)
        for count in (1, 3):
            samples = _samples(card, encoder, dtype=dtype, count=count)
            _check_answers(answers(samples), network(samples), out=out)
    return exported


@final
class _Answers(nn.Module):
    """Raw samples -> embeddings and logits, by name."""

    def __init__(self, encoder: Encoder, classifier: nn.Linear | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = classifier

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        embeddings = self.encoder(inputs)
        if self.classifier is None:
            return {"embeddings": embeddings}
        return {"embeddings": embeddings, "logits": self.classifier(embeddings)}


def _checked_type(card: Card, dtype: PixelType | None, *, run: Path) -> PixelType:
    modality = card.schema.modality
    if modality not in ("images", "tables"):
        raise ValueError(
            f"the encoder of {run} takes {modality}, which have no fixed shape: only encoders of images and of the "
            "rows of tables can be exported, use load_encoder for this one"
        )
    pixels = modality == "images" or card.restore.get("kind") == "pixel-rows"
    if dtype not in (None, "uint8", "float32"):
        raise ValueError(f"dtype must be uint8 or float32, got {dtype!r}")
    if dtype == "uint8" and not pixels:
        raise ValueError(f"the encoder of {run} takes rows of numbers, not of pixels: dtype must be float32, got uint8")
    return dtype or ("uint8" if pixels else "float32")


def _check_onnx(encoder: Encoder, *, run: Path) -> None:
    for module in ("onnx", "onnxscript"):
        require(module, extra="export")
    size = sum(weight.numel() * weight.element_size() for weight in encoder.state_dict().values())
    if size > LARGEST_ONNX:
        raise ValueError(
            f"the weights of {run} take {size / 2**30:.1f} GiB, one .onnx file holds {LARGEST_ONNX / 2**30:.1f}: "
            "export to .pt2"
        )


def _describe(card: Card, network: _Answers, *, dtype: PixelType, run: Path) -> Exported:
    outputs = [Port("embeddings", "float32", ("batch", card.features))]
    classes: tuple[str, ...] = ()
    if network.classifier is not None:
        logits = network.classifier.out_features
        outputs.append(Port("logits", "float32", ("batch", logits)))
        # Otherwise the logits have no names.
        classes = card.schema.classes if len(card.schema.classes) == logits else ()
    metadata = {
        "unconfound": __version__,
        "run": str(run),
        "method": str(card.provenance.get("method", "")),
        "modality": card.schema.modality,
        "shape": json.dumps(card.schema.shape),
        "dtype": dtype,
        "classes": json.dumps(classes),
        # What each feature of a table's row is, and how it was made of the table's cells; pixels have no names.
        "columns": json.dumps(card.restore.get("columns", [])),
        "encoding": json.dumps(card.restore.get("encoding")),
    }
    return Exported(Port("inputs", dtype, ("batch", *card.schema.shape)), tuple(outputs), classes, metadata)


def _samples(
    card: Card, encoder: Encoder, *, dtype: PixelType, count: int
) -> UInt8[Tensor, "batch channels *size"] | Float[Tensor, "batch channels *size"]:
    """Draw samples that look like the encoder's own: any pixels, or numbers with the mean and deviation of its rows."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, *card.schema.shape)
    if dtype == "uint8":
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    if card.schema.modality == "images" or card.restore.get("kind") == "pixel-rows":
        return torch.rand(shape, generator=generator)
    statistics = encoder.wrapper(Normalized)
    return statistics.mean + statistics.deviation * torch.randn(shape, generator=generator)


def _onnx_writer(program: torch.export.ExportedProgram, exported: Exported) -> Callable[[Path], None]:
    converted: Any = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=[exported.input.name],
        output_names=[port.name for port in exported.outputs],
        dynamic_shapes={"inputs": {0: "batch"}},
    )
    converted.model.metadata_props.update(exported.metadata)
    return lambda path: converted.save(path, external_data=False)


def _read_onnx(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    # ONNX's own evaluator comes with the extra, and is another implementation than any that made the file.
    session = require("onnx.reference", extra="export").ReferenceEvaluator(str(path))
    names = session.output_names

    def answers(samples: Tensor) -> dict[str, Tensor]:
        values = session.run(names, {"inputs": samples.numpy()})
        return {name: torch.as_tensor(value) for name, value in zip(names, values, strict=True)}

    return answers


def _pt2_writer(program: torch.export.ExportedProgram, exported: Exported) -> Callable[[Path], None]:
    return lambda path: torch.export.save(program, path, extra_files={METADATA: json.dumps(exported.metadata)})


def _read_pt2(path: Path) -> Callable[[Tensor], dict[str, Tensor]]:
    program: Callable[[Tensor], dict[str, Tensor]] = torch.export.load(path).module()
    return program


def _check_answers(answers: dict[str, Tensor], expected: dict[str, Tensor], *, out: Path) -> None:
    for name, values in expected.items():
        furthest = (answers[name] - values).abs().max().item()
        # Written so that NaN is refused.
        if not furthest <= TOLERANCE * max(1.0, values.abs().max().item()):
            raise ArithmeticError(
                f"{out} was not written: its {name} differ from the encoder's by up to {furthest:.2g}, "
                f"more than {TOLERANCE:g} of the largest"
            )


@contextmanager
def _failing_in_one_line(run: Path) -> Iterator[None]:
    """Say in one line that a network cannot be converted, for whatever reason.

    A network may be any of timm's, and torch's exporters have errors of many kinds, most of them pages long.
    """
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
        raise ValueError(f"the encoder of {run} cannot be exported ({reason}): use load_encoder for it") from error

"""An encoder in an ONNX file, ours or not, as a function of images."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from unconfound.data import Schema
from unconfound.documents import one_line
from unconfound.functional.inputs import unit_range

TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


@final
class OnnxEncoder:
    """Images -> embeddings, by onnxruntime on the CPU.

    The file has one input [batch, channels, height, width]. If it takes uint8, it gets images as they are; if it takes
    float32, it gets values in [0, 1], so that normalisation is a part of the file. The output "embeddings" is taken,
    or the only one.

    Args:
        path: the .onnx file.
        schema: of the images.

    Raises:
        FileNotFoundError: there is no such file.
        ImportError: onnxruntime is not installed.
        ValueError: the data are no images; or it is no ONNX file, takes other inputs, or has several outputs and none
            of that name.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        if schema.modality != "images":
            raise ValueError(f"{path} is run on images, the data are {schema.modality}: give the folder of a run")
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}: give an .onnx file")
        try:
            runtime = import_module("onnxruntime")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{path} is run by onnxruntime, which is not installed: pip install onnxruntime"
            ) from error
        try:
            self.session: Any = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has errors of many kinds
            raise ValueError(f"{path} cannot be read as an ONNX file ({one_line(error)})") from error
        inputs, outputs = self.session.get_inputs(), [each.name for each in self.session.get_outputs()]
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
            found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in inputs)
            raise ValueError(
                f"{path} takes {found}: one input of images is needed, [batch, channels, height, width], uint8 or "
                "float32"
            )
        fixed = [(have, want) for have, want in zip(inputs[0].shape[1:], schema.shape, strict=True)]
        if any(isinstance(have, int) and have != want for have, want in fixed):
            raise ValueError(
                f"{path} takes images of {inputs[0].shape[1:]}, these are {list(schema.shape)}: give --image-size, or "
                "--channels"
            )
        if "embeddings" not in outputs and len(outputs) != 1:
            raise ValueError(f"{path} gives {', '.join(outputs)}: one of them must be called embeddings")
        self.input: str = inputs[0].name
        self.dtype = TYPES[inputs[0].type]
        self.output = "embeddings" if "embeddings" in outputs else outputs[0]
        size = inputs[0].shape[0]
        # Files that were written for batches of one size take no others.
        self.batch: int | None = size if isinstance(size, int) else None

    def __call__(
        self, images: UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """Embed images, uint8 or float in [0, 1].

        Raises:
            ValueError: the file takes uint8 and the images are float.
        """
        if self.dtype == "uint8" and images.dtype != torch.uint8:
            raise ValueError(f"{self.input} of the ONNX file takes uint8, the images are {images.dtype}")
        values = images if self.dtype == "uint8" else unit_range(images)
        parts = [self._run(part) for part in values.cpu().split(self.batch or len(values))]
        return torch.cat(parts)[: len(images)].to(images.device)

    def _run(self, values: Tensor) -> Tensor:
        missing = (self.batch or len(values)) - len(values)
        if missing:
            values = torch.cat([values, values[:1].expand(missing, *values.shape[1:])])
        return torch.from_numpy(self.session.run([self.output], {self.input: values.numpy()})[0])

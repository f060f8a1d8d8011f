from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders.onnx_file import OnnxEncoder

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

SCHEMA = Schema("images", (3, 8, 8), ("a", "b"))


def write(path, *, batch="batch", dtype=1, outputs=("embeddings",), shape=(3, 8, 8)):
    """Write a file that gives the mean of each channel, once by each name; a uint8 input is converted."""
    helper = onnx.helper
    nodes = [helper.make_node("Cast", ["pixels"], ["values"], to=1)]
    nodes += [helper.make_node("ReduceMean", ["values", "axes"], [name], keepdims=0) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pixels", dtype, [batch, *shape])],
        [helper.make_tensor_value_info(name, 1, [batch, 3]) for name in outputs],
        [helper.make_tensor("axes", 7, [2], [2, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_images_of_any_number_are_embedded(tmp_path, batch):
    images = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    found = OnnxEncoder(write(tmp_path / "a.onnx", batch=batch), SCHEMA)(images)
    torch.testing.assert_close(found, (images / 255).mean((2, 3)))


def test_a_file_of_uint8_gets_images_as_they_are(tmp_path):
    images = torch.randint(0, 256, (7, 3, 8, 8), dtype=torch.uint8)
    encoder = OnnxEncoder(write(tmp_path / "a.onnx", dtype=2, outputs=("logits", "embeddings")), SCHEMA)
    torch.testing.assert_close(encoder(images), images.float().mean((2, 3)))
    with pytest.raises(ValueError, match=r"takes uint8, the images are torch.float32"):
        encoder(images / 255)


def test_files_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        OnnxEncoder(tmp_path / "none.onnx", SCHEMA)
    with pytest.raises(ValueError, match="is run on images, the data are tables: give the folder of a run"):
        OnnxEncoder(tmp_path / "none.onnx", Schema("tables", (5,), ("a", "b")))
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as an ONNX file"):
        OnnxEncoder(tmp_path / "bad.onnx", SCHEMA)
    with pytest.raises(ValueError, match="gives a, b: one of them must be called embeddings"):
        OnnxEncoder(write(tmp_path / "two.onnx", outputs=("a", "b")), SCHEMA)
    with pytest.raises(ValueError, match="give --image-size"):
        OnnxEncoder(write(tmp_path / "large.onnx", shape=(3, 16, 16)), SCHEMA)
    with pytest.raises(ValueError, match=r"takes pixels tensor\(double\)"):
        OnnxEncoder(write(tmp_path / "double.onnx", dtype=11), SCHEMA)
